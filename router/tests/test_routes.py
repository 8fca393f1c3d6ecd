"""Which route claims a request: the first of the file that fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..config import Route
from ..routes import Table
from .test_paths import PIECES, claims, route_paths


def table(*routes: tuple[str, str] | tuple[str, str, list[str]]) -> Table:
    return Table(
        Route.model_validate({"name": name, "path": path, "methods": methods[0] if methods else [], "stage": "legacy"})
        for name, path, *methods in routes
    )


def claimed(routes: Table, method: str, path: bytes) -> str | None:
    route = routes.match(method, path)
    return route.name if route else None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/t/7", "number"),
        (b"/t/new", "new"),
        (b"/t/abc", "any"),
        (b"/t/7/x", "rest"),
        (b"/t/", "rest"),
        (b"/t", None),
        (b"/", None),
        (b"*", None),
        (b"", None),
    ],
)
def test_the_first_route_that_fits_wins_whatever_its_shape(path: bytes, name: str | None) -> None:
    routes = table(("number", "/t/{id:int}"), ("new", "/t/new"), ("any", "/t/{id}"), ("rest", "/t/{rest:path}"))

    assert claimed(routes, "GET", path) == name


def test_a_wide_route_that_comes_first_wins_over_a_narrow_one() -> None:
    routes = table(("wide", "/t/{rest:path}", ["GET"]), ("narrow", "/t/new"))

    assert claimed(routes, "GET", b"/t/new") == "wide"
    assert claimed(routes, "POST", b"/t/new") == "narrow"


@pytest.mark.parametrize(("method", "name"), [("GET", "read"), ("POST", "write"), ("DELETE", None), ("HEAD", None)])
def test_a_method_that_no_route_names_is_claimed_by_none(method: str, name: str | None) -> None:
    routes = table(("read", "/t", ["GET"]), ("write", "/t", ["POST", "PUT"]))

    assert claimed(routes, method, b"/t") == name


def test_a_route_without_methods_claims_all() -> None:
    assert claimed(table(("all", "/t")), "PROPFIND", b"/t") == "all"


def test_a_branch_that_ends_nowhere_does_not_hide_another() -> None:
    routes = table(("deep", "/a/b/c"), ("any", "/{x}/b/d"), ("rest", "/a/{rest:path}"))

    assert claimed(routes, "GET", b"/a/b/d") == "any"
    assert claimed(routes, "GET", b"/a/b/e") == "rest"


@given(st.lists(route_paths(), max_size=8), st.lists(PIECES, min_size=1, max_size=5))
def test_the_tree_finds_what_trying_one_route_after_another_finds(paths: list[str], pieces: list[str]) -> None:
    raw_path = ("/" + "/".join(pieces)).encode()
    routes = table(*((f"r{index}", path) for index, path in enumerate(paths)))

    expected = next((f"r{index}" for index, path in enumerate(paths) if claims(path, raw_path)), None)

    assert claimed(routes, "GET", raw_path) == expected
