"""The secrets of a stack are made once, hold together, and are nobody else's to read."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from sandbox.keys import make_keys


def test_what_the_private_key_signs_the_public_set_verifies(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    private = OKPKey.import_key(json.loads(keys.private_file.read_text()))
    public = OKPKey.import_key(json.loads(keys.jwks_file.read_text())["keys"][0])

    assert isinstance(private.private_key, Ed25519PrivateKey)
    assert isinstance(public.public_key, Ed25519PublicKey)
    signature = private.private_key.sign(b"who the caller is")

    public.public_key.verify(signature, b"who the caller is")  # raises if it does not fit
    assert private.kid == public.kid
    assert "d" not in json.loads(keys.jwks_file.read_text())["keys"][0]


def test_a_second_start_keeps_the_keys(tmp_path: Path) -> None:
    assert make_keys(tmp_path) == make_keys(tmp_path)


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    make_keys(tmp_path)

    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "identity").iterdir()} == {0o600}
