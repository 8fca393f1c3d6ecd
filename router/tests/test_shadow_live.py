"""Copies that make real calls: two right answers differ, so the candidate is held against control's own second one."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ..cli import app
from ..cli.auto import Do, next_step
from ..evidence.database import open_for_reading
from ..evidence.judge import BOTH_DIFFER
from ..evidence.observations import Comparison, Second, Verdict
from ..reading import load
from ..report import report_of
from .shadowing import Both, both, kept, settled
from .wire import Script, Talk

pytestmark = pytest.mark.anyio

POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
EGRESS = '[egress]\nprovider = "http://127.0.0.1:1"\n[shadow]\nper_second = 1000'
RULE = '{ at = "/summary", pattern = "[A-Za-z0-9 ]{20,}[.]", reason = "a whole sentence in English" }'
BAD = {
    "cut short": '{"summary": "The lamp flickers because"}',
    "empty": '{"summary": ""}',
    "in another language": '{"summary": "Лампа мигает, потому что дроссель неисправен."}',
    "no JSON": '{"summary": "The lamp flickers beca',
    "without the field": '{"text": "The lamp flickers because of its ballast."}',
}


def live(twice_percent: float | None = 100, rules: str = RULE) -> str:
    twice = "" if twice_percent is None else f", twice_percent = {twice_percent}"
    return (
        f'stage = "shadow"\nshadow = {{ effects = "live", rules = [{rules}]{twice} }}\n'
        'split = { percent = 1, by = "cookie:s" }\ngate = { mismatches = 0.05, errors = 0.05, slower_share = 0.9 }'
    )


def good(number: int) -> str:
    return json.dumps({"summary": f"Draft {number} says that the ballast is to blame."})


def saying(body: Callable[[int], str], begin: int = 0, writes: bytes = b"x-shadow-writes: none\r\n") -> Script:
    """A side that asks a model: no two of its answers are the same. It takes back what it wrote for a copy."""
    numbers = itertools.count(begin)

    async def talk(talk: Talk) -> None:
        while (asked := await talk.request()) is not None:
            said = body(next(numbers)).encode()
            is_copy = b"strangler.role=shadow" in b"".join(asked.values(b"baggage"))
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(said)
            await talk.send(head + (writes if is_copy else b"") + b"\r\n" + said)

    return talk


async def asked(sides: Both, times: int) -> list[Comparison]:
    await asyncio.gather(*(sides.router.ask(POST) for _ in range(times)))
    await settled(sides)
    return kept(sides)


def reported(folder: Path) -> list[str]:
    """What the commands say of the route: report's word, and what advance and --auto make of it."""
    config = load(folder / "routes.toml")
    found = report_of(config, config.routes[0], open_for_reading(config.evidence.url))
    step = next_step(found, found.place, 100.0, 60.0, 0.0)
    moved = CliRunner().invoke(app, ["advance", "r", "--file", str(folder / "routes.toml")])
    return [str(found.verdict.word), step.do.value, str(moved.exception) if moved.exception else "moved"]


@pytest.mark.parametrize("fault", BAD)
async def test_a_candidate_whose_answers_are_now_and_then_bad_is_stopped(tmp_path: Path, fault: str) -> None:
    def service(number: int) -> str:
        return BAD[fault] if number % 3 == 0 else good(number)

    async with both(tmp_path, saying(good), saying(service), route=live(), settings=EGRESS) as sides:
        comparisons = await asked(sides, 45)

    assert [each.verdict for each in comparisons].count(Verdict.MISMATCH) == 15
    assert {each.second for each in comparisons} == {Second.MATCH}
    word, step, moved = reported(tmp_path)
    assert (word, step) == ("no-go", Do.ROLL_BACK.value)
    assert "stays in shadow: the evidence says no-go: mismatches: 15 of 45 by the candidate alone and 0 by" in moved
    told = CliRunner().invoke(app, ["report", str(tmp_path / "routes.toml"), "--html", str(tmp_path / "page.html")])
    assert "15 − 0 of 45" in told.output
    assert "15 − 0 of 45" in (tmp_path / "page.html").read_text()
    said = json.loads(CliRunner().invoke(app, ["report", str(tmp_path / "routes.toml"), "--json"]).output)
    assert (said[0]["rates"]["mismatches"]["hits"], said[0]["rates"]["mismatches"]["control_hits"]) == (15, 0)


async def test_a_candidate_as_good_as_control_is_a_go_though_no_two_answers_are_the_same(tmp_path: Path) -> None:
    def now_and_then_bad(number: int) -> str:
        return BAD["empty"] if number % 50 == 49 else good(number)

    sides = saying(now_and_then_bad), saying(now_and_then_bad, 1_000)
    async with both(tmp_path, *sides, route=live(), settings=EGRESS) as all_:
        comparisons = await asked(all_, 250)

    assert Second.MISMATCH in {each.second for each in comparisons}
    assert reported(tmp_path) == ["go", Do.ADVANCE.value, "moved"]


async def test_without_a_rule_for_what_always_differs_nothing_can_be_said(tmp_path: Path) -> None:
    async with both(tmp_path, saying(good), saying(good, 9), route=live(rules=""), settings=EGRESS) as sides:
        (comparison,) = await asked(sides, 1)

    assert (comparison.verdict, comparison.reason) == (Verdict.INCONCLUSIVE, BOTH_DIFFER)


async def test_control_is_not_asked_twice_unless_that_is_said(tmp_path: Path) -> None:
    async with both(tmp_path, saying(good), saying(good), route=live(None), settings=EGRESS) as sides:
        (comparison,) = await asked(sides, 1)

    assert (len(sides.legacy.asked), comparison.second) == (1, Second.NONE)
    word, _, moved = reported(tmp_path)
    assert word == "keep watching"
    assert "control gave no second one to go by: shadow.twice_percent" in moved


async def test_control_that_does_not_say_it_took_back_what_it_wrote_is_not_asked_again(tmp_path: Path) -> None:
    async with both(tmp_path, saying(good, writes=b""), saying(good), route=live(), settings=EGRESS) as sides:
        (first,) = await asked(sides, 1)
        second, _ = await asked(sides, 1)

    assert len(sides.legacy.asked) == 3
    assert first.reason.startswith("control's second answer: the copy's answer does not say X-Shadow-Writes")
    assert second.second is Second.NONE


async def test_a_second_answer_that_fails_is_held_against_control(tmp_path: Path) -> None:
    numbers = itertools.count()

    async def legacy(talk: Talk) -> None:
        while await talk.request() is not None:
            if next(numbers):
                return
            body = good(0).encode()
            await talk.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            await talk.send(b"content-length: %d\r\n\r\n%b" % (len(body), body))

    async with both(tmp_path, legacy, saying(good), route=live(), settings=EGRESS) as sides:
        (comparison,) = await asked(sides, 1)

    assert (comparison.verdict, comparison.second) == (Verdict.MATCH, Second.FAILED)
