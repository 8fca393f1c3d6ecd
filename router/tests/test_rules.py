"""A rule excuses just what it says, at just its place, and only until its last day."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from ..evidence.gates import Gate
from ..evidence.rules import Rule, Rules, Tolerance, epoch, parse_place
from .observing import answer, call, found, of_json, text

WHY = "a test needs it"


def rules(**fields: Any) -> Rules:
    return Rules(rules=(Rule(reason=WHY, **fields),))


@pytest.mark.parametrize(
    ("rule", "control", "candidate", "expected"),
    [
        ({"at": "/a", "ignore": True}, {"a": 1}, {"a": [2]}, []),
        ({"at": "/a", "ignore": True}, {"a": 1}, {}, []),
        ({"at": "/a", "ignore": True}, {}, {"a": 1}, []),
        ({"at": "/a", "ignore": True}, {"a": 1, "b": 1}, {"a": 2, "b": 2}, [("body /b", "value")]),
        ({"at": "/a", "ignore": True}, {"b": {"a": 1}}, {"b": {"a": 2}}, [("body /b/a", "value")]),
        ({"at": "/*/a", "ignore": True}, [{"a": 1}, {"a": 2}], [{"a": 3}, {"a": 4}], []),
        ({"at": "/0/a", "ignore": True}, [{"a": 1}, {"a": 2}], [{"a": 3}, {"a": 4}], [("body /1/a", "value")]),
        (
            {"at": "/*/id", "ignore": True},
            [{"id": 1, "n": 1}, {"id": 2, "n": 2}],
            [{"id": 7, "n": 2}],
            [("body /0", "missing")],
        ),
        ({"at": "body", "ignore": True}, {"a": 1}, {"a": 2}, []),
        ({"at": "/a", "type_only": True}, {"a": "x"}, {"a": "y"}, []),
        ({"at": "/a", "type_only": True}, {"a": {"b": 1}}, {"a": {"c": 1}}, []),
        ({"at": "/a", "type_only": True}, {"a": "x"}, {"a": 1}, [("body /a", "type")]),
        ({"at": "/a", "type_only": True}, {"a": "x"}, {}, [("body /a", "missing")]),
        ({"at": "/a", "unordered": True}, {"a": [1, 2, 2]}, {"a": [2, 1, 2]}, []),
        ({"at": "/a", "unordered": True}, {"a": [1, 2]}, {"a": [2, 3]}, [("body /a/0", "value")]),
        ({"at": "/a", "unordered": True}, {"a": [1, 2, 2]}, {"a": [2, 1]}, [("body /a/2", "missing")]),
        ({"at": "/a", "unordered": True}, {"a": [{"t": [1, 2]}]}, {"a": [{"t": [2, 1]}]}, [("body /a/0/t", "order")]),
        ({"at": "/a", "tolerance": {"absolute": 0.1}}, {"a": 1.0}, {"a": 1.05}, []),
        ({"at": "/a", "tolerance": {"absolute": 0.1}}, {"a": 1}, {"a": 1.05}, []),
        ({"at": "/a", "tolerance": {"absolute": 0.1}}, {"a": 1.0}, {"a": 1.2}, [("body /a", "value")]),
        ({"at": "/a", "tolerance": {"relative": 0.01}}, {"a": 1000}, {"a": 1009}, []),
        ({"at": "/a", "tolerance": {"relative": 0.01}}, {"a": 0.1}, {"a": "0.1"}, [("body /a", "type")]),
        ({"at": "/a", "tolerance": {"relative": 0.5}}, {"a": 1.5}, {"a": 10**400}, [("body /a", "value")]),
        ({"at": "/a", "pattern": r"req-\d+"}, {"a": "req-1"}, {"a": "req-22"}, []),
        ({"at": "/a", "pattern": r"req-\d+"}, {"a": "req-1"}, {"a": "req-x"}, [("body /a", "value")]),
        ({"at": "/a", "pattern": r"req-\d+"}, {"a": "req-1"}, {"a": 5}, [("body /a", "type")]),
        ({"at": "/a", "similarity": 0.7}, {"a": "the printer is on fire"}, {"a": "the printer was on fire"}, []),
        (
            {"at": "/a", "similarity": 0.9},
            {"a": "the printer is on fire"},
            {"a": "all is well"},
            [("body /a", "value")],
        ),
    ],
)
def test_a_rule_excuses_what_it_says_and_nothing_else(
    rule: dict[str, Any], control: Any, candidate: Any, expected: list[tuple[str, str]]
) -> None:
    assert of_json(control, candidate, rules(**rule)) == expected


def test_rules_are_for_every_part_of_an_answer() -> None:
    control = answer({}, headers=[(b"vary", b"a")], effects=(call({"user": "a", "model": "m"}),))
    candidate = answer({}, status=201, headers=[(b"vary", b"b")], effects=(call({"user": "b", "model": "m"}, "/v2"),))
    all_three = Rules(ignore=("status", "header vary", "effect * body /user", "effect 1 path"))

    assert len(found(control, candidate)) == 4
    assert found(control, candidate, all_three) == []


@pytest.mark.parametrize(
    ("tolerance", "control", "candidate", "is_excused"),
    [
        ({"absolute": 2}, b"30", b"32", True),
        ({"absolute": 2}, b"30", b"33", False),
        ({"relative": 0.1}, b"1.00", b"1.05", True),
        ({"absolute": 2}, b"30", b"soon", False),
        ({"absolute": 2}, b"soon", b"later", False),
        ({"relative": 1}, b"nan", b"inf", False),
        ({"absolute": 1e9}, b"30, 31", b"30", False),
    ],
)
def test_numbers_in_headers_and_lines_may_be_near_enough(
    tolerance: dict[str, float], control: bytes, candidate: bytes, is_excused: bool
) -> None:
    ours, theirs = (answer({}, headers=[(b"retry-after", value)]) for value in (control, candidate))
    lines, others = (text(f"lamps\n{value.decode()}") for value in (control, candidate))

    assert (found(ours, theirs, rules(at="header retry-after", tolerance=tolerance)) == []) is is_excused
    assert (found(lines, others, rules(at="body line 2", tolerance=tolerance)) == []) is is_excused


def test_a_rule_for_all_effects_is_for_one_that_is_missing_too() -> None:
    assert found(answer({}, effects=(call({}),)), answer({}), Rules(ignore=("effect *",))) == []


def test_a_text_is_likened_as_a_whole_or_by_line() -> None:
    control, candidate = text("stamp 10\nthe same"), text("stamp 11\nthe same")

    assert found(control, candidate) == [("body line 1", "value")]
    assert found(control, candidate, rules(at="body line 1", pattern=r"stamp \d+")) == []
    assert found(control, candidate, rules(at="body", similarity=0.7)) == []


def test_of_two_rules_for_one_place_the_first_one_counts() -> None:
    first = Rule(at="/a", pattern="x+", reason=WHY)
    second = Rule(at="/a", ignore=True, reason=WHY)

    assert of_json({"a": "x"}, {"a": "y"}, Rules(rules=(first, second))) == [("body /a", "value")]


@pytest.mark.parametrize(
    ("table", "cure"),
    [
        ({"at": "a", "ignore": True}, "is no place: write a JSON pointer"),
        ({"at": "/a~2", "ignore": True}, "is no JSON pointer"),
        ({"at": "/a"}, "must say exactly one of ignore, type_only"),
        ({"at": "/a", "ignore": True, "unordered": True}, "must say exactly one of"),
        ({"at": "/a", "pattern": "("}, "is no regular expression"),
        ({"at": "/a", "ignore": True, "reason": ""}, "at least 3 characters"),
        ({"at": "/a", "ignored": True}, "Extra inputs"),
        (
            {"at": "header link", "unordered": True},
            "is no array of JSON, .* say ignore or pattern",
        ),
        ({"at": "body line *", "unordered": True}, "is no array of JSON"),
        ({"at": "status", "unordered": True}, "is no array of JSON"),
    ],
)
def test_a_rule_that_says_nothing_clear_is_refused_with_its_cure(table: dict[str, Any], cure: str) -> None:
    with pytest.raises(ValidationError, match=cure):
        Rules.model_validate({"rules": [{"reason": WHY} | table]})


def test_a_rule_whose_last_day_is_over_is_told_with_the_cure() -> None:
    until = rules(at="/a", ignore=True, until=date(2027, 1, 31))

    assert until.expired(date(2027, 1, 31)) == ()
    assert until.expired(date(2027, 2, 1)) == (
        'the rule for "/a" ended on 2027-01-31: remove it, or give it a later day and a reason',
    )


def test_a_rule_whose_last_day_is_over_excuses_nothing_any_more() -> None:
    until = rules(at="/a", ignore=True, until=date(2027, 1, 31))

    assert of_json({"a": 1}, {"a": 2}, until.holding(date(2027, 1, 31))) == []
    assert of_json({"a": 1}, {"a": 2}, until.holding(date(2027, 2, 1))) == [("body /a", "value")]


def test_places_are_read_as_the_report_writes_them() -> None:
    assert parse_place("/a~1b/*") == (("body",), ("a/b", "*"))
    assert parse_place("event 3 delta /text") == (("event", "3", "delta"), ("text",))
    assert parse_place("body line 7") == (("body", "line", "7"), None)


def test_tolerance_is_the_larger_of_the_two() -> None:
    assert Tolerance(absolute=1, relative=0.1).allows(5, 5.9)
    assert Tolerance(absolute=1, relative=0.1).allows(50, 54)
    assert not Tolerance(absolute=1, relative=0.1).allows(50, 57)


def test_whatever_is_fixed_before_begins_a_new_epoch_when_it_changes() -> None:
    builds = {"legacy": "1.0", "assistant": "2.0"}
    now = epoch(builds, Rules(), Gate())

    assert epoch(dict(reversed(builds.items())), Rules(), Gate()) == now
    changed = [
        epoch(builds | {"assistant": "2.1"}, Rules(), Gate()),
        epoch(builds, rules(at="/a", ignore=True), Gate()),
        epoch(builds, Rules(), Gate(mismatches=0.02)),
    ]
    assert len({now, *changed}) == 4
