"""Random tokens, their stored hashes, and the installation's signing key."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from classweave.core.settings import Settings


def new_token() -> str:
    """256 random bits, safe in a URL and a cookie."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored of a token: SHA-256, enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def signing_key(settings: Settings) -> bytes:
    """The installation's key: the setting, or a file in the data directory made once."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = settings.data_dir / "secret.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    try:
        # link() fails when the file exists: two processes agree on the first one's key.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
    return path.read_text().strip().encode()


def sign(key: bytes, *parts: str) -> str:
    """A keyed digest (HMAC-SHA-256, hex) over ``parts``."""
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()


def same(a: str, b: str) -> bool:
    """Constant-time equality."""
    return hmac.compare_digest(a.encode(), b.encode())
