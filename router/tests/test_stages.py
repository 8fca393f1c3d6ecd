"""Who answers and who gets a copy, for every stage and every caller; and what makes a caller the same caller."""

from __future__ import annotations

from typing import Any

import pytest

from ..buckets import is_inside
from ..config import Route
from ..stages import Caller, Copied, Decision, caller_of, decide

Headers = list[tuple[bytes, bytes]]
ABSENT = Caller()


def route(stage: str, percent: float = 50, by: str = "cookie:sessionid", salt: str = "s", shadow: Any = None) -> Route:
    split = {"percent": percent, "by": by, "salt": salt}
    tables = {"split": split, "shadow": {"salt": "t", **(shadow or {})}}
    return Route.model_validate({"name": "r", "path": "/", "to": "service", "stage": stage, **tables})


def decided(route: Route | None, caller: Caller = ABSENT, method: str = "GET", exchange_id: int = 0) -> Decision:
    return decide(route, method, caller, exchange_id)


def test_what_no_route_claims_is_legacys() -> None:
    assert decided(None) == Decision("legacy", "no route claims it")


@pytest.mark.parametrize(
    ("stage", "primary"),
    [("legacy", "legacy"), ("shadow", "legacy"), ("reverse", "service"), ("extracted", "service")],
)
@pytest.mark.parametrize("caller", [None, b"a", b"b", b"c"])
def test_outside_a_split_everybody_is_answered_by_the_same(stage: str, primary: str, caller: bytes | None) -> None:
    assert decided(route(stage), Caller(caller)).primary == primary


@pytest.mark.parametrize("number", range(20))
def test_in_a_split_the_bucket_of_salt_and_caller_decides(number: int) -> None:
    caller = b"%d" % number

    primary = decided(route("split"), Caller(caller)).primary

    assert primary == ("service" if is_inside(b"s" + caller, 50) else "legacy")


def test_in_a_split_a_caller_without_a_key_stays_with_legacy_even_at_100_percent() -> None:
    assert decided(route("split", percent=100)).primary == "legacy"
    assert decided(route("split", percent=100), Caller(b"x")).primary == "service"
    assert decided(route("split", percent=0), Caller(b"x")).primary == "legacy"


@pytest.mark.parametrize(
    ("stage", "percent", "shadow", "copied"),
    [
        ("legacy", 0, "", Copied.NOT_IN_STAGE),
        ("shadow", 0, "service", Copied.YES),
        ("split", 0, "service", Copied.YES),
        ("split", 100, "", Copied.NO_OTHER_SIDE),
        ("reverse", 0, "legacy", Copied.YES),
        ("extracted", 0, "", Copied.NOT_IN_STAGE),
    ],
)
def test_the_stage_says_who_gets_a_copy(stage: str, percent: float, shadow: str, copied: Copied) -> None:
    decision = decided(route(stage, percent=percent), Caller(b"x"))

    assert (decision.shadow, decision.copied) == (shadow, copied)


@pytest.mark.parametrize("stage", ["shadow", "split", "reverse"])
def test_a_shadow_of_0_percent_copies_nothing(stage: str) -> None:
    copying, silent = route(stage, percent=0), route(stage, percent=0, shadow={"percent": 0})

    assert decided(copying).copied is Copied.YES
    assert decided(silent) == Decision(decided(copying).primary, decided(copying).reason, "", Copied.NONE)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_where_effects_are_not_declared_only_get_and_head_are_copied(method: str) -> None:
    assert decided(route("shadow"), method="GET").copied is Copied.YES
    assert decided(route("shadow"), method="HEAD").copied is Copied.YES
    assert decided(route("shadow"), method=method).copied is Copied.NOT_DECLARED
    assert decided(route("shadow", shadow={"effects": "none"}), method=method).copied is Copied.YES


@pytest.mark.parametrize("number", range(20))
def test_whatever_belongs_together_is_copied_whole_or_not_at_all(number: int) -> None:
    half = route("shadow", shadow={"percent": 50})
    caller = b"%d" % number

    found = {decided(half, Caller(None, caller), exchange_id=each << 30).copied for each in range(8)}

    assert found == {Copied.YES if is_inside(b"t" + caller, 50) else Copied.SAMPLED_OUT}


def test_without_a_key_the_exchange_is_sampled() -> None:
    half = route("shadow", shadow={"percent": 50})

    copied = [decided(half, exchange_id=each << 16).copied for each in range(0, 1 << 16, 256)]

    assert copied == [Copied.YES] * 128 + [Copied.SAMPLED_OUT] * 128


def test_the_share_that_is_copied_is_drawn_apart_from_the_split() -> None:
    both = route("split", shadow={"percent": 50})
    copied = [
        decided(both, Caller(b"%d" % number, b"%d" % number)).copied
        for number in range(1000)
        if not is_inside(b"s%d" % number, 50)
    ]

    assert 0.4 < copied.count(Copied.YES) / len(copied) < 0.6


def test_every_decision_says_why() -> None:
    reasons = {
        decided(None).reason,
        decided(route("legacy")).reason,
        decided(route("extracted")).reason,
        decided(route("split")).reason,
        decided(route("split", percent=0), Caller(b"x")).reason,
        decided(route("split", percent=100), Caller(b"x")).reason,
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
    assert caller_of(route("split"), headers, "127.0.0.1").split == caller


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
    assert caller_of(route("split", by="header:X-User"), headers, "").split == caller


def test_a_caller_by_address() -> None:
    assert caller_of(route("split", by="address"), [], "192.0.2.7").split == b"192.0.2.7"
    assert caller_of(route("split", by="address"), [], "").split is None


@pytest.mark.parametrize("stage", ["shadow", "split", "reverse"])
def test_the_shadow_may_go_by_something_else_than_the_split(stage: str) -> None:
    headers = [(b"cookie", b"sessionid=abc"), (b"x-conversation", b"7")]

    caller = caller_of(route(stage, shadow={"by": "header:X-Conversation"}), headers, "")

    assert caller == Caller(b"abc" if stage == "split" else None, b"7")


@pytest.mark.parametrize("stage", ["legacy", "extracted"])
def test_nobody_looks_at_the_caller_where_no_stage_asks(stage: str) -> None:
    assert caller_of(route(stage, by="address"), [], "192.0.2.7") == ABSENT
