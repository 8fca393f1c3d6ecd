"""Paths mean what they mean to Starlette, but for the differences that are pinned here."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import compile_path

from ..config import Route
from ..paths import is_covered, parse
from ..routes import Table

LITERALS = st.sampled_from(["a", "b", "api", "7", "a.b", "a-b", "x+y", "(z)", "~", ""])
PARAMETERS = st.sampled_from(["{%s}", "{%s:int}", "{%s:str}"])
PIECES = st.sampled_from(["a", "b", "api", "7", "07", "a.b", "axb", "x+y", "xxy", "(z)", "~", "", "7a"])


@st.composite
def route_paths(draw: st.DrawFn) -> str:
    pieces = draw(st.lists(LITERALS | PARAMETERS, min_size=1, max_size=4))
    if draw(st.booleans()):
        pieces.append("{%s:path}")
    named = [piece % f"p{index}" if "%s" in piece else piece for index, piece in enumerate(pieces)]
    return "/" + "/".join(named)


def claims(path: str, raw_path: bytes, stage: str = "legacy") -> bool:
    route = Route.model_validate({"name": "r", "path": path, "stage": stage})
    return Table([route]).match("GET", raw_path) is not None


def starlette_claims(path: str, raw_path: bytes) -> bool:
    """As an application behind an ASGI server sees it: decoded."""
    regex, _, _ = compile_path(path)
    return regex.match(unquote(raw_path.decode("ascii"))) is not None


@given(route_paths(), st.lists(PIECES, min_size=1, max_size=6))
def test_a_plain_path_is_claimed_exactly_if_starlette_claims_it(path: str, pieces: list[str]) -> None:
    raw_path = "/" + "/".join(pieces)

    assert claims(path, raw_path.encode()) == starlette_claims(path, raw_path.encode())


@given(route_paths(), route_paths(), st.lists(PIECES, min_size=1, max_size=6))
def test_a_route_that_another_covers_claims_nothing_that_the_other_does_not(
    later: str, earlier: str, pieces: list[str]
) -> None:
    raw_path = ("/" + "/".join(pieces)).encode()

    if is_covered(parse(later), parse(earlier)) and claims(later, raw_path):
        assert claims(earlier, raw_path)


@pytest.mark.parametrize(
    ("path", "raw_path", "ours", "starlettes", "why"),
    [
        ("/api/a", b"/%61pi/a", False, True, "what spells a fixed segment in another way stays with legacy"),
        ("/a/{x}", b"/a/b%2Fc", False, False, "an encoded slash is two segments to the application"),
        ("/a/{x}", b"/a/b%2fc", False, False, "in small letters too"),
        ("/{x}/{y}", b"/b%2Fc", False, True, "an encoded slash parts nothing here"),
        ("/a/{x:path}", b"/a/b%2Fc", True, True, "what is left may hold anything"),
        ("/a/{x}", b"/a/%20", True, True, "other encoded characters are part of their segment"),
        ("/a/{x}", b"/a/caf%C3%A9", True, True, "UTF-8 too"),
        ("/a/{x}", b"/a/%FF", True, True, "and what is no UTF-8"),
        ("/a/{x:int}", b"/a/%37", False, True, "digits are digits only as they are"),
        ("/a/{x:int}", b"/a/%D9%A3", False, False, "and only the ten of ASCII"),
        ("/a", b"/a%0A", False, True, "Starlette's expression ends before a line break"),
        ("/a/{x:path}", b"/a/b%0Ac", True, False, "and does not cross one"),
        ("/a/{x}", b"/a/b%0Ac", True, True, "but a segment may hold one"),
        ("/a", b"/a/", False, False, "a slash at the end is another path"),
        ("/a/", b"/a", False, False, "and so is none"),
        ("/a", b"//a", False, False, "an empty segment is a segment"),
        ("/a/{x}", b"/a/..", True, True, "dots are names like any other"),
    ],
)
def test_where_raw_and_decoded_paths_differ_the_difference_is_known(
    path: str, raw_path: bytes, ours: bool, starlettes: bool, why: str
) -> None:
    assert claims(path, raw_path) == ours, why
    assert starlette_claims(path, raw_path) == starlettes, why


@pytest.mark.parametrize("path", ["/a", "/{x}", "/{x:int}/a", "/{x:str}", "/{x:path}", "/", "/a/", "/a%20b", "/@a:b"])
def test_what_we_take_starlette_takes(path: str) -> None:
    parse(path)

    assert isinstance(compile_path(path)[0], re.Pattern)
