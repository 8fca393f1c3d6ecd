"""Which route claims a request: a tree of path segments, walked once, with no regular expression.

The first route of routes.toml that fits wins. The table never changes: a reload makes a new one.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import paths
from .config import Route


class _Node:
    """What may follow a prefix of segments; `order` is a route's place in the file."""

    __slots__ = ("ends", "literals", "parameters", "rests")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node] = {}
        self.parameters: list[tuple[str, _Node]] = []
        self.ends: list[tuple[int, Route]] = []
        self.rests: list[tuple[int, Route]] = []


class Table:
    """All routes, ready to be asked."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for order, route in enumerate(self.routes):
            self._add(order, route)

    def match(self, method: str, raw_path: bytes) -> Route | None:
        """The route that claims this request, or None: then legacy answers. `raw_path` has no query."""
        found: list[tuple[int, Route]] = []
        _walk(self._root, raw_path.split(b"/"), 1, method, found)
        if not found:
            return None
        return found[0][1] if len(found) == 1 else min(found, key=lambda pair: pair[0])[1]

    def _add(self, order: int, route: Route) -> None:
        node = self._root
        for segment in route.segments:
            if segment.kind == "path":
                node.rests.append((order, route))
                return
            node = _child(node, segment)
        node.ends.append((order, route))


def _child(node: _Node, segment: paths.Segment) -> _Node:
    if segment.kind == "literal":
        return node.literals.setdefault(segment.literal, _Node())
    for kind, child in node.parameters:
        if kind == segment.kind:
            return child
    child = _Node()
    node.parameters.append((segment.kind, child))
    return child


def _walk(node: _Node, pieces: list[bytes], index: int, method: str, found: list[tuple[int, Route]]) -> None:
    """Follow every branch that fits; branches fork only where a parameter stands beside a fixed segment."""
    while index < len(pieces):
        if node.rests:
            _claim(node.rests, method, found)
        piece = pieces[index]
        index += 1
        fits = node.literals.get(piece)
        for kind, child in node.parameters:
            if paths.is_match(kind, piece):
                if fits is not None:
                    _walk(fits, pieces, index, method, found)
                fits = child
        if fits is None:
            return
        node = fits
    _claim(node.ends, method, found)


def _claim(routes: list[tuple[int, Route]], method: str, found: list[tuple[int, Route]]) -> None:
    for order, route in routes:
        if not route.methods or method in route.methods:
            found.append((order, route))
            return
