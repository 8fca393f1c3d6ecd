"""Two calls are the same if they ask the same, however they are written; otherwise it is said where they differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..egress.canonical import PLACES, key_of, path_of, places_of

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def key(body: bytes, method: str = "POST", path: str = "/v1/x") -> str:
    return key_of(method, path, body)


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


@given(VALUES.filter(lambda value: value is not None), st.sampled_from([None, 1]))
def test_the_order_of_keys_and_the_spacing_make_no_difference(value: Any, indent: int | None) -> None:
    turned = json.dumps(value, indent=indent, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")

    assert key(turned) == key(as_bytes(value))
    assert places_of(turned, as_bytes(value)) == []


@given(VALUES, VALUES)
def test_keys_are_equal_exactly_where_no_place_differs(one: Any, other: Any) -> None:
    if one is None or other is None:
        return

    assert (key(as_bytes(one)) == key(as_bytes(other))) == (places_of(as_bytes(one), as_bytes(other)) == [])


@pytest.mark.parametrize(
    ("one", "other", "places"),
    [
        ({"temperature": 1}, {"temperature": 1.0}, []),
        ({"temperature": 1}, {"temperature": True}, ["/temperature"]),
        ({"temperature": 1}, {"temperature": "1"}, ["/temperature"]),
        ({"a": 1}, {"b": 1}, ["/a", "/b"]),
        ({"m": [{"c": "x"}, {"c": "y"}]}, {"m": [{"c": "x"}]}, ["/m/1"]),
        ({"m": [{"c": "x"}]}, {"m": [{"c": "z"}]}, ["/m/0/c"]),
        ({"a/b": {"c~d": 1}}, {"a/b": {"c~d": 2}}, ["/a~1b/c~0d"]),
        ([1], {"0": 1}, [""]),
    ],
)
def test_a_difference_is_named_by_its_place(one: Any, other: Any, places: list[str]) -> None:
    assert places_of(as_bytes(one), as_bytes(other)) == places


def test_what_is_no_json_is_compared_by_its_bytes() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    assert key(b"--form") != key(b"--Form")
    assert key(b"--form") == key(b"--form")
    assert places_of(b"--form", b"--Form") == [""]
    assert key(deep) == key(deep)
    assert places_of(deep, deep) == []


def test_only_so_many_places_are_named() -> None:
    assert len(places_of(as_bytes(list(range(100))), as_bytes([]))) == PLACES


def test_method_and_path_belong_to_what_is_asked() -> None:
    assert len({key(b"{}"), key(b"{}", "PUT"), key(b"{}", path="/v1/y")}) == 3


def test_a_key_in_the_query_is_no_part_of_what_is_asked() -> None:
    assert path_of(b"/v1/x?key=abc&alt=sse&api-key=d") == "/v1/x?key=&alt=sse&api-key="
    assert path_of(b"/v1/x?monkey=1") == "/v1/x?monkey=1"
