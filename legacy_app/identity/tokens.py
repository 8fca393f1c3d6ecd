"""The token that carries an identity to a service: a short-lived EdDSA JWT."""

import hashlib
import json
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import KeySet, OKPKey
from joserfc.jws import JWSRegistry

ISSUER = "helpdesk"
LIFETIME_SECONDS = 60
# The apps whose permissions a service may need to know.
PERMISSION_APPS = frozenset({"tickets", "knowledge", "assistant"})


def claims(
    user: Any, session: SessionBase, *, audience: str, csrf_checked: bool, now: int, shadow: bool = False
) -> dict[str, Any]:
    """`now` is in seconds since 1970. The session's key itself never leaves the monolith.

    `shadow`: for a copy of a request; whoever reads the token takes it for nothing else, so that it can write nothing.
    """
    return {
        "iss": ISSUER,
        "aud": audience,
        "sub": str(user.pk),
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "jti": secrets.token_urlsafe(16),
        "sid": hashlib.sha256((session.session_key or "").encode()).hexdigest(),
        "org": user.organisation_id,
        "perms": sorted(name for name in user.get_all_permissions() if name.split(".")[0] in PERMISSION_APPS),
        "csrf_checked": csrf_checked,
        "shadow": shadow,
    }


def signed(payload: dict[str, Any], key: OKPKey) -> str:
    return jwt.encode({"alg": "EdDSA", "kid": key.kid}, payload, key, registry=_EDDSA)


def verified(token: str, keys: OKPKey | KeySet, *, audience: str, now: float, late_seconds: float) -> dict[str, Any]:
    """The claims of a token that we signed for this audience, at most `late_seconds` after its end; or NotOurs."""
    try:
        claims = jwt.decode(token, keys, registry=_EDDSA).claims
    except (JoseError, ValueError) as error:
        raise NotOurs(type(error).__name__) from error
    # Our keys sign nothing but claims(): with a true signature all of them are there.
    if claims["iss"] != ISSUER or claims["aud"] != audience:
        raise NotOurs("another issuer or audience")
    if claims["exp"] + late_seconds < now:
        raise NotOurs("expired")
    return claims


class NotOurs(ValueError):
    """This token was not signed by us, or not for this, or not lately."""


def signing_key(file: str) -> OKPKey:
    """The first key in the file as it is now: a new key is used as soon as it is written."""
    return _keys(file)[0]


def believed_keys(file: str) -> KeySet:
    """All keys in the file: who puts a new key first and leaves the old one in breaks no request under way."""
    return KeySet(list(_keys(file)))


def _keys(file: str) -> tuple[OKPKey, ...]:
    path = Path(file)
    try:
        return _imported(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ImproperlyConfigured(f"IDENTITY_PRIVATE_KEY_FILE {file} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=1)
def _imported(path: Path, _version: int) -> tuple[OKPKey, ...]:
    try:
        stated = json.loads(path.read_bytes())
        entries = stated.get("keys", [stated])
        # Only what makes a key: joserfc would hold a stated "alg": "EdDSA" against its new name.
        first = OKPKey.import_key({name: entries[0][name] for name in ("kty", "crv", "x", "d", "kid")})
        earlier = [
            OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "kid")}) for entry in entries[1:]
        ]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, JoseError) as error:
        raise _unusable(path) from error
    keys = (first, *earlier)
    if not first.is_private or any(key.curve_name != "Ed25519" or not key.kid for key in keys):
        raise _unusable(path)
    return keys


def _unusable(path: Path) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"IDENTITY_PRIVATE_KEY_FILE {path} must hold one private Ed25519 key as a JWK with a kid, "
        "or a JWK set that begins with it and goes on with earlier keys."
    )


class _EdDSARegistry(JWSRegistry):
    """Knows one algorithm: `EdDSA` (RFC 8037), which joserfc has under its newer name (RFC 9864).

    joserfc warns at each use of the old name, which is the one that every verifier knows.
    """

    def get_alg(self, name: str) -> Any:
        if name != "EdDSA":
            raise UnsupportedAlgorithmError("only EdDSA is accepted")
        return self.algorithms["Ed25519"]


_EDDSA = _EdDSARegistry()
