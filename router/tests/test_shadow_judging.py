"""What becomes of a copy's answer: it is judged against the caller's and kept; reads get a second opinion."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ..evidence.database import open_engine
from ..evidence.observations import Kind, Verdict
from ..evidence.reading import counted
from ..reading import parse
from ..shadow import copier
from ..shadow.judging import epoch_of
from .shadowing import Both, both, kept, settled
from .wire import OK, Script, Talk, always, until

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: sessionid=s\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


def json(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"content-type: application/json", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", b""]) + body


def numbers(both: Both) -> dict[str, int]:
    """What the evidence has counted."""
    kept(both)
    worker = both.links[0].worker
    assert worker._kept is not None
    return counted(open_engine(worker._kept.evidence.url, writes=False)).get("r", {})


def in_turn(*answers: bytes) -> Script:
    """One answer after the other, on whatever connection; the last again and again."""
    left = list(answers)

    async def talk(talk: Talk) -> None:
        while await talk.request() is not None:
            await talk.send(left.pop(0) if len(left) > 1 else left[0])

    return talk


async def test_two_answers_that_say_the_same_match(tmp_path: Path) -> None:
    one, other = json(b'{"a": 1, "b": 2}'), json(b'{"b":2,"a":1}')
    async with both(tmp_path, always(one), always(other)) as all_:
        await all_.router.ask(GET)
        await settled(all_)

        (comparison,) = kept(all_)

    assert all_.counts.matched == 1
    assert comparison.verdict is Verdict.MATCH
    assert (comparison.route, comparison.stage) == ("r", "shadow")
    assert (comparison.control, comparison.candidate) == ("legacy", "service")
    assert comparison.exchange_id.encode() in all_.service.asked[0].values(b"traceparent")[0]
    assert 0 < comparison.candidate_seconds < 5


async def test_what_was_counted_is_added_up_in_the_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copier, "TALLY_SECONDS", 0.05)
    async with both(tmp_path, always(OK), always(OK)) as all_:
        await all_.router.ask(GET)
        await all_.router.ask(GET.replace(b"\r\n\r\n", b"\r\nRange: bytes=0-1\r\n\r\n"))
        await settled(all_)
        await until(lambda: len(numbers(all_)) == 4)

        assert numbers(all_) == {
            "shadow: offered": 2,
            "shadow: dropped, not comparable": 1,
            "shadow: sent": 1,
            "shadow: matched": 1,
        }


async def test_a_mismatch_is_kept_by_its_place(tmp_path: Path) -> None:
    async with both(tmp_path, always(json(b'{"a": 1}')), always(json(b'{"a": 2}'))) as all_:
        await all_.router.ask(GET)
        await settled(all_)

        (comparison,) = kept(all_)

    (difference,) = comparison.differences
    assert all_.counts.mismatched == 1
    assert (difference.place, difference.kind) == ("body /a", Kind.VALUE)
    assert difference.control != difference.candidate
    assert len(difference.control) == 16


@pytest.mark.parametrize(("until_day", "verdict"), [("2020-01-31", Verdict.MISMATCH), ("2999-12-31", Verdict.MATCH)])
async def test_after_its_last_day_a_rule_excuses_nothing(tmp_path: Path, until_day: str, verdict: Verdict) -> None:
    rule = f'{{ at = "body /a", ignore = true, reason = "it is being mended", until = {until_day} }}'
    route = f'stage = "shadow"\nshadow = {{ effects = "none", twice_percent = 0, rules = [{rule}] }}'
    async with both(tmp_path, always(json(b'{"a": 1}')), always(json(b'{"a": 2}')), route=route) as all_:
        await all_.router.ask(GET)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.verdict is verdict


async def test_a_mismatch_of_a_read_is_asked_again_on_both_sides_before_it_counts(tmp_path: Path) -> None:
    old, new = json(b'{"a": 1}'), json(b'{"a": 2}')
    async with both(tmp_path, in_turn(old, new), always(new)) as all_:
        await all_.router.ask(GET)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert comparison.reason.startswith("the state moved")
    assert [asked.values(b"baggage") for asked in all_.legacy.asked] == [
        [b"strangler.role=primary"],
        [b"strangler.role=shadow"],
    ]
    assert len(all_.service.asked) == 2


async def test_a_mismatch_of_what_may_write_is_not_asked_again(tmp_path: Path) -> None:
    route = 'stage = "shadow"\nshadow = { effects = "tape" }'
    settings = '[egress]\nprovider = "http://127.0.0.1:1"'
    said = json(b'{"a": 2}', b"x-shadow-writes: none")
    async with both(tmp_path, always(json(b'{"a": 1}')), always(said), route=route, settings=settings) as all_:
        await all_.router.ask(POST)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.verdict is Verdict.MISMATCH
    assert (len(all_.legacy.asked), len(all_.service.asked)) == (1, 1)


async def test_a_copy_that_does_not_say_it_wrote_nothing_is_inconclusive(tmp_path: Path) -> None:
    route = 'stage = "shadow"\nshadow = { effects = "tape" }'
    settings = '[egress]\nprovider = "http://127.0.0.1:1"'
    async with both(tmp_path, always(OK), always(OK), route=route, settings=settings) as all_:
        await all_.router.ask(POST)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert "X-Shadow-Writes" in comparison.reason


@pytest.mark.parametrize(
    ("effects", "mark"),
    [
        ("none", b"strangler.role=shadow"),
        ("tape", b"strangler.role=shadow"),
        ("live", b"strangler.role=shadow,strangler.effects=live"),
    ],
)
async def test_the_mark_says_whether_calls_may_be_real(tmp_path: Path, effects: str, mark: bytes) -> None:
    route = f'stage = "shadow"\nshadow = {{ effects = "{effects}" }}'
    settings = '[egress]\nprovider = "http://127.0.0.1:1"'
    async with both(tmp_path, always(OK), always(OK), route=route, settings=settings) as all_:
        await all_.router.ask(POST)
        await settled(all_)

    assert all_.service.asked[0].values(b"baggage") == [mark]


async def test_where_control_differs_from_itself_nothing_counts(tmp_path: Path) -> None:
    numbers = [json(b'{"a": %d}' % number) for number in range(100)]
    route = 'stage = "shadow"\nshadow = { effects = "none", twice_percent = 100 }'
    async with both(tmp_path, in_turn(*numbers), always(json(b'{"a": 1000}')), route=route) as all_:
        for _ in range(6):
            await all_.router.ask(GET)
            await settled(all_)

        verdicts = [each.verdict for each in kept(all_)]

    assert Verdict.MISMATCH not in verdicts
    assert verdicts[:3] == [Verdict.MATCH] * 3


async def test_a_candidate_that_gives_no_answer_has_failed(tmp_path: Path) -> None:
    async def dies(talk: Talk) -> None:
        await talk.request()

    async with both(tmp_path, always(OK), dies) as all_:
        await all_.router.ask(POST)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.candidate_failed
    assert not comparison.control_failed
    assert (all_.counts.failed, all_.counts.mismatched) == (1, 1)


async def test_a_copy_has_a_deadline(tmp_path: Path) -> None:
    async def hangs(talk: Talk) -> None:
        await talk.ended()

    async with both(tmp_path, always(OK), hangs, settings="[shadow]\ntimeout_seconds = 0.3") as all_:
        await all_.router.ask(POST)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.candidate_failed
    assert (all_.counts.failed, all_.counts.timed_out) == (1, 1)


async def test_an_answer_without_an_end_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    async def floods(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            await talk.send(b"x" * 65_536)

    async with both(tmp_path, always(OK), floods, settings="[shadow]\nbody_bytes = 10000") as all_:
        await all_.router.ask(POST)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.verdict is Verdict.MISMATCH
    assert all_.counts.failed == 0


@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized"])
async def test_a_refusal_after_the_callers_cookies_changed_says_nothing(tmp_path: Path, status: bytes) -> None:
    """Be it that the copy comes with a session that is gone, or that a marked copy is not told to forget its own."""
    logged_in = json(b"{}", b"set-cookie: sessionid=new", status=status)
    refused = json(b"{}", status=b"401 Unauthorized")
    async with both(tmp_path, always(logged_in), always(refused)) as all_:
        await all_.router.ask(GET)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert comparison.reason == "the answer to the caller changed the caller's cookies"


BEFORE = """
upstreams = { legacy = "http://127.0.0.1:1", service = { url = "http://127.0.0.1:2", build = "7" } }
[egress]
provider = "http://127.0.0.1:3"
[[routes]]
name = "r"
path = "/"
stage = "shadow"
shadow = { percent = 10, effects = "none" }
"""


@pytest.mark.parametrize(
    ("change", "begins_anew"),
    [
        (('"7"', '"8"'), True),
        (('"none"', '"none", ignore = ["/a"]'), True),
        (('"none"', '"tape"'), True),
        (('stage = "shadow"', 'stage = "reverse"'), True),
        (('"none" }', '"none" }\ngate = { mismatches = 0.02 }'), True),
        (("percent = 10", "percent = 50"), False),
        (('stage = "shadow"', 'stage = "split"\nsplit = { percent = 1, by = "address" }'), False),
    ],
)
def test_another_build_or_rule_begins_the_evidence_anew(change: tuple[str, str], begins_anew: bool) -> None:
    before, after = parse(BEFORE), parse(BEFORE.replace(*change))

    assert (epoch_of(before, before.routes[0]) != epoch_of(after, after.routes[0])) is begins_anew


EXCHANGE = '[identity]\nfrom = "legacy"\n'


def monolith(exchange: bytes) -> Script:
    """Answers the identity exchange with this, and everything else well."""

    async def talk(talk: Talk) -> None:
        while (asked := await talk.request()) is not None:
            await talk.send(exchange if asked.target == b"/internal/identity" else OK)

    return talk


async def test_a_copy_has_an_identity_of_its_own_asked_for_with_the_mark(tmp_path: Path) -> None:
    token = json(b'{"token": "a.b.c", "expires_in": 60}', b"set-cookie: sessionid=cycled")
    environ = {"IDENTITY_SECRET": "secret"}
    asked_with = b"POST / HTTP/1.1\r\nHost: h\r\nCookie: sessionid=s\r\nX-CSRFToken: t\r\nContent-Length: 3\r\n\r\nabc"
    async with both(tmp_path, monolith(token), always(OK), settings=EXCHANGE, environ=environ) as all_:
        answer = await all_.router.ask(asked_with)
        await settled(all_)

    original, exchange = all_.legacy.asked
    (copy,) = all_.service.asked
    assert original.target == b"/"
    assert exchange.values(b"baggage") == [b"strangler.role=shadow"]
    assert exchange.values(b"cookie") == [b"sessionid=s"]
    assert exchange.values(b"x-csrftoken") == [b"t"]
    assert exchange.values(b"x-original-method") == [b"POST"]
    assert exchange.values(b"x-identity-audience") == [b"service"]
    assert copy.values(b"x-internal-identity") == [b"a.b.c"]
    assert answer.values(b"set-cookie") == []
    assert all_.counts.matched == 1


async def test_a_refusal_by_the_identity_exchange_is_what_a_caller_would_get(tmp_path: Path) -> None:
    refused = json(b'{"detail": "no"}', status=b"403 Forbidden")
    environ = {"IDENTITY_SECRET": "secret"}
    async with both(tmp_path, monolith(refused), always(OK), settings=EXCHANGE, environ=environ) as all_:
        await all_.router.ask(POST)
        await settled(all_)

        (comparison,) = kept(all_)

    assert comparison.verdict is Verdict.MISMATCH
    assert "status" in {each.place for each in comparison.differences}
    assert all_.service.asked == []


async def test_an_identity_exchange_that_fails_says_nothing_of_the_candidate(tmp_path: Path) -> None:
    environ = {"IDENTITY_SECRET": "secret"}
    broken = json(b"{}", status=b"500 Oh")
    async with both(tmp_path, monolith(broken), always(OK), settings=EXCHANGE, environ=environ) as all_:
        await all_.router.ask(POST)
        await settled(all_)

        (comparison,) = kept(all_)

    assert (comparison.verdict, comparison.reason) == (Verdict.INCONCLUSIVE, "the identity exchange failed")
    assert all_.service.asked == []


async def test_a_mismatch_while_the_database_was_away_says_nothing_of_the_candidate(tmp_path: Path) -> None:
    """The egress had no tape to answer it from, and what it noted of that is written later."""
    route = 'stage = "shadow"\nshadow = { effects = "tape" }'
    settings = '[egress]\nprovider = "http://127.0.0.1:1"'
    failed = json(b"{}", b"x-shadow-writes: none", status=b"502 Bad Gateway")
    async with both(tmp_path, always(json(b"{}")), always(failed), route=route, settings=settings) as all_:
        await all_.router.ask(POST)
        await settled(all_)
        known = all_.links[0].worker._kept
        assert known is not None
        known.store.away_at = math.inf
        await all_.router.ask(POST)
        await settled(all_)

        away, before = kept(all_)

    assert before.verdict is Verdict.MISMATCH
    assert (away.verdict, away.reason) == (Verdict.INCONCLUSIVE, "the tape cannot be read")
    assert away.control_failed  # so the candidate's 502 is counted nowhere


async def test_a_tape_that_cannot_be_read_makes_it_inconclusive_and_nothing_worse(tmp_path: Path) -> None:
    route = 'stage = "shadow"\nshadow = { effects = "tape" }'
    settings = '[egress]\nprovider = "http://127.0.0.1:1"'
    said = json(b"{}", b"x-shadow-writes: none")
    async with both(tmp_path, always(json(b"{}")), always(said), route=route, settings=settings) as all_:
        worker = all_.links[0].worker
        assert worker._kept is not None
        worker._kept.tape.close()
        await all_.router.ask(POST)
        await settled(all_)

    assert all_.counts.sent == 1
