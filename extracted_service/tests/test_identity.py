"""The service believes one header: a token that the monolith signed, for this service, just now."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from extracted_service.errors import CsrfFailed, NotAuthenticated, SettingsError
from extracted_service.identity import HEADER, Caller, Keys, Verifier

from .identities import SigningKey
from .running import Running

NOW = int(time.time())


@pytest.fixture
def verifier(jwks_file: Path) -> Verifier:
    return Verifier(Keys(jwks_file), "helpdesk", "assistant")


def caller(verifier: Verifier, *tokens: str, method: str = "POST") -> Caller:
    raw = [(HEADER.lower().encode(), token.encode()) for token in tokens]
    return verifier.caller(method, Headers(raw=raw))


def test_a_good_identity_is_the_caller(verifier: Verifier, key: SigningKey) -> None:
    found = caller(verifier, key.token())

    assert found == Caller(3, 1, frozenset({"assistant.use_assistant", "tickets.view_ticket"}))


@pytest.mark.parametrize(
    ("baggage", "is_caller"), [("strangler.role=shadow", True), ("strangler.role=primary", False), ("", False)]
)
def test_the_identity_of_a_copy_is_worth_something_only_with_the_mark(
    verifier: Verifier, key: SigningKey, baggage: str, is_caller: bool
) -> None:
    headers = Headers({HEADER: key.token(shadow=True), "baggage": baggage})

    if is_caller:
        assert verifier.caller("POST", headers).user_id == 3
    else:
        with pytest.raises(NotAuthenticated):
            verifier.caller("POST", headers)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "elsewhere"},
        {"aud": "billing"},
        {"aud": ["assistant"]},
        {"exp": NOW - 3},
        {"iat": NOW + 86_400},  # of when the tests were collected
        {"sub": 3},
        {"sub": "maya"},
        {"sub": "3\n"},
        {"jti": ""},
        {"csrf_checked": "yes"},
        {"perms": "assistant.use_assistant"},
        *({name: None} for name in ("iss", "aud", "sub", "iat", "exp", "jti", "sid", "org", "perms", "csrf_checked")),
    ],
    ids=" ".join,
)
def test_an_identity_with_a_wrong_or_missing_claim_is_refused(
    verifier: Verifier, key: SigningKey, changes: dict[str, Any]
) -> None:
    with pytest.raises(NotAuthenticated):
        caller(verifier, key.token(**changes))


def test_two_seconds_of_clock_skew_are_forgiven(verifier: Verifier, key: SigningKey) -> None:
    late = Verifier(verifier.keys, "helpdesk", "assistant", clock=lambda: NOW + 61.5)
    early = Verifier(verifier.keys, "helpdesk", "assistant", clock=lambda: NOW - 1.5)

    assert caller(late, key.token(iat=NOW, exp=NOW + 60)).user_id == 3
    assert caller(early, key.token(iat=NOW, exp=NOW + 60)).user_id == 3


@pytest.mark.parametrize(
    "forge",
    [
        lambda key: key.confused_token(),
        lambda key: key.unsigned_token(),
        lambda key: key.token({"alg": "Ed25519"}),
        lambda key: key.token({"kid": "unknown"}),
        lambda key: key.token({"kid": None}),
        lambda key: key.token({"kid": ["first"]}),
        lambda key: key.token({"crit": ["b64"], "b64": False}),
        lambda key: SigningKey("first").token(),
        lambda key: key.token()[:-4] + "AAAA",
        lambda key: key.token().rpartition(".")[0] + ".",
        lambda key: "a.b.c",
        lambda key: "",
        lambda key: "....",
        lambda key: "x" * 200_000,
    ],
    ids=[
        "HS256 with the public key",
        "none",
        "another name",
        "unknown kid",
        "no kid",
        "kid is a list",
        "crit",
        "another key",
        "broken signature",
        "no signature",
        "nonsense",
        "empty",
        "dots",
        "huge",
    ],
)
def test_a_forged_identity_is_refused(verifier: Verifier, key: SigningKey, forge: Callable[[SigningKey], str]) -> None:
    with pytest.raises(NotAuthenticated):
        caller(verifier, forge(key))


def test_exactly_one_identity_is_accepted(verifier: Verifier, key: SigningKey) -> None:
    with pytest.raises(NotAuthenticated):
        caller(verifier)
    with pytest.raises(NotAuthenticated):
        caller(verifier, key.token(), key.token())


def test_an_unsafe_method_needs_an_identity_whose_csrf_check_was_made(verifier: Verifier, key: SigningKey) -> None:
    unchecked = key.token(csrf_checked=False)

    assert caller(verifier, unchecked, method="GET").user_id == 3
    for method in ("POST", "FOO", "get"):
        with pytest.raises(CsrfFailed):
            caller(verifier, unchecked, method=method)


def test_two_keys_live_side_by_side(jwks_file: Path, key: SigningKey) -> None:
    second = SigningKey("second")
    jwks_file.write_text(json.dumps({"keys": [key.public_jwk(), second.public_jwk()]}))
    verifier = Verifier(Keys(jwks_file), "helpdesk", "assistant")

    assert caller(verifier, key.token()).user_id == 3
    assert caller(verifier, second.token()).user_id == 3


def test_a_new_key_is_found_without_a_restart(verifier: Verifier, jwks_file: Path, key: SigningKey) -> None:
    second = SigningKey("second")
    with pytest.raises(NotAuthenticated):
        caller(verifier, second.token())

    jwks_file.write_text(json.dumps({"keys": [key.public_jwk(), second.public_jwk()]}))

    assert caller(verifier, second.token()).user_id == 3


def test_the_known_keys_outlive_a_broken_file(
    verifier: Verifier, jwks_file: Path, key: SigningKey, caplog: pytest.LogCaptureFixture
) -> None:
    jwks_file.write_text("{half a fi")

    with pytest.raises(NotAuthenticated):
        caller(verifier, SigningKey("second").token())

    assert caller(verifier, key.token()).user_id == 3
    assert "The identity keys stay as they were" in caplog.text


def test_a_broken_file_is_complained_of_once_and_found_once_it_is_mended(
    verifier: Verifier, jwks_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = SigningKey("second")
    jwks_file.write_text("{half a fi")
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            caller(verifier, second.token())

    jwks_file.write_text(json.dumps({"keys": [second.public_jwk()]}))

    assert caller(verifier, second.token()).user_id == 3
    assert caplog.text.count("The identity keys stay as they were") == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nonsense", "is no JWK set of public Ed25519 keys"),
        ("[]", "is no JWK set"),
        ('{"keys": []}', "holds no key"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "x"}]}', "another kind"),
        ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA", "kid": "x"}]}', "is private"),
        ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}', "with a kid each"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_refused_in_one_sentence(
    jwks_file: Path, content: str, complaint: str
) -> None:
    jwks_file.write_text(content)

    with pytest.raises(SettingsError, match=complaint):
        Keys(jwks_file)


def test_a_refused_identity_is_the_monoliths_answer_to_an_anonymous_caller(service: Running) -> None:
    with service.client() as client:
        refused = client.post("/api/tickets/7/summary", headers={HEADER: "nonsense"})

    assert refused.status_code == 401
    assert refused.content == (
        b'{"detail": "Authentication credentials were not provided.", "code": "not_authenticated"}'
    )


def test_two_identity_headers_on_the_wire_are_refused(service: Running) -> None:
    token = service.key.token()

    refused = httpx.post(
        f"{service.url}/api/tickets/7/summary", headers=[(HEADER, token), (HEADER, token)], trust_env=False
    )

    assert refused.status_code == 401


def test_an_unchecked_identity_is_a_csrf_failure(service: Running) -> None:
    with service.client(csrf_checked=False) as client:
        refused = client.post("/api/tickets/7/summary")

    assert refused.status_code == 403
    assert refused.content == (b'{"detail": "CSRF Failed: the identity was issued for a safe method.", "code": "csrf"}')


@pytest.mark.parametrize("identity", [{"perms": ["tickets.view_ticket"]}, {"perms": []}], ids=str)
def test_a_caller_without_the_permission_is_refused(service: Running, identity: dict[str, Any]) -> None:
    with service.client(**identity) as client:
        refused = client.post("/api/tickets/7/reply")

    assert refused.status_code == 403
    assert refused.content == (
        b'{"detail": "You do not have permission to perform this action.", "code": "permission_denied"}'
    )


def test_the_token_is_in_no_log(service: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = service.key.token(aud="billing")

    with service.client() as client:
        client.post("/api/tickets/7/summary", headers={HEADER: token})

    assert "Identity refused: another issuer or audience." in caplog.text
    assert token not in caplog.text
