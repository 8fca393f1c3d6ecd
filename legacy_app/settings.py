"""The monolith's settings; what differs between installations comes from the environment."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent

# Serving people with this key is refused (see startup.py), unless DEBUG is on.
DEVELOPMENT_KEY = "django-insecure-for-development-only"


def on(name: str) -> bool:
    match os.environ.get(name, "").strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "" | "0" | "false" | "no" | "off":
            return False
        case other:
            raise ImproperlyConfigured(f"{name} is {other!r}: write 1 or 0.")


def comma_separated(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def seconds(name: str, default: str) -> float:
    written = os.environ.get(name) or default
    try:
        value = float(written)
    except ValueError:
        value = 0.0
    if not 0 < value < 86_400:
        raise ImproperlyConfigured(f"{name} is {written!r}: write a number of seconds above 0, like {default}.")
    return value


def http_url(name: str) -> str:
    """Empty, or an address that is never repeated in a message: it may hold a password."""
    written = os.environ.get(name, "").rstrip("/")
    if written and not is_http_url(written):
        raise ImproperlyConfigured(f"{name} must be an address like http://127.0.0.1:8002, or empty.")
    return written


def is_http_url(written: str) -> bool:
    try:
        parts = urlsplit(written)
        _ = parts.port  # reading it is what checks it
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def header_text(name: str) -> str:
    """What travels in a header. It is a secret, and never repeated in a message."""
    written = os.environ.get(name, "")
    if not all("!" <= character <= "~" for character in written):
        raise ImproperlyConfigured(f"{name} must be visible ASCII characters: it travels in a header.")
    return written


def origins(name: str) -> list[str]:
    written = comma_separated(name)
    for origin in written:
        if "://" not in origin:
            raise ImproperlyConfigured(f"{name} holds {origin!r}: write origins like https://helpdesk.example.")
    return written


def whole_number(name: str, default: str) -> int:
    written = os.environ.get(name) or default
    if not (written.isascii() and written.isdigit() and len(written) < 16):
        raise ImproperlyConfigured(f"{name} is {written!r}: write a whole number from 0, like {default}.")
    return int(written)


def database() -> dict:
    """SQLite or PostgreSQL. The URL itself is never repeated in a message: it may hold a password."""
    url = os.environ.get("DATABASE_URL") or "sqlite:///var/helpdesk.sqlite3"
    cure = "Write sqlite:///var/helpdesk.sqlite3 or postgresql://user:password@host:5432/name."
    scheme = url.partition(":")[0]
    if scheme not in ("sqlite", "postgres", "postgresql"):
        raise ImproperlyConfigured(f"DATABASE_URL begins with {scheme!r}, which is not supported. {cure}")
    try:
        found = dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)
    except ValueError:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read. {cure}") from None
    if not found["NAME"]:
        raise ImproperlyConfigured(f"DATABASE_URL names no database. {cure}")
    return sqlite(found) if scheme == "sqlite" else found


def sqlite(found: dict) -> dict:
    """Readers never wait for a writer (WAL), and writers queue up instead of failing half-way (IMMEDIATE)."""
    if found["NAME"] != ":memory:":
        Path(found["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    found["OPTIONS"] = {
        **found.get("OPTIONS", {}),
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    return found


DEBUG = on("DEBUG")
SECRET_KEY = os.environ.get("SECRET_KEY") or DEVELOPMENT_KEY
SECRET_KEY_FALLBACKS = comma_separated("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = comma_separated("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = origins("CSRF_TRUSTED_ORIGINS")
DATABASES = {"default": database()}

LLM_BASE_URL = http_url("LLM_BASE_URL") or "http://127.0.0.1:8020/v1"
LLM_API_KEY = header_text("LLM_API_KEY") or "sandbox-key"
LLM_MODEL = os.environ.get("LLM_MODEL") or "helpdesk-small"
LLM_EMBEDDING_MODEL = os.environ.get("LLM_EMBEDDING_MODEL") or "helpdesk-embed"
LLM_TIMEOUT_SECONDS = seconds("LLM_TIMEOUT_SECONDS", "60")
LLM_DAILY_TOKENS = whole_number("LLM_DAILY_TOKENS", "2000000")  # per organisation and UTC day; 0: no limit

# Who a caller is, told to the router (see identity/).
IDENTITY_SECRET = header_text("IDENTITY_SECRET")
IDENTITY_PRIVATE_KEY_FILE = os.environ.get("IDENTITY_PRIVATE_KEY_FILE", "")
# The service that may give commands, by its name as an upstream of the router.
IDENTITY_AUDIENCE = os.environ.get("IDENTITY_AUDIENCE") or "assistant"

# The extracted service, for pages and jobs that need a summary; empty: they ask the provider themselves.
ASSISTANT_URL = http_url("ASSISTANT_URL")
if ASSISTANT_URL and not IDENTITY_PRIVATE_KEY_FILE:
    raise ImproperlyConfigured(
        "ASSISTANT_URL needs IDENTITY_PRIVATE_KEY_FILE: the service believes only identities signed with that key."
    )

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "legacy_app.accounts",
    "legacy_app.tickets",
    "legacy_app.knowledge",
    "legacy_app.assistant",
]

MIDDLEWARE = [
    "legacy_app.shadow.ShadowMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "legacy_app.identity.sessions.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "legacy_app.urls"
WSGI_APPLICATION = "legacy_app.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
CSRF_FAILURE_VIEW = "legacy_app.api.csrf_failure"

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# WhiteNoise serves the files where they lie: no collectstatic, no folder to forget.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

# Without this Django writes unexpected errors nowhere as soon as DEBUG is off.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"trace": {"()": "legacy_app.telemetry.TraceId"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s trace=%(trace_id)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["trace"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"django.request": {"level": "ERROR"}},
}
