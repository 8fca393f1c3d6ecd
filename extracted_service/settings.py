"""What the service is told by its environment, checked once at the start."""

from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from .errors import SettingsError


def _http_url(text: str) -> str:
    if not _is_http_url(text):
        raise ValueError("must be an address like http://127.0.0.1:8020/v1")
    return text.rstrip("/")


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading it is what checks it
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and _fits_a_header(text)


def _database_url(text: str) -> str:
    if not text.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ValueError("must start with sqlite:/// (a file), postgresql:// or postgres://")
    try:
        name = make_url(text).database
    except (SQLAlchemyError, ValueError):
        raise ValueError("cannot be read; its form is postgresql://user:password@host:5432/name") from None
    if not name:
        raise ValueError("names no database")
    return text


def _api_key(secret: SecretStr) -> SecretStr:
    if not _fits_a_header(secret.get_secret_value()):
        raise ValueError("must be visible ASCII characters: it travels in a header")
    return secret


def _fits_a_header(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals."""

    # hide_input_in_errors: an address may hold a password.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    database_url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///var/helpdesk.sqlite3"
    database_connections: int = Field(default=5, ge=1, description="per engine: one reads, one writes")
    database_busy_seconds: Seconds = Field(default=20, description="longest wait for a lock or a connection")

    llm_base_url: Annotated[str, AfterValidator(_http_url)] = "http://127.0.0.1:8020/v1"
    llm_api_key: Annotated[SecretStr, AfterValidator(_api_key)] = SecretStr("sandbox-key")
    llm_model: str = Field(default="helpdesk-small", min_length=1)
    llm_embedding_model: str = Field(default="helpdesk-embed", min_length=1)
    llm_connections: int = Field(default=1000, ge=1, description="open at once, per process")
    llm_connect_seconds: Seconds = Field(default=5, description="to open a connection")
    llm_first_token_seconds: Seconds | None = Field(default=None, description="a stream's first chunk")
    llm_idle_seconds: Seconds | None = Field(default=None, description="between two chunks of a stream")
    llm_timeout_seconds: Seconds = Field(default=60, description="the whole call, whatever happens in it")
    llm_waiting_calls: int = Field(default=100, ge=0, description="wait for a free connection; more are refused")
    llm_waiting_seconds: Seconds = Field(default=5, description="longest wait for a free connection")
    llm_attempts: int = Field(default=3, ge=1, le=10, description="per call, the first one included")
    llm_first_pause_seconds: Seconds = Field(default=0.5, description="longest pause before the second attempt")
    llm_retry_percent: float = Field(default=20, ge=0, le=100, description="retries per 100 recent calls, at most")

    llm_daily_tokens: int = Field(default=2_000_000, ge=0, description="per organisation and UTC day; 0: no limit")

    socket_idle_seconds: Seconds = Field(default=300, description="without a question, until a socket is closed")
    socket_lifetime_seconds: Seconds = Field(default=900, description="until a socket's identity counts as too old")
    sockets_per_user: int = Field(default=5, ge=1, description="open at once, per process")

    identity_jwks_file: Path = Field(description="JWK set with the public keys that identities are signed with")
    identity_issuer: str = Field(default="helpdesk", min_length=1)
    identity_audience: str = Field(default="assistant", min_length=1, description="our name as an upstream")

    legacy_url: Annotated[str, AfterValidator(_http_url)] = "http://127.0.0.1:8003"
    legacy_timeout_seconds: Seconds = Field(default=10, description="a whole command to the monolith")

    @model_validator(mode="after")
    def _parts_fit_into_the_whole(self) -> Self:
        for name in ("llm_connect_seconds", "llm_first_token_seconds", "llm_idle_seconds"):
            part = getattr(self, name)
            if part is not None and part > self.llm_timeout_seconds:
                raise ValueError(
                    f"{name.upper()} is longer than LLM_TIMEOUT_SECONDS: raise the whole or lower the part"
                )
        return self


def read_settings(**given: Any) -> Settings:
    """What is given and the environment says, or one SettingsError that names everything wrong with it."""
    try:
        return Settings(**given)  # the environment has the rest
    except ValidationError as error:
        problems = [_sentence(problem) for problem in error.errors(include_url=False, include_input=False)]
        raise SettingsError("\n".join(problems)) from None


def _sentence(problem: object) -> str:
    assert isinstance(problem, dict)
    place = "_".join(str(part) for part in problem["loc"]).upper()
    if problem["type"] == "missing":
        return f"{place} is not set: name the file with the public keys of the monolith's identities."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place} {message[0].lower() + message[1:]}." if place else f"{message}."
