"""Of a value is kept what the operator wants: nothing, whether it is equal, or itself without what is redacted."""

from __future__ import annotations

from typing import Any

import pytest

from ..evidence.compare import compare
from ..evidence.digests import HIDDEN, Values, in_clear
from .observing import NO_RULES, answer, stream

KEYED = Values(key=b"a key of this deployment")
SHOWN = Values(key=b"a key", are_shown=True)
SECRET = "my password is swordfish"


def kept(control: Any, candidate: Any, values: Values) -> tuple[str, str]:
    [difference] = compare(answer(control), answer(candidate), NO_RULES, values)
    return difference.control, difference.candidate


def test_by_default_nothing_of_a_value_is_kept() -> None:
    assert kept({"a": SECRET}, {"a": "x"}, HIDDEN) == ("", "")


def test_digests_are_equal_for_equal_values_and_for_nothing_else() -> None:
    one = kept({"a": {"x": 1, "y": 2}}, {}, KEYED)[0]
    same = kept({"a": {"y": 2, "x": 1}}, {}, KEYED)[0]
    other = kept({"a": {"y": 2, "x": 3}}, {}, KEYED)[0]

    assert one == same != other
    assert len(one) == 16
    assert kept({"a": "1"}, {}, KEYED) != kept({"a": 1}, {}, KEYED)


def test_without_the_key_a_digest_cannot_be_tested() -> None:
    assert kept({"a": 1}, {}, KEYED) != kept({"a": 1}, {}, Values(key=b"another key"))


@pytest.mark.parametrize("values", [HIDDEN, KEYED])
def test_no_value_is_anywhere_in_the_differences(values: Values) -> None:
    control = answer({"a": SECRET, "b": [SECRET]}, headers=[(b"location", SECRET.encode())])
    candidate = answer({"b": []}, headers=[(b"location", b"/"), (b"set-cookie", b"sid=" + SECRET.encode())])
    texts = stream(f"data: {SECRET}\n\n"), stream("data: x\n\n")

    for pair in ((control, candidate), texts, (answer(SECRET.encode(), "text/plain"), answer(b"", "text/plain"))):
        differences = compare(*pair, NO_RULES, values)
        assert differences
        assert SECRET not in repr(differences)


def test_an_operator_may_turn_values_on() -> None:
    assert kept({"a": "x" * 500}, {"a": 2.5}, SHOWN) == ("string", "number")
    assert kept({"a": "x"}, {"a": "é"}, SHOWN) == ("x", "é")
    assert kept({"a": [1, {"b": None}]}, {}, SHOWN) == ('[1, {"b": null}]', "")
    assert kept({"a": "x" * 500}, {"a": ""}, SHOWN) == ("x" * 200 + "…", "")


@pytest.mark.parametrize(
    ("redacted", "control", "candidate"),
    [
        (("password",), {"user": {"Password": SECRET}}, {"user": {"Password": "x"}}),
        (("password",), {"user": {"password": SECRET}}, {}),
        (("user",), {"user": {"name": SECRET}}, {"user": {"name": "x"}}),
        (("/user/name",), {"user": {"name": SECRET}}, {"user": {"name": "x"}}),
        (("/user/name",), {"user": {"name": SECRET}}, {}),
        (("/*/name",), [{"name": SECRET}], []),
        (("body /a",), {"a": SECRET}, {"a": "x"}),
    ],
)
def test_what_is_redacted_is_not_shown_even_then_however_deep_it_is(
    redacted: tuple[str, ...], control: Any, candidate: Any
) -> None:
    values = Values(key=b"a key", are_shown=True, redacted=redacted)

    told = kept(control, candidate, values)

    assert told[0]
    assert SECRET not in told[0]


def test_secrets_of_the_usual_names_are_redacted_without_being_told_to() -> None:
    assert SECRET not in kept({"api_key": SECRET}, {}, SHOWN)[0]


@pytest.mark.parametrize(
    "name", ["refreshToken", "X-Auth-Token", "session_id", "userEmail", "id-jwt", "apiKey", "x_api_key"]
)
def test_a_name_is_redacted_by_its_words_however_they_are_joined(name: str) -> None:
    assert SECRET not in kept({"user": {name: SECRET}}, {"user": {name: "x"}}, SHOWN)[0]


@pytest.mark.parametrize("name", ["total_tokens", "keyboard", "sessions"])
def test_a_name_that_only_sounds_like_one_is_shown(name: str) -> None:
    assert kept({name: 7}, {name: 8}, SHOWN) == ("7", "8")


@pytest.mark.parametrize(
    "line",
    ['<input name="csrfmiddlewaretoken" value="s3cr3t">', "password=s3cr3t&user=ute", "Set-Cookie: sessionid=s3cr3t"],
)
def test_a_line_that_names_a_secret_stays_a_digest(line: str) -> None:
    control, candidate = kept_of_texts(f"Hello\n{line}\n", "Hello\nyou\n")

    assert "s3cr3t" not in control
    assert len(control) == 16
    assert candidate == "you"


def kept_of_texts(control: str, candidate: str) -> tuple[str, str]:
    one, other = (answer(side.encode(), "text/plain") for side in (control, candidate))
    [difference] = compare(one, other, NO_RULES, SHOWN)
    return difference.control, difference.candidate


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("8855877569f5e0b2", ""),
        ("256 bytes 8855877569f5e0b2", "256 bytes"),
        ("502", "502"),
        ("Grünkohl ", '"Grünkohl "'),
        ("a\x1b[2Jb\nc", "a\\x1b[2Jb\\nc"),
    ],
)
def test_what_is_shown_is_no_digest_and_moves_no_cursor(kept: str, shown: str) -> None:
    assert in_clear(kept) == shown
