"""Which routes of a monolith are worth moving: ranks them by the worker time that they spend waiting on others.

From the SERVER spans of one service and what hangs below them. Per route, over a window of T seconds:

- busy: the sum of the requests' durations, in worker-seconds; busy / T workers are busy with it on average
  (Little's law, L = λ·W; J. D. C. Little, 1961). Of a pool of c workers it is the share busy / (T·c).
- waiting: of each request, the union of its outgoing calls that are no database's, so that parallel and nested
  calls count once; on whom is told by the same union per peer.
- database: the union of its database calls, less what was waiting already. own: what is left, which no event loop
  makes shorter.

Ranked by waiting × waiting / busy: much of it, and little else. A CPU-bound route comes last, however slow.
What the others gain is the chance that a request finds all workers busy, before and after (Erlang C; A. K. Erlang,
1917), which supposes that requests come independently of each other: read it as an order of magnitude.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from .errors import SpansError
from .spans import Span

NO_ROUTE = "(no route)"
"""Of a request whose span has only its method for a name: nothing in the monolith answered it."""


class Interval(NamedTuple):
    """From and until, in seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One route; times in seconds, summed over its requests."""

    method: str
    route: str
    requests: int
    median_seconds: float
    busy: float
    waiting: float
    database: float
    on_whom: Mapping[str, float] = field(default_factory=dict)
    """Waiting by the peer that was waited for, the longest first; those of parallel calls overlap."""
    extended: int = 0
    """Requests whose own span ended before their last call did; they are counted until the latter's end."""

    @property
    def own(self) -> float:
        return max(0.0, self.busy - self.waiting - self.database)

    @property
    def worth(self) -> float:
        return self.waiting * self.waiting / self.busy if self.busy else 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """A whole service over a window."""

    service: str
    seconds: float
    """T: from the first request's beginning to the last one's end."""
    routes: tuple[Surveyed, ...]
    """The one most worth moving first."""
    lost_calls: int = 0
    """Outgoing calls that belong to no request …"""
    lost_seconds: float = 0.0
    """… and how long they took. Streams of Django under its own instrumentation alone lose their request so."""

    @property
    def busy(self) -> float:
        return sum(each.busy for each in self.routes)

    def occupancy(self, workers: int, without: Surveyed | None = None) -> float:
        """The share of the pool that is busy, 1 for all of it; above 1, requests queue up for ever."""
        return (self.busy - (without.busy if without else 0.0)) / (self.seconds * workers)

    def has_to_wait(self, workers: int, without: Surveyed | None = None) -> float:
        """The chance, 0 to 1, that a request finds all workers busy."""
        return erlang_c(workers, self.occupancy(workers, without) * workers)


def survey(spans: Sequence[Span], service: str = "") -> Survey:
    """Rank the routes of `service`, or of the only one that answered requests. Raises SpansError if that is unclear."""
    service = _service(spans, service)
    mine = [span for span in spans if span.service == service]
    children: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in mine:
        children[span.trace_id, span.parent_id].append(span)
    found: dict[tuple[str, str], list[_Request]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    servers = [span for span in mine if span.kind == "SERVER"]
    for server in servers:
        below = _below(server, children)
        seen.update((span.trace_id, span.span_id) for span in below)
        found[_route(server, below)].append(_request(server, below))
    lost = [span for span in mine if span.kind == "CLIENT" and (span.trace_id, span.span_id) not in seen]
    lost = [span for span in lost if not _is_database(span)]
    routes = sorted(
        (_surveyed(key, requests) for key, requests in found.items()), key=lambda one: (-one.worth, -one.busy)
    )
    began, ended = min(span.start for span in servers), max(request.end for each in found.values() for request in each)
    return Survey(
        service,
        max(ended - began, 1e-9),
        tuple(routes),
        len(lost),
        _length(_union(Interval(span.start, span.end) for span in lost)),
    )


def erlang_c(workers: int, offered: float) -> float:
    """The chance that a request has to wait, with `offered` worker-seconds of work a second; 1 if it never fits."""
    if offered >= workers:
        return 1.0
    blocked = 1.0  # Erlang B by its recurrence, which never overflows
    for count in range(1, workers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked / (1 - (offered / workers) * (1 - blocked))


class _Request(NamedTuple):
    busy: float
    end: float
    waiting: float
    database: float
    on_whom: Mapping[str, float]
    is_extended: bool


def _service(spans: Sequence[Span], wanted: str) -> str:
    answering = sorted({span.service for span in spans if span.kind == "SERVER"})
    if wanted:
        if wanted not in answering:
            raise SpansError(f'no request of "{wanted}" is among these spans; there are those of {_listed(answering)}')
        return wanted
    if len(answering) == 1:
        return answering[0]
    if not answering:
        raise SpansError("there is no SERVER span among these: the monolith's requests were not traced")
    raise SpansError(f"several services answered requests: say which with --service: {_listed(answering)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name or '""' for name in names) or "nobody"


def _below(server: Span, children: Mapping[tuple[str, str], list[Span]]) -> list[Span]:
    """Everything that the request did in this service. Another SERVER span below is a request of its own."""
    found, left = [], [server]
    while left:
        for span in children.get((server.trace_id, left.pop().span_id), ()):
            if span.kind != "SERVER":
                found.append(span)
                left.append(span)
    return found


def _route(server: Span, below: Iterable[Span]) -> tuple[str, str]:
    route = next((found for span in (server, *below) if (found := span.attributes.get("http.route"))), None)
    method = server.attributes.get("http.request.method") or server.attributes.get("http.method")
    first, _, rest = server.name.partition(" ")
    path = str(route or ((rest or server.name) if rest != method != server.name else NO_ROUTE))
    return str(method or (first if rest else "")), path if path.startswith("/") or not route else f"/{path}"


def _request(server: Span, below: Sequence[Span]) -> _Request:
    end = max([server.end, *(span.end for span in below)])
    whole = Interval(server.start, end)
    out = [span for span in below if span.kind in ("CLIENT", "PRODUCER")]
    calls: dict[str, list[Interval]] = defaultdict(list)
    for span in out:
        if not _is_database(span):
            calls[_peer(span, below)].append(_inside(span, whole))
    waiting = _union(each for intervals in calls.values() for each in intervals)
    either = _union([*waiting, *(_inside(span, whole) for span in out if _is_database(span))])
    return _Request(
        busy=whole.end - whole.start,
        end=end,
        waiting=_length(waiting),
        database=_length(either) - _length(waiting),
        on_whom={peer: _length(_union(intervals)) for peer, intervals in calls.items()},
        is_extended=end > server.end + 0.001,
    )


def _is_database(span: Span) -> bool:
    return "db.system.name" in span.attributes or "db.system" in span.attributes


def _peer(span: Span, below: Sequence[Span]) -> str:
    """Whom a call waits for; a call of a library that only wraps an HTTP request waits for the latter's."""
    wrapped = [other for other in below if other.parent_id == span.span_id and other.kind == "CLIENT"]
    for each in (span, *wrapped):
        host = each.attributes.get("server.address") or each.attributes.get("net.peer.name")
        if host:
            port = each.attributes.get("server.port") or each.attributes.get("net.peer.port")
            return f"{host}:{port}" if port else str(host)
        # As long as nobody asks for the stable conventions, Python's instrumentation tells the address alone.
        if host := _host(str(each.attributes.get("url.full") or each.attributes.get("http.url") or "")):
            return host
    return str(span.attributes.get("gen_ai.provider.name") or span.name)


def _host(url: str) -> str:
    """Without user and password."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _inside(span: Span, whole: Interval) -> Interval:
    start = min(max(span.start, whole.start), whole.end)
    return Interval(start, max(start, min(span.end, whole.end)))


def _union(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for each in sorted(intervals):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged


def _length(intervals: Iterable[Interval]) -> float:
    return math.fsum(each.end - each.start for each in intervals)


def _surveyed(key: tuple[str, str], requests: Sequence[_Request]) -> Surveyed:
    whom: dict[str, float] = defaultdict(float)
    for request in requests:
        for peer, seconds in request.on_whom.items():
            whom[peer] += seconds
    return Surveyed(
        *key,
        requests=len(requests),
        median_seconds=median(request.busy for request in requests),
        busy=math.fsum(request.busy for request in requests),
        waiting=math.fsum(request.waiting for request in requests),
        database=math.fsum(request.database for request in requests),
        on_whom=dict(sorted(whom.items(), key=lambda pair: -pair[1])),
        extended=sum(request.is_extended for request in requests),
    )
