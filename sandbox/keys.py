"""Makes the secrets of a stack once: the identity keys, the shared secret, Django's key."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from joserfc.jwk import KeySet, OKPKey


@dataclass(frozen=True)
class Keys:
    """Where the keys lie, and the two secrets that go into the environment."""

    private_file: Path
    jwks_file: Path
    identity_secret: str
    django_secret: str


def make_keys(data: Path) -> Keys:
    """The keys of a data folder; those that are there already stay."""
    folder = data / "identity"
    folder.mkdir(parents=True, exist_ok=True)
    private, jwks = folder / "private.json", folder / "jwks.json"
    if not (private.exists() and jwks.exists()):
        key = OKPKey.generate_key("Ed25519", {"kid": secrets.token_hex(8), "use": "sig", "alg": "EdDSA"})
        _write(private, json.dumps(key.as_dict(private=True), indent=2))
        _write(jwks, json.dumps(KeySet([key]).as_dict(private=False), indent=2))
    return Keys(private, jwks, _secret(folder / "secret"), _secret(folder / "django_secret"))


def _secret(file: Path) -> str:
    if not file.exists():
        _write(file, secrets.token_urlsafe(48))
    return file.read_text("utf-8")


def _write(file: Path, text: str) -> None:
    """Readable by the owner alone, and never half-written."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    draft.replace(file)
