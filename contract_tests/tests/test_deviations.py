"""A deliberate difference excuses what it says, for as long as it says, and nothing else."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract_tests.contractkit.deviations import Deviation, DeviationsError, excuse, load, problems, soon
from contract_tests.contractkit.holding import Terms
from contract_tests.contractkit.parity import Exchange
from contract_tests.contractkit.targets import Request
from router.evidence.observations import Difference, Kind, Observation

TODAY = date(2026, 12, 1)
ENTRY = {
    "id": "other-score", "title": "t", "operations": ["GET /api/search"], "at": "body /results/*/score",
    "answers": {"legacy": "0.5", "extracted": "0.7"}, "reason": "r", "owner": "o", "consumers": ["mobile"],
    "decided": date(2026, 11, 1), "expires": date(2027, 1, 1),
}  # fmt: skip


def loaded(tmp_path: Path, **changes: Any) -> tuple[Deviation, ...]:
    file = tmp_path / "deviations.yaml"
    file.write_text(yaml.safe_dump([{**ENTRY, **changes}]), "utf-8")
    return load(file)


def exchange(terms: Terms, legacy: int = 200, extracted: int = 200) -> Exchange:
    request = Request("GET", "/api/search?q=x")
    answers = {"legacy": Observation("legacy", legacy), "extracted": Observation("extracted", extracted)}
    return Exchange(request, terms.promise.operation("GET", "/api/search"), answers)


def left(terms: Terms, deviations: tuple[Deviation, ...], place: str, one: str, other: str) -> int:
    found = [("legacy", "extracted", Difference(place, Kind.VALUE, one, other))]
    return len(excuse(exchange(terms), found, deviations)[0])


@pytest.mark.parametrize(
    ("place", "one", "other", "count"),
    [
        ("body /results/0/score", "0.5", "0.7", 0),
        ("body /results/12/score", "0.5", "0.7", 0),
        ("body /results/0/score", "0.5", "0.8", 1),
        ("body /results/0/score", "0.7", "0.5", 1),
        ("body /results/0/score/x", "0.5", "0.7", 1),
        ("body /results/0/slug", "0.5", "0.7", 1),
    ],
)
def test_only_these_two_values_at_this_place_are_excused(
    terms: Terms, tmp_path: Path, place: str, one: str, other: str, count: int
) -> None:
    assert left(terms, loaded(tmp_path), place, one, other) == count


def test_a_rewrite_excuses_what_it_makes_equal(terms: Terms, tmp_path: Path) -> None:
    deviations = loaded(tmp_path, at="body /at", answers={}, rewrite="milliseconds")

    assert left(terms, deviations, "body /at", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123Z") == 0
    assert left(terms, deviations, "body /at", "2026-01-01T00:00:00.123Z", "2026-01-01T00:00:00.124Z") == 1


def test_a_third_status_is_a_finding(terms: Terms, tmp_path: Path) -> None:
    deviations = loaded(tmp_path, at="answer", answers={"legacy": 414, "extracted": 200})
    found = [("legacy", "extracted", Difference("status", Kind.VALUE, "414", "500"))]

    assert excuse(exchange(terms, 414, 200), found, deviations)[0] == []
    assert excuse(exchange(terms, 414, 500), found, deviations)[0] == found
    assert excuse(exchange(terms, 414, 500), found, deviations)[2] == {"legacy"}, "whose status is accepted by itself"


def test_an_expired_entry_and_an_unused_one_are_findings_that_name_their_owner(tmp_path: Path) -> None:
    deviations = loaded(tmp_path)

    assert [each.says for each in problems(deviations, {"other-score"}, TODAY)] == []
    [unused] = problems(deviations, set(), TODAY)
    [expired] = problems(deviations, None, date(2027, 1, 2))
    assert "excuses nothing any more (owner: o)" in unused.says
    assert "its last day was 2027-01-01" in expired.says


def test_an_entry_about_to_expire_is_told(tmp_path: Path) -> None:
    assert soon(loaded(tmp_path), TODAY) == []
    assert soon(loaded(tmp_path), date(2026, 12, 20)) != []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expires": date(2026, 11, 1) + timedelta(days=181)}, "at most 180 days apart"),
        ({"expires": "soon"}, "must be days"),
        ({"owner": ""}, "owner is missing"),
        ({"consumers": []}, "consumers is missing"),
        ({"reason": ""}, "reason is missing"),
        ({"answers": {"legacy": 1}}, "write what each side answers"),
        ({"answers": {}, "rewrite": "anything"}, "is no rewrite; there are media-type-parameters"),
        ({"rewrite": "milliseconds"}, "write what each side answers, or a rewrite"),
        ({"when": "("}, "no regular expression"),
        ({"consumer": "x"}, "consumer is no field"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused_in_words(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DeviationsError, match=says):
        loaded(tmp_path, **changes)


@pytest.mark.parametrize(
    ("operation", "is_about"),
    [("GET (nothing promised)", True), ("GET /nowhere", True), ("GET /elsewhere", False), ("GET /api/search", False)],
)
def test_one_decision_is_enough_for_all_that_nobody_promised(
    terms: Terms, tmp_path: Path, operation: str, is_about: bool
) -> None:
    [deviation] = loaded(tmp_path, operations=[operation])

    for request in (Request("GET", "/nowhere"), Request("GET", "/nowhere?x=1")):
        assert deviation.is_about(Exchange(request, None, {})) == is_about
