"""Who is calling: the signed identity that the router got from the monolith, verified and nothing else believed."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers

from .errors import CsrfFailed, NotAuthenticated, PermissionDenied, SettingsError
from .shadow import is_shadow

HEADER = "X-Internal-Identity"
LEEWAY_SECONDS = 2
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

logger = logging.getLogger(__name__)


class Claims(BaseModel):
    """What an identity must say; anything missing or of another type makes it worthless."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    iss: str
    aud: str
    sub: str = Field(pattern=r"^[0-9]{1,18}$")
    iat: int
    exp: int
    jti: str = Field(min_length=1)
    sid: str = Field(min_length=1)
    org: int | None
    perms: list[str]
    csrf_checked: bool
    shadow: bool = False


@dataclass(frozen=True)
class Caller:
    """A user of the monolith, and what the monolith lets them do."""

    user_id: int
    organisation_id: int | None
    permissions: frozenset[str]

    def require(self, permission: str) -> None:
        """Whoever belongs to no organisation has no data here, whatever else they are allowed."""
        if self.organisation_id is None or permission not in self.permissions:
            raise PermissionDenied

    @property
    def organisation(self) -> int:
        if self.organisation_id is None:
            raise PermissionDenied
        return self.organisation_id


class Keys:
    """The public keys of a JWK set file, by `kid`; read again when an unknown `kid` comes and the file is new."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._version = _version(file)
        self._keys = _public_keys(file)

    def __getitem__(self, kid: str) -> OKPKey:
        if kid not in self._keys:
            self._reload()
        return self._keys[kid]

    def check(self) -> None:
        """Raise SettingsError if the file could not be used by a process that starts now."""
        _public_keys(self._file)

    def _reload(self) -> None:
        version = _version(self._file)
        if version == self._version:
            return
        self._version = version  # also of a file that is no good: it is read, and complained of, once
        try:
            self._keys = _public_keys(self._file)
        except SettingsError as error:
            logger.error("The identity keys stay as they were: %s", error)


@dataclass(frozen=True)
class Verifier:
    """Turns a request's identity header into the Caller."""

    keys: Keys
    issuer: str
    audience: str
    clock: Callable[[], float] = time.time

    def caller(self, method: str, headers: Headers) -> Caller:
        tokens = headers.getlist(HEADER)
        if len(tokens) != 1:
            raise _refused(f"{len(tokens)} identity headers instead of one")
        claims = self._claims(tokens[0])
        if claims.shadow and not is_shadow(",".join(headers.getlist("baggage"))):
            raise _refused("a copy's identity, on a request that is no copy")
        if method not in SAFE_METHODS and not claims.csrf_checked:
            raise CsrfFailed
        return Caller(int(claims.sub), claims.org, frozenset(claims.perms))

    def _claims(self, token: str) -> Claims:
        try:
            claims = Claims.model_validate(jwt.decode(token, self._key, registry=_ONLY_EDDSA).claims)
        except KeyError:
            raise _refused("unknown kid") from None
        except (JoseError, ValueError) as error:  # pydantic's ValidationError is a ValueError
            raise _refused(type(error).__name__) from None
        now = self.clock()
        if claims.iss != self.issuer or claims.aud != self.audience:
            raise _refused("another issuer or audience")
        if claims.exp + LEEWAY_SECONDS < now or claims.iat - LEEWAY_SECONDS > now:
            raise _refused("expired, or issued in the future")
        return claims

    def _key(self, message: Any) -> OKPKey:
        kid = message.headers().get("kid")
        return self.keys[kid if isinstance(kid, str) else ""]


class _OnlyEdDSA(JWSRegistry):
    """Knows one algorithm: `EdDSA` (RFC 8037), and of its curves Ed25519 alone.

    RFC 9864 renames it to `Ed25519`, and joserfc warns at each use of the old name, which the monolith writes.
    """

    def get_alg(self, name: str) -> Any:
        if name != "EdDSA":
            raise UnsupportedAlgorithmError("only EdDSA is accepted")
        return self.algorithms["Ed25519"]


_ONLY_EDDSA = _OnlyEdDSA()


def _refused(reason: str) -> NotAuthenticated:
    logger.info("Identity refused: %s.", reason)
    return NotAuthenticated()


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _public_keys(file: Path) -> dict[str, OKPKey]:
    try:
        entries = json.loads(file.read_bytes())["keys"]
        keys = {entry["kid"]: _public_key(entry) for entry in entries}
    except OSError as error:
        raise SettingsError(f"IDENTITY_JWKS_FILE {file} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise SettingsError(
            f"IDENTITY_JWKS_FILE {file} is no JWK set of public Ed25519 keys with a kid each ({error})."
        ) from None
    if not keys:
        raise SettingsError(f"IDENTITY_JWKS_FILE {file} holds no key.")
    return keys


def _public_key(entry: dict[str, Any]) -> OKPKey:
    if "d" in entry:
        raise ValueError("one key is private: only the monolith may hold that")
    if entry.get("crv") != "Ed25519":
        raise ValueError("one key is of another kind")
    # Only what makes the key: joserfc would hold a stated "alg": "EdDSA" against its new name.
    return OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "kid")})
