"""Settings come from the environment (``CLASSWEAVE_*``) and are checked once, at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything an operator may choose. Each field is one ``CLASSWEAVE_…`` variable."""

    model_config = SettingsConfigDict(env_prefix="CLASSWEAVE_", extra="forbid", frozen=True)

    data_dir: Path = Field(
        default=Path("data"),
        description="Where the embedded database, files, mail outbox and the secret key live.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL 18+ of the owner role; the embedded server is used without it.",
    )
    app_database_url: SecretStr | None = Field(
        default=None,
        description="The same database as the role classweave_app; by default the owner's login "
        "switched to that role.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    public_url: AnyHttpUrl | None = Field(
        default=None,
        description="How browsers reach this server; needed behind a proxy. Cookies are marked "
        "Secure when it is https.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs CSRF tokens; kept in the data directory when unset.",
    )
    files_url: str | None = Field(
        default=None, description="Object store: file://, s3://, gs://, az://. A folder by default."
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="smtp://user:password@host:port or smtps://…; by default mail is written to "
        "an outbox folder and leaves nothing.",
    )
    mail_from: str = Field(default="Classweave <classweave@localhost>", description="Sender.")
    speech_model: str = Field(
        default="base",
        description="'base' (the packaged Whisper weights), a folder, or a hub's model name.",
    )
    speech_workers: int = Field(
        default=2, ge=0, le=64, description="Speech worker processes started by `classweave up`."
    )
    llm_url: AnyHttpUrl | None = Field(
        default=None,
        description="OpenAI-compatible endpoint that may write summaries. Off by default: nothing "
        "leaves the machine.",
    )
    llm_model: str | None = Field(default=None, description="The model's name at that endpoint.")
    llm_key: SecretStr | None = Field(default=None, description="Its key.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much is logged to stderr: debug, info, warning, error."
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("files_url", "llm_url", "public_url")
    @classmethod
    def _without_credentials(cls, value: AnyHttpUrl | str | None) -> AnyHttpUrl | str | None:
        """These are printed and logged; object stores and models have other places for keys."""
        if value is not None and "@" in urlsplit(str(value)).netloc:
            raise ValueError("an address without credentials is wanted here")
        return value

    @property
    def embedded_database(self) -> bool:
        """Whether this installation runs its own PostgreSQL."""
        return self.database_url is None

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers reach us by https only."""
        return self.public_url is not None and self.public_url.scheme == "https"
