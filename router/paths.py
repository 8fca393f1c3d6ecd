"""Starlette's path syntax, read into segments that are compared with the caller's raw bytes.

`/api/tickets/{id}/summary` has a parameter `{id}` that stands for one segment, `{id:int}` for one of digits,
`{rest:path}` for everything that is left, slashes included. Nothing is decoded and nothing normalised:
a path that spells a fixed segment with percent-encoding is claimed by no route, and legacy answers it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%]+")
_ENCODED_SLASH = re.compile(rb"%2[fF]")

KINDS = ("str", "int", "path")


class Segment(NamedTuple):
    """One piece between slashes: `literal` (with its bytes), or a parameter of one of KINDS."""

    kind: str
    literal: bytes = b""


def parse(path: str) -> tuple[Segment, ...]:
    """The segments of a route's path. Raises ValueError with a sentence that says what to write instead."""
    if not path.startswith("/"):
        raise ValueError(f'must begin with a slash: write "/{path}"')
    segments = tuple(_segment(piece) for piece in path[1:].split("/"))
    if any(segment.kind == "path" for segment in segments[:-1]):
        raise ValueError("a {…:path} parameter takes all that is left, so it must come last")
    names = [match[1] for match in _PARAMETER.finditer(path)]
    if len(set(names)) < len(names):
        raise ValueError("every parameter needs its own name")
    return segments


def _segment(piece: str) -> Segment:
    if parameter := _PARAMETER.fullmatch(piece):
        kind = parameter[2] or "str"
        if kind not in KINDS:
            raise ValueError(f'there is no parameter kind "{kind}": use {{{parameter[1]}}}, or :int, or :path')
        return Segment(kind)
    if piece and not _LITERAL.fullmatch(piece):
        raise ValueError(f'"{piece}" must be plain characters of a URL or one whole parameter such as {{id}}')
    return Segment("literal", piece.encode("ascii"))


def is_match(kind: str, piece: bytes) -> bool:
    """Whether a parameter of `kind` (not path) stands for this raw segment."""
    if kind == "int":
        return piece.isdigit()
    # An encoded slash would be two segments to the application behind us: no route claims it.
    return bool(piece) and (b"%" not in piece or not _ENCODED_SLASH.search(piece))


def is_covered(later: tuple[Segment, ...], earlier: tuple[Segment, ...]) -> bool:
    """Whether every path that `later` matches is matched by `earlier` too."""
    for index, segment in enumerate(earlier):
        if segment.kind == "path":
            return len(later) > index
        if index >= len(later) or not _is_segment_covered(later[index], segment):
            return False
    return len(later) == len(earlier)


def _is_segment_covered(later: Segment, earlier: Segment) -> bool:
    if later == earlier:
        return True
    if later.kind == "literal":
        return earlier.kind != "literal" and is_match(earlier.kind, later.literal)
    return earlier.kind == "str" and later.kind == "int"
