"""Who answers, for every stage and every caller; and what makes a caller the same caller."""

from __future__ import annotations

import pytest

from ..buckets import is_inside
from ..config import Route
from ..stages import caller_of, decide

Headers = list[tuple[bytes, bytes]]


def route(stage: str, percent: float = 50, by: str = "cookie:sessionid", salt: str = "s") -> Route:
    split = {"percent": percent, "by": by, "salt": salt}
    return Route.model_validate({"name": "r", "path": "/", "to": "service", "stage": stage, "split": split})


def test_what_no_route_claims_is_legacys() -> None:
    assert decide(None, None).primary == "legacy"


@pytest.mark.parametrize(("stage", "primary"), [("legacy", "legacy"), ("extracted", "service")])
@pytest.mark.parametrize("caller", [None, b"a", b"b", b"c"])
def test_outside_a_split_everybody_is_answered_by_the_same(stage: str, primary: str, caller: bytes | None) -> None:
    assert decide(route(stage), caller).primary == primary


@pytest.mark.parametrize("number", range(20))
def test_in_a_split_the_bucket_of_salt_and_caller_decides(number: int) -> None:
    caller = b"%d" % number

    primary = decide(route("split"), caller).primary

    assert primary == ("service" if is_inside(b"s" + caller, 50) else "legacy")


def test_in_a_split_a_caller_without_a_key_stays_with_legacy_even_at_100_percent() -> None:
    assert decide(route("split", percent=100), None).primary == "legacy"
    assert decide(route("split", percent=100), b"x").primary == "service"
    assert decide(route("split", percent=0), b"x").primary == "legacy"


def test_every_decision_says_why() -> None:
    reasons = {
        decide(None, None).reason,
        decide(route("legacy"), None).reason,
        decide(route("extracted"), None).reason,
        decide(route("split"), None).reason,
        decide(route("split", percent=0), b"x").reason,
        decide(route("split", percent=100), b"x").reason,
    }

    assert len(reasons) == 6


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ([(b"cookie", b"sessionid=abc")], b"abc"),
        ([(b"cookie", b"a=1; sessionid=abc; b=2")], b"abc"),
        ([(b"cookie", b"a=1;sessionid=abc")], b"abc"),
        ([(b"cookie", b"a=1"), (b"cookie", b"sessionid=abc")], b"abc"),
        ([(b"cookie", b"sessionid=first; sessionid=second")], b"first"),
        ([(b"cookie", b"sessionid=a=b")], b"a=b"),
        ([(b"cookie", b'sessionid="quoted"')], b'"quoted"'),
        ([(b"cookie", b"sessionid=caf\xe9")], b"caf\xe9"),
        ([(b"cookie", b"xsessionid=abc")], None),
        ([(b"cookie", b"sessionid=")], None),
        ([(b"cookie", b"sessionid")], None),
        ([(b"cookie", b"")], None),
        ([(b"x-cookie", b"sessionid=abc")], None),
        ([], None),
    ],
)
def test_a_caller_by_cookie(headers: Headers, caller: bytes | None) -> None:
    assert caller_of(route("split"), headers, "127.0.0.1") == caller


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ([(b"x-user", b"7")], b"7"),
        ([(b"x-user", b"7"), (b"x-user", b"8")], b"7"),
        ([(b"x-user", b"")], None),
        ([(b"x-users", b"7")], None),
    ],
)
def test_a_caller_by_header_whatever_its_case_in_the_file(headers: Headers, caller: bytes | None) -> None:
    assert caller_of(route("split", by="header:X-User"), headers, "") == caller


def test_a_caller_by_address() -> None:
    assert caller_of(route("split", by="address"), [], "192.0.2.7") == b"192.0.2.7"
    assert caller_of(route("split", by="address"), [], "") is None


@pytest.mark.parametrize("stage", ["legacy", "extracted"])
def test_nobody_looks_at_the_caller_outside_a_split(stage: str) -> None:
    assert caller_of(route(stage, by="address"), [], "192.0.2.7") is None
