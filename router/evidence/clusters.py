"""Differences that are one finding: the same route, kind and place, whatever the index."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .observations import Comparison, Difference, Kind

MOST_CLUSTERS = 500
"""Of one report. What is beyond is counted under `OTHER`."""
MOST_EXEMPLARS = 3
OTHER = "other places"

_ANY = re.compile(r"\d+|[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}")
"""A step that is an index, a number, a UUID or a digest: one of many."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """In how many exchanges a route's sides differ in one way at one kind of place."""

    route: str
    place: str
    """With `*` for what varies; written so, a rule can name it."""
    kind: Kind
    count: int
    """Of exchanges: ten wrong items of one answer count once."""
    first_at: float
    last_at: float
    exemplars: tuple[str, ...]
    """The exchanges that showed it last, newest first."""
    control: str = ""
    """What the newest of them had there, as it is kept (see `digests.py`)."""
    candidate: str = ""


def clusters_of(comparisons: Iterable[Comparison]) -> list[Cluster]:
    """The clusters of these comparisons, the most frequent first."""
    clusters: dict[tuple[str, str, Kind], Cluster] = {}
    for comparison in comparisons:
        first: dict[tuple[str, Kind], Difference] = {}
        for one in comparison.differences:
            first.setdefault((template(one.place), one.kind), one)
        for (place, kind), difference in first.items():
            key = comparison.route, place, kind
            if key not in clusters and len(clusters) >= MOST_CLUSTERS:
                key = comparison.route, OTHER, kind
            clusters[key] = _with(clusters.get(key), key, comparison, difference)
    return sorted(clusters.values(), key=lambda cluster: (-cluster.count, cluster.route, cluster.place))


def template(place: str) -> str:
    """`body /items/3/id` is `body /items/*/id`; `event 4 delta /text` is `event * delta /text`; lines likewise.
    The number of an effect stays: the second call is another one than the first."""
    before, slash, pointer = place.partition("/")
    words = before.split(" ")
    general = [
        "*" if word.isdigit() and words[index - 1] in ("event", "line") else word for index, word in enumerate(words)
    ]
    steps = ("*" if _ANY.fullmatch(step) else step for step in pointer.split("/"))
    return " ".join(general) + slash + "/".join(steps)


def _with(
    cluster: Cluster | None, key: tuple[str, str, Kind], comparison: Comparison, difference: Difference
) -> Cluster:
    at, id_ = comparison.at, comparison.exchange_id
    both = difference.control, difference.candidate
    if cluster is None:
        return Cluster(*key, 1, at, at, (id_,), *both)
    is_newest = at >= cluster.last_at
    exemplars = (id_, *cluster.exemplars) if is_newest else (*cluster.exemplars, id_)
    return Cluster(
        *key,
        cluster.count + 1,
        min(cluster.first_at, at),
        max(cluster.last_at, at),
        exemplars[:MOST_EXEMPLARS],
        *(both if is_newest else (cluster.control, cluster.candidate)),
    )
