"""A route moves on when the evidence says go, and only then; what moved it is in the journal, and report says all."""

from __future__ import annotations

import json
import sqlite3
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ..cli import app
from ..cli.auto import Do, next_step, walk
from ..errors import EditError
from ..evidence.observations import Comparison, Difference, Kind, Verdict
from ..evidence.store import Store
from ..reading import load
from ..report import report_of
from ..shadow.judging import epoch_of
from ..steps import Place

ROUTES = """
upstreams = {{ legacy = "http://127.0.0.1:8001", assistant = "http://127.0.0.1:8002" }}
[evidence]
url = "sqlite:///{folder}/evidence.db"
[[routes]]
name = "ask"
path = "/ask"
stage = "{stage}"   # mind this
split = {{ percent = 10, by = "cookie:sessionid" }}
shadow = {{ percent = 100, effects = "none" }}
[[routes]]
name = "plain"
path = "/plain"
stage = "legacy"
split = {{ percent = 10, by = "cookie:sessionid" }}
"""
ENOUGH = 377
"""Matches without a mismatch that are a go at the default gate."""


class Moving:
    """A routes.toml with its evidence."""

    def __init__(self, folder: Path, stage: str = "shadow") -> None:
        self.file = folder / "routes.toml"
        self.file.write_text(ROUTES.format(folder=folder, stage=stage))
        self.folder = folder

    def saw(self, count: int, verdict: Verdict = Verdict.MATCH, at: float | None = None, **fields: Any) -> None:
        config = load(self.file)
        epoch = epoch_of(config, config.routes[0])
        store = Store(config.evidence)
        for number in range(count):
            seconds = time.time() if at is None else at
            fields.setdefault("reason", "")
            one = Comparison(
                f"{number:032x}", "ask", "shadow", epoch, seconds, "legacy", "assistant", verdict, **fields
            )
            assert store.add(one)
        store.close()

    def run(self, *words: str) -> Result:
        if words[0] == "report":
            return CliRunner().invoke(app, [words[0], str(self.file), *words[1:]])
        return CliRunner().invoke(app, [*words, "--file", str(self.file)])

    def stage(self) -> str:
        return load(self.file).routes[0].stage

    def journal(self) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.folder / "evidence.db") as database:
            return database.execute(
                "SELECT route, before, after, reason, forced, evidence FROM evidence_moves ORDER BY id"
            ).fetchall()


@pytest.fixture
def moving(tmp_path: Path) -> Moving:
    return Moving(tmp_path)


def test_without_enough_evidence_a_route_stays_and_the_refusal_says_how_much_is_missing(moving: Moving) -> None:
    moving.saw(ENOUGH - 1)

    refused = moving.run("advance", "ask")

    assert isinstance(refused.exception, EditError)
    assert '"ask" stays in shadow: the evidence says keep watching (about 1 more' in str(refused.exception)
    assert moving.stage() == "shadow"


def test_with_a_go_it_moves_and_the_journal_has_what_that_rested_on(moving: Moving) -> None:
    moving.saw(ENOUGH)

    moved = moving.run("advance", "ask")

    assert moved.exit_code == 0, moved.output
    assert moving.stage() == "split"
    [(route, before, after, _, forced, evidence)] = moving.journal()
    assert (route, before, after, forced) == ("ask", "shadow", "split 1 %", 0)
    assert json.loads(evidence)["verdict"] == "go"
    assert json.loads(evidence)["comparisons"] == ENOUGH


def test_evidence_of_other_builds_or_rules_does_not_count(moving: Moving) -> None:
    moving.saw(ENOUGH)
    moving.file.write_text(moving.file.read_text().replace('effects = "none"', 'effects = "none", ignore = ["/at"]'))

    refused = moving.run("advance", "ask")

    assert "nothing was compared yet under these builds and rules" in str(refused.exception)


def test_a_no_go_is_told_with_its_numbers_and_force_moves_all_the_same(moving: Moving) -> None:
    moving.saw(40, Verdict.MISMATCH)

    refused = moving.run("advance", "ask")
    forced = moving.run("advance", "ask", "--force", "--reason", "we know, and fix it tonight")

    assert "the evidence says no-go: mismatches: 40 of 40" in str(refused.exception)
    assert forced.exit_code == 0, forced.output
    assert moving.stage() == "split"
    assert [(row[3], row[4]) for row in moving.journal()] == [("we know, and fix it tonight", 1)]


@pytest.mark.parametrize("route", ["ask", "plain"])
def test_nobody_is_answered_by_the_extracted_upstream_without_evidence(tmp_path: Path, route: str) -> None:
    moving = Moving(tmp_path, stage="legacy")

    refused = moving.run("advance", route, "--to", "extracted")

    assert "There is no evidence yet" in str(refused.exception)
    moving.saw(1)
    refused = moving.run("advance", route, "--to", "extracted")
    cure = "give it copies, such as shadow = {" if route == "plain" else "keep watching (about 376 more"
    assert cure in str(refused.exception)


def test_to_stage_shadow_the_way_is_free(tmp_path: Path) -> None:
    moving = Moving(tmp_path, stage="legacy")

    assert moving.run("advance", "ask").exit_code == 0
    assert moving.stage() == "shadow"


def test_a_way_back_works_without_a_database_and_says_that_it_is_not_in_the_journal(moving: Moving) -> None:
    text = moving.file.read_text().replace(f"sqlite:///{moving.folder}/evidence.db", "sqlite:////dev/null/evidence.db")
    moving.file.write_text(text)

    back = moving.run("rollback", "ask")

    assert back.exit_code == 0, back.output
    assert moving.stage() == "legacy"
    assert "The move is made, but it is not in the journal" in back.output


def test_report_says_of_each_route_what_was_counted_what_differs_and_the_verdict(moving: Moving) -> None:
    difference = Difference("body /usage/prompt_tokens", Kind.MISSING)
    moving.saw(100)
    moving.saw(2, Verdict.MISMATCH, differences=(difference,))
    moving.saw(1, Verdict.INCONCLUSIVE, reason="the recording is cut off")
    store = Store(load(moving.file).evidence)
    store.count("ask", "shadow: offered", 110)
    store.count("ask", "shadow: dropped, too large", 7)
    store.close()

    told = moving.run("report")

    assert told.exit_code == 3
    assert "2 of 102" in told.output
    assert "keep watching" in told.output
    assert "body /usage/prompt_tokens missing, twice, last" in told.output
    assert "1 × the recording is cut off" in told.output
    assert "ask, copies: 7 dropped, too large; 110 offered" in told.output
    assert "not copied" in told.output  # the other route
    assert "with values = true under [evidence] it is from then on" in told.output


def test_report_shows_both_values_where_they_are_kept_in_clear_and_the_journal_never_does(moving: Moving) -> None:
    moving.file.write_text(moving.file.read_text().replace('db"', 'db"\nvalues = true', 1))
    status, at = Difference("status", Kind.VALUE, "200", "502"), Difference("body /at", Kind.MISSING, "10:00 \x1b[2J")
    hidden = Difference("body /token", Kind.VALUE, "8855877569f5e0b2", "6cefbcaa19525f62")
    moving.saw(40, Verdict.MISMATCH, differences=(status, at, hidden))
    page = moving.folder / "report.html"

    told, in_json = moving.run("report", "--html", str(page)).output, moving.run("report", "--json").output
    moving.run("advance", "ask", "--force", "--reason", "a test")

    assert "      200 → 502\n" in told
    assert "      10:00 \\x1b[2J → nothing\n" in told
    assert "8855877569f5e0b2" not in told + page.read_text() + in_json
    assert "10:00 \\x1b[2J → nothing" in page.read_text()
    assert {"control": "200", "candidate": "502"}.items() <= by_place(in_json)["status"].items()
    assert "values = true" not in told
    assert "A no-go stays until something changes" in told
    [(*_, evidence)] = moving.journal()
    assert "body /at" in evidence
    assert "10:00" not in evidence


def by_place(report: str) -> dict[str, dict[str, Any]]:
    return {each["place"]: each for each in json.loads(report)[0]["clusters"]}


@pytest.mark.parametrize(
    ("count", "verdict", "status"), [(ENOUGH, Verdict.MATCH, 0), (40, Verdict.MISMATCH, 1), (3, Verdict.MATCH, 3)]
)
def test_a_pipeline_goes_by_the_exit_status(moving: Moving, count: int, verdict: Verdict, status: int) -> None:
    moving.saw(count, verdict)

    assert moving.run("report").exit_code == status


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--route", "asc"], 'There is no route "asc". Did you mean "ask"?'),
        (["--html", "/nowhere/page.html"], "/nowhere/page.html cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_reported_is_no_verdict(moving: Moving, words: list[str], sentence: str) -> None:
    moving.saw(1)

    told = moving.run("report", *words)

    assert told.exit_code == 2
    assert sentence in " ".join(told.output.replace("│", " ").split())


def test_a_route_that_should_be_copied_and_never_was_is_reported_loudly(moving: Moving) -> None:
    Moving(moving.folder, "legacy").saw(1)
    moving.file.write_text(moving.file.read_text().replace('"legacy"   # mind', '"shadow"   # mind'))
    moving.file.write_text(moving.file.read_text().replace('effects = "none"', 'effects = "none", ignore = ["/x"]'))

    told = moving.run("report")

    assert told.exit_code == 3
    assert "ask: copies should be made, and not one was compared yet" in told.output


def test_json_and_page_say_the_same_and_the_page_needs_nothing_else(moving: Moving) -> None:
    moving.saw(5, Verdict.MISMATCH, differences=(Difference("body /<b>&", Kind.VALUE, "a1", "b2"),))
    page = moving.folder / "report.html"

    told = moving.run("report", "--json", "--html", str(page))

    [ask, _] = json.loads(told.output)
    assert ask["rates"]["mismatches"]["hits"] == 5
    assert ask["clusters"][0]["place"] == "body /<b>&"
    html = page.read_text()
    assert "body /&lt;b&gt;&amp;" in html
    assert "<script" not in html
    assert "http" not in html
    for drawing in html.split("<svg")[1:]:
        svg = ElementTree.fromstring("<svg" + drawing.partition("</svg>")[0] + "</svg>")  # noqa: S314  (our own)
        [words] = svg.iter("text")
        longest = "-100.00% to 100.00% →"  # seven pixels a letter, at its font's size of eleven
        assert float(words.attrib["x"]) + 7 * len(longest) <= float(svg.attrib["width"])


def test_json_and_page_tell_how_long_answers_take_on_both_sides(moving: Moving) -> None:
    for control, candidate in ((0.01, 0.02), (0.03, 0.06), (0.02, 0.04)):
        moving.saw(1, control_seconds=control, candidate_seconds=candidate, control_gap_seconds=candidate)
    moving.saw(1, control_seconds=9.0, candidate_seconds=9.0, candidate_failed=True)
    page = moving.folder / "report.html"

    told = moving.run("report", "--json", "--html", str(page))

    [ask, _] = json.loads(told.output)
    assert ask["times_seconds"] == [
        {"what": "own time", "control": 0.02, "candidate": 0.04, "control_p95": 0.03, "candidate_p95": 0.06}
    ]
    row = "<tr><td>own time</td>" + "".join(f"<td class='number'>{ms}</td>" for ms in (20.0, 30.0, 40.0, 60.0))
    assert row in page.read_text()


def test_a_difference_that_goes_on_is_counted_to_its_last_exchange(moving: Moving) -> None:
    now = time.time()
    for number in range(30):
        places = ("body /a", "body /b") if number % 3 else ("body /a",)
        differences = tuple(Difference(place, Kind.VALUE, "a1", "b2") for place in places)
        moving.saw(1, Verdict.MISMATCH, at=now - 115_200 + 3_600 * number, differences=differences)

    [ask, _] = json.loads(moving.run("report", "--json").output)
    told = moving.run("report").output

    assert [(each["place"], each["count"]) for each in ask["clusters"]] == [("body /a", 30), ("body /b", 20)]
    assert [each["last_at"] for each in ask["clusters"]] == [pytest.approx(now - 10_800, abs=1)] * 2
    assert [now - each["first_at"] for each in ask["clusters"]] == pytest.approx([115_200, 111_600])
    assert told.count("last 3 h ago") == 2


def test_report_without_evidence_says_so(moving: Moving) -> None:
    assert "There is no evidence yet" in str(moving.run("report").exception)


class Hours:
    """A clock that goes on when somebody waits, and what happens meanwhile."""

    def __init__(self, moving: Moving, happens: list[tuple[int, Verdict]]) -> None:
        self.moving, self.happens, self.now = moving, happens, time.time()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += 60
        if not self.happens:
            raise TimeoutError("it waits for ever")
        count, verdict = self.happens.pop(0)
        self.moving.saw(count, verdict, at=self.now)


def test_auto_walks_every_step_with_evidence_at_each(moving: Moving, capsys: pytest.CaptureFixture[str]) -> None:
    hours = Hours(moving, [(ENOUGH, Verdict.MATCH), *[(1, Verdict.MATCH)] * 20])

    walk("ask", "reverse", 60.0, moving.file, hours.sleep, hours.clock)

    assert moving.stage() == "reverse"
    walked = [f"{row[1]} → {row[2]}" for row in moving.journal()]
    assert walked[:3] == ["shadow → split 1 %", "split 1 % → split 5 %", "split 5 % → split 10 %"]
    assert walked[-1] == "split 100 % → reverse"
    assert "ask in shadow: nothing was compared yet" in capsys.readouterr().out


def test_auto_takes_the_route_back_when_the_verdict_turns(moving: Moving) -> None:
    hours = Hours(moving, [(ENOUGH, Verdict.MATCH), (1, Verdict.MATCH), (60, Verdict.MISMATCH)])

    with pytest.raises(EditError, match='"ask" went back to legacy: no-go: mismatches: 60 of'):
        walk("ask", "extracted", 60.0, moving.file, hours.sleep, hours.clock)

    assert moving.stage() == "legacy"
    assert moving.journal()[-1][2] == "legacy"


def test_auto_ends_when_somebody_else_moves_the_route(moving: Moving) -> None:
    def sleep(seconds: float) -> None:
        moving.run("rollback", "ask")

    moving.saw(1)
    with pytest.raises(EditError, match="Somebody else moved"):
        walk("ask", "extracted", 60.0, moving.file, sleep)

    assert moving.stage() == "legacy"


def test_auto_waits_where_evidence_stopped_coming(moving: Moving) -> None:
    moving.saw(ENOUGH, at=1000.0)
    config = load(moving.file)
    from ..evidence.database import open_for_reading

    found = report_of(config, config.routes[0], open_for_reading(config.evidence.url))

    step = next_step(found, Place("shadow"), 100.0, 60.0, moved_at=2000.0)
    assert step.do is Do.WAIT
    assert "nothing was compared since it came to shadow" in step.why
    assert next_step(found, Place("shadow"), 100.0, 60.0, moved_at=900.0).do is Do.ADVANCE
    assert next_step(found, Place("shadow"), 10.0, 60.0, moved_at=900.0).why == "go; it stays 50 s more"
