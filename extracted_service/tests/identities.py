"""Identities as the monolith signs them, and as a forger would; made without the library that verifies them."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

AGENT = 3
ORGANISATION = 1


@dataclass(frozen=True)
class SigningKey:
    kid: str
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def public_jwk(self) -> dict[str, str]:
        public = self.private.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": _encoded(public), "kid": self.kid, "alg": "EdDSA", "use": "sig"}

    def token(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """An identity of the agent; a claim changed to None is left out."""
        signing_input = _signing_input({"typ": "JWT", "alg": "EdDSA", "kid": self.kid} | (header or {}), changes)
        return f"{signing_input}.{_encoded(self.private.sign(signing_input.encode()))}"

    def confused_token(self) -> str:
        """HS256 with the public key as its secret: what a verifier that believes the header would accept."""
        signing_input = _signing_input({"alg": "HS256", "kid": self.kid}, {})
        public = self.private.public_key().public_bytes_raw()
        return f"{signing_input}.{_encoded(hmac.digest(public, signing_input.encode(), hashlib.sha256))}"

    def unsigned_token(self) -> str:
        return _signing_input({"alg": "none", "kid": self.kid}, {}) + "."


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {
        "iss": "helpdesk",
        "aud": "assistant",
        "sub": str(AGENT),
        "iat": now,
        "exp": now + 60,
        "jti": "once",
        "sid": "0" * 64,
        "org": ORGANISATION,
        "perms": ["assistant.use_assistant", "tickets.view_ticket"],
        "csrf_checked": True,
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def _signing_input(header: dict[str, Any], changes: dict[str, Any]) -> str:
    return f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims(**changes)).encode())}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
