"""Mail: to a local outbox by default, over SMTP when an operator configures it."""

from __future__ import annotations

from email.message import EmailMessage
from urllib.parse import urlsplit

import aiosmtplib

from classweave.core import clock
from classweave.core.identifiers import uuid7
from classweave.core.settings import Settings


async def send_mail(settings: Settings, to: str, subject: str, body: str) -> None:
    """Send one plain-text message. Raises ``aiosmtplib.SMTPException`` when the server refuses."""
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = clock.now()
    message.set_content(body)
    if settings.smtp_url is None:
        outbox = settings.data_dir / "outbox"
        outbox.mkdir(parents=True, exist_ok=True)
        (outbox / f"{uuid7()}.eml").write_bytes(message.as_bytes())
        return
    url = urlsplit(settings.smtp_url.get_secret_value())
    await aiosmtplib.send(
        message,
        hostname=url.hostname or "localhost",
        port=url.port,
        username=url.username,
        password=url.password,
        use_tls=url.scheme == "smtps",
    )
