"""What a person can put right before the monolith runs, each in one sentence with its cure."""

import logging
import sys
from typing import NoReturn

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from legacy_app.identity import tokens

# The exit status with which a gunicorn worker tells its parent that starting another one is pointless.
GUNICORN_WORKER_BOOT_ERROR = 3

MIGRATE = "Run: python legacy_app/manage.py migrate"

log = logging.getLogger(__name__)


def halt_if_unsafe() -> None:
    """Never serve people with a key that everybody can read in the source."""
    if not settings.DEBUG and settings.SECRET_KEY.startswith("django-insecure-"):
        halt("SECRET_KEY is not set: set it to a long random text, or set DEBUG=1 on your own machine.")


def halt_if_it_cannot_sign() -> None:
    """The key is read again when it is replaced; one that never was any good is not found at the first exchange."""
    if settings.IDENTITY_PRIVATE_KEY_FILE:
        try:
            tokens.signing_key(settings.IDENTITY_PRIVATE_KEY_FILE)
        except ImproperlyConfigured as mistake:
            halt(str(mistake))


def halt(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(GUNICORN_WORKER_BOOT_ERROR)


def warn_if_not_migrated() -> None:
    """Only a warning: a database that is away for a minute must not keep the workers from starting."""
    try:
        if "tickets_ticket" not in connection.introspection.table_names():
            log.error("The database %s has no tables yet. %s", database_name(), MIGRATE)
    except DatabaseError as failure:
        log.error("%s", database_advice(failure))
    finally:
        connection.close()


def database_advice(failure: Exception) -> str:
    """The sentence for a database error that somebody meets on the command line."""
    reason = " ".join(str(failure).split())
    if "no such table" in reason or ("does not exist" in reason and "relation" in reason):
        return f"The database {database_name()} has no such table yet ({reason}). {MIGRATE}"
    if "permission denied to create extension" in reason or 'extension "vector" is not available' in reason:
        return (
            f"The database {database_name()} has no pgvector, and this user may not add it ({reason}). "
            "Have an administrator run: CREATE EXTENSION vector"
        )
    return f"The database {database_name()} cannot be used: {reason}. Look at DATABASE_URL."


def database_name() -> str:
    """Never the URL: it may hold a password."""
    configured = connection.settings_dict
    name = configured["NAME"]
    return f"{name} on {configured['HOST']}" if configured["HOST"] else f"{name}"
