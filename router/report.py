"""What the evidence says of each route now: counted, judged by its gate, its differences grouped. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Engine

from .config import COPYING, Config, Route
from .evidence import reading
from .evidence.clusters import Cluster, clusters_of
from .evidence.digests import in_clear
from .evidence.gates import Evidence, RouteVerdict, bounds, gathered, verdict_of
from .evidence.observations import Comparison
from .evidence.paired import Pairs
from .evidence.reading import Group
from .evidence.writing import Move
from .shadow.judging import epoch_of
from .steps import Place, place_of

MOVES = 10
"""So many of the latest moves of a route are told."""
COPIES = "shadow: "
"""How the counts of copies begin among all that is counted of a route."""
LATEST = 100
"""So many of the latest comparisons of a route say how long answers take."""
GROUPS = 50
"""So many groups of differences of a route are told, the most frequent ones."""


class Timing(NamedTuple):
    """How long something took on both sides, in seconds, of the latest comparisons in which neither failed."""

    what: str
    control: float
    """The median."""
    candidate: float
    control_p95: float
    candidate_p95: float


@dataclass(frozen=True, slots=True)
class RouteReport:
    """One route in its present epoch: what was gathered under other builds or rules does not count."""

    route: Route
    place: Place
    epoch: str
    evidence: Evidence
    verdict: RouteVerdict
    groups: tuple[Group, ...]
    clusters: tuple[Cluster, ...]
    """Single places, the most frequent first: counted over everything, with exchanges to look at of the first ones."""
    inconclusive: dict[str, int]
    """Why nothing could be said, of the latest comparisons."""
    copies: dict[str, int]
    """What became of its copies, under all builds and rules: offered, sent, dropped and why, …"""
    moves: tuple[Move, ...]
    times: tuple[Timing, ...]
    """Own time, first byte or token, longest gap: those that the latest comparisons have."""

    @property
    def is_copied(self) -> bool:
        """Whether copies are made of some of its requests now."""
        return self.place.stage in COPYING and self.route.shadow.percent > 0 and self.place.percent != 100

    @property
    def is_silent(self) -> bool:
        """Copies should be made, and not one was ever compared."""
        return self.is_copied and not self.evidence.comparisons


def report(config: Config, engine: Engine) -> list[RouteReport]:
    """Every route of the file, in its order."""
    return [report_of(config, route, engine) for route in config.routes]


def report_of(config: Config, route: Route, engine: Engine) -> RouteReport:
    epoch = epoch_of(config, route)
    history = reading.history(engine, route.name, epoch, route.gate)
    evidence = gathered(history, route.gate, is_live=route.shadow.effects == "live")
    all_groups = reading.groups(engine, route.name, epoch)
    groups = all_groups[:GROUPS]
    clusters = clusters_of(reading.exemplars(engine, groups))
    reasons: dict[str, int] = {}
    latest = reading.latest(engine, route.name, LATEST, epoch=epoch)
    for each in latest:
        if each.reason:
            reasons[each.reason] = reasons.get(each.reason, 0) + 1
    return RouteReport(
        route,
        place_of(route),
        epoch,
        evidence,
        verdict_of(evidence, route.gate),
        tuple(groups),
        tuple(sorted((_in_full(each, all_groups) for each in clusters), key=lambda each: -each.count)),
        reasons,
        {
            name.removeprefix(COPIES): number
            for name, number in reading.counted(engine).get(route.name, {}).items()
            if name.startswith(COPIES)
        },
        tuple(reading.moves(engine, route.name, MOVES)),
        tuple(_times([each for each in latest if not (each.control_failed or each.candidate_failed)])),
    )


def _in_full(cluster: Cluster, groups: Sequence[Group]) -> Cluster:
    """Exemplars are the first of each group; how many there are by now, and when the last was, the groups know."""
    those = [each for each in groups if (cluster.place, cluster.kind) in each.places]
    if not those:
        return cluster
    return replace(
        cluster,
        count=sum(each.count for each in those),
        first_at=min(each.first_at for each in those),
        last_at=max(each.last_at for each in those),
    )


def _times(latest: list[Comparison]) -> Iterator[Timing]:
    own = [(each.control_seconds, each.candidate_seconds) for each in latest]
    yield from _timing("own time", own)
    first = [(each.control_first_seconds, each.candidate_first_seconds) for each in latest]
    yield from _timing("first byte or token", first)
    yield from _timing("longest gap", [(each.control_gap_seconds, each.candidate_gap_seconds) for each in latest])


def _timing(what: str, both: Sequence[tuple[float | None, float | None]]) -> Iterator[Timing]:
    controls = sorted(control for control, _ in both if control is not None)
    candidates = sorted(candidate for _, candidate in both if candidate is not None)
    if controls and candidates:
        yield Timing(what, *(side[int(len(side) * at)] for at in (0.5, 0.95) for side in (controls, candidates)))


def as_json(found: RouteReport, *, with_values: bool = False) -> dict[str, Any]:
    """For programs, and without values for the journal, which is kept for longer than they may be. Times in seconds
    since 1970, rates and bounds as shares from 0 to 1."""
    limits = found.route.gate.limits()
    rates = {}
    for name, rate in found.evidence.rates.items():
        lower, upper = bounds(rate, limits[name])
        rates[name] = {
            "seen": rate.seen,
            "hits": rate.hits,
            **({"control_hits": rate.control_hits} if isinstance(rate, Pairs) else {}),
            "lower": lower,
            "upper": upper,
            "allowed": limits[name].rate,
        }
    best, likely = found.verdict.more
    return {
        "route": found.route.name,
        "place": str(found.place),
        "epoch": found.epoch,
        "copied": found.is_copied,
        "silent": found.is_silent,
        "comparisons": found.evidence.comparisons,
        "inconclusive": found.evidence.inconclusive,
        "inconclusive_reasons": found.inconclusive,
        "copies": found.copies,
        "first_at": found.evidence.first_at,
        "last_at": found.evidence.last_at,
        "rates": rates,
        "verdict": str(found.verdict.word),
        "says": str(found.verdict),
        "reasons": list(found.verdict.reasons),
        "more": {"at_best": best, "at_this_rate": likely},
        "groups": [
            {
                "count": group.count,
                "first_at": group.first_at,
                "last_at": group.last_at,
                "places": [{"place": place, "kind": str(kind)} for place, kind in group.places],
            }
            for group in found.groups
        ],
        "clusters": [_cluster(each, with_values=with_values) for each in found.clusters],
        "times_seconds": [each._asdict() for each in found.times],
        "moves": [asdict(move) for move in found.moves],
    }


def _cluster(cluster: Cluster, *, with_values: bool) -> dict[str, Any]:
    values = {"control": in_clear(cluster.control), "candidate": in_clear(cluster.candidate)}
    told = {name: value for name, value in asdict(cluster).items() if name not in values}
    return told | {"kind": str(cluster.kind)} | (values if with_values else {})
