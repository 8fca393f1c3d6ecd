"""Two JSON bodies are the same if no reader can tell them apart, and each difference is named by its place."""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..evidence.found import MOST_DIFFERENCES
from ..evidence.json_values import DEEPEST
from .observing import answer, found, of_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
)
OBJECTS = st.recursive(SCALARS, lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=6))
OPPOSITE = {"missing": "added", "added": "missing"}


@given(VALUES)
def test_a_body_is_the_same_as_itself_however_it_is_written(value: Any) -> None:
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()
    spacious = json.dumps(value, indent=3, ensure_ascii=True, sort_keys=True).encode()

    assert found(answer(compact), answer(spacious)) == []


@given(OBJECTS, OBJECTS)
def test_what_is_missing_one_way_round_is_added_the_other_way_round(one: Any, other: Any) -> None:
    there, back = of_json(one, other), of_json(other, one)

    assert sorted((place, OPPOSITE.get(kind, kind)) for place, kind in there) == sorted(back)


@given(VALUES, VALUES)
def test_there_is_as_much_missing_one_way_round_as_is_added_the_other_way_round(one: Any, other: Any) -> None:
    """Where arrays differ in length, the index of a changed item is control's, so the places need not agree."""
    there, back = of_json(one, other), of_json(other, one)

    assert Counter(OPPOSITE.get(kind, kind) for _, kind in there) == Counter(kind for _, kind in back)


@given(VALUES, VALUES)
def test_two_values_without_a_difference_are_one_value(one: Any, other: Any) -> None:
    written = [json.dumps(value, sort_keys=True).replace("-0.0", "0.0") for value in (one, other)]

    assert (of_json(one, other) == []) == (written[0] == written[1])


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, inner in items for leaf in leaves(inner, (*path, key)))]


def pointer(path: tuple[Any, ...]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@given(VALUES, st.data())
def test_a_changed_value_is_found_at_its_place(value: Any, data: st.DataObject) -> None:
    value = {"": value}
    path = data.draw(st.sampled_from(leaves(value)[1:]))
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = "never in there before"

    place, kind = "body " + pointer(path), "value" if isinstance(at(value, path), str) else "type"

    assert of_json(value, changed) == [(place, kind)]


@given(VALUES, st.data())
def test_a_dropped_key_is_found_at_its_place(value: Any, data: st.DataObject) -> None:
    value = {"key": value}
    inside = [path for path in leaves(value)[1:] if isinstance(at(value, path[:-1]), dict)]
    path = data.draw(st.sampled_from(inside))
    changed = copy.deepcopy(value)
    del at(changed, path[:-1])[path[-1]]

    assert of_json(value, changed) == [("body " + pointer(path), "missing")]
    assert of_json(changed, value) == [("body " + pointer(path), "added")]


@given(st.lists(st.integers(), min_size=1, max_size=8, unique=True), st.data())
def test_an_item_taken_out_of_an_array_is_one_difference(items: list[int], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(items) - 1))

    assert of_json({"items": items}, {"items": items[:index] + items[index + 1 :]}) == [
        (f"body /items/{index}", "missing")
    ]


@given(st.permutations(range(6)))
def test_the_same_items_in_another_order_are_one_difference_at_the_array(order: list[int]) -> None:
    expected = [] if order == sorted(order) else [("body /a", "order")]

    assert of_json({"a": [{"n": n} for n in range(6)]}, {"a": [{"n": n} for n in order]}) == expected


@pytest.mark.parametrize(
    ("control", "candidate", "expected"),
    [
        (b'{"t": 1}', b'{"t": 1.0}', [("body /t", "type")]),
        (b'{"t": 1}', b'{"t": "1"}', [("body /t", "type")]),
        (b'{"t": 1}', b'{"t": true}', [("body /t", "type")]),
        (b'{"t": 0}', b'{"t": null}', [("body /t", "type")]),
        (b'{"t": []}', b'{"t": {}}', [("body /t", "type")]),
        (b'{"t": 1e-07}', b'{"t": 1e-7}', []),
        (b'{"t": 10.50}', b'{"t": 10.5}', []),
        (b'{"t": NaN}', b'{"t": NaN}', []),
        (b'{"t": NaN}', b'{"t": null}', [("body /t", "type")]),
        (b'{"t": 1e400}', b'{"t": 1e500}', [("body /t", "value")]),
        (b'{"t": 12345678901234567890}', b'{"t": 12345678901234567891}', [("body /t", "value")]),
        (b'{"t": %s1}' % (b"9" * 5000), b'{"t": %s2}' % (b"9" * 5000), [("body /t", "value")]),
        (b'{"t": %s}' % (b"9" * 5000), b'{ "t": %s}' % (b"9" * 5000), []),
        (b'{"t": "\\u00e9"}', '{"t": "é"}'.encode(), []),
        ('{"t": "é"}'.encode(), '{"t": "e\u0301"}'.encode(), [("body /t", "value")]),
        (b'{"t": "\\ud800"}', b'{"t": "\\ud801"}', [("body /t", "value")]),
        (b'{"a": 1, "a": 2}', b'{"a": 2}', [("body /a", "missing")]),
        (b'{"a": 2}', b'{"a": 1, "a": 2}', [("body /a", "added")]),
        (b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}', []),
        (b'{"a/b": {"~": 1}}', b'{"a/b": {"~": 2}}', [("body /a~1b/~0", "value")]),
        (b"[[1, 2], [3]]", b"[[2, 1], [3]]", [("body /0", "order")]),
        (b"[1, 2, 3]", b"[1, 9, 3, 4]", [("body /1", "value"), ("body /3", "added")]),
        (b"1", b"2", [("body", "value")]),
        (b'{"a": 1}', b'{"a": 1', [("body", "type")]),
        (b'{"a": ', b'{"b": ', [("body line 1", "value")]),
    ],
)
def test_nothing_that_a_reader_could_see_is_lost(
    control: bytes, candidate: bytes, expected: list[tuple[str, str]]
) -> None:
    assert found(answer(control), answer(candidate)) == expected


@pytest.mark.parametrize("depth", [DEEPEST + 5, 900, 100_000])
def test_what_is_too_deep_is_compared_as_it_is(depth: int) -> None:
    one, other = ((b"[" * depth) + number + (b"]" * depth) for number in (b"1", b"2"))

    differences = found(answer(one), answer(other))

    assert [kind for _, kind in differences] == ["value"]
    assert differences[0][0] in ("body", "body line 1")
    assert found(answer(one), answer(one)) == []


def test_no_more_differences_are_kept_than_the_limit() -> None:
    differences = of_json({str(n): n for n in range(5_000)}, {str(n): n + 1 for n in range(5_000)})

    assert len(differences) == MOST_DIFFERENCES


def test_a_large_array_in_another_order_is_still_one_difference() -> None:
    items = [{"n": n} for n in range(3_000)]

    assert of_json(items, items[::-1]) == [("body", "order")]


def test_a_key_as_long_as_a_text_is_not_kept_as_a_whole() -> None:
    [(place, _)] = of_json({"k" * 10_000: 1}, {"k" * 10_000: 2})

    assert len(place) < 100
