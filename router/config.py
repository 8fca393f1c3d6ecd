"""What routes.toml may say: every table and field, with what it means (`reading.py` reads the file)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    model_validator,
)

from . import fields, paths
from .evidence.gates import Gate
from .evidence.rules import HEADERS, TEXTS, HeaderName, Pointer, Rule, Rules
from .fields import CallerKey
from .limits import Deadlines, Health, OwnDeadlines, Trip
from .limits import Settings as Settings

LEGACY = "legacy"
Stage = Literal["legacy", "shadow", "split", "reverse", "extracted"]
Effects = Literal["none", "tape", "live"]

COPYING: frozenset[Stage] = frozenset(("shadow", "split", "reverse"))
"""The stages in which copies are made."""
COPIED_UNDECLARED = frozenset(("GET", "HEAD"))
"""The methods whose requests are copied although nothing says what a copy causes."""

_NAME = r"^[a-z][a-z0-9-]{0,62}$"


class Server(Settings):
    """How the router serves; all sizes in bytes, all times in seconds."""

    answered_by: Literal[False, True, "on request"] = Field(
        default=False,
        description="say in X-Answered-By which upstream answered: never, always, or to requests that have the header",
    )
    access_log: bool = Field(default=False, description="a line of JSON on standard output for each exchange")
    forwarded: bool = Field(default=False, description="say about the caller in Forwarded (RFC 7239) as well")
    trusted_proxies: Annotated[list[str], AfterValidator(fields.networks)] = Field(
        default=[], description="the addresses or networks whose X-Forwarded-For, -Proto and -Host are believed"
    )
    spool_bytes: int = Field(
        default=1_048_576,
        ge=0,
        description="the longest chunked request body that is held to give it a Content-Length; 413 above it",
    )


class Tls(Settings):
    """How an https upstream is recognised, and how the router makes itself known to it."""

    ca: str = Field(default="", description="a PEM file of the authorities to believe; the system's, if left out")
    verify: bool = Field(default=True, description="whether its certificate is checked; false is for trying things out")
    server_name: str = Field(default="", description="the name in its certificate; the URL's host, if left out")
    certificate: str = Field(
        default="", description="a PEM file with the router's own certificate, if it is to have one"
    )
    key: str = Field(default="", description="a PEM file with the key for it, if it is not in the same file")


class Upstream(Settings):
    """A service that can answer."""

    url: Annotated[str, AfterValidator(fields.address)] = Field(
        description="where it listens: http://127.0.0.1:8001, or https, or unix:/app.sock"
    )
    tls: Tls = Field(default=Tls(), description="for an https url, what else there is to say")
    identity: bool = Field(default=True, description="whether its requests carry a signed identity; needs [identity]")
    chunked_requests: Literal["spool", "stream"] = Field(
        default="spool",
        description='"spool" gives a chunked request body a Content-Length, which WSGI needs; "stream" passes it on',
    )
    connections: int = Field(default=1000, ge=1, description="at most so many at once; then requests wait")
    waiting: int = Field(default=100, ge=0, description="at most so many requests wait for a connection; 503 above it")
    wait_seconds: float = Field(default=1.0, gt=0, description="how long a request waits for a connection; then 503")
    connect_seconds: float = Field(default=3.0, gt=0, description="until a connection stands")
    first_byte_seconds: float = Field(
        default=60.0, gt=0, description="from the last of the request until the answer's head"
    )
    idle_seconds: float = Field(default=60.0, gt=0, description="between two pieces of an answer")
    total_seconds: float = Field(
        default=math.inf, gt=0, description="from the beginning of a request to the end of its answer; a stream is cut"
    )
    websocket_idle_seconds: float = Field(
        default=300.0, gt=0, description="how long a WebSocket may be silent both ways (servers ping every 20 s or so)"
    )
    keep_seconds: float = Field(
        default=4.0,
        ge=0,
        description="how long an idle connection is kept; below the upstream's own limit (uvicorn's is 5 s)",
    )
    retries: float = Field(
        default=0.2, ge=0, le=1, description="the share of requests that may be tried again, beside the first few"
    )
    build: str = Field(default="", description="what is deployed there; evidence of another build begins anew")
    health: Health | None = Field(default=None, description="how it is asked whether it is well; not, if left out")

    @model_validator(mode="after")
    def _tls_fits(self) -> Upstream:
        if self.tls != Tls() and not self.is_tls:
            raise ValueError("only an https url takes tls: write https://…, or leave tls out")
        if self.tls.key and not self.tls.certificate:
            raise ValueError("tls.key is the key of a certificate: name it in tls.certificate")
        return self

    @property
    def is_tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def socket(self) -> str:
        """The path of its Unix socket, if it listens on one."""
        parts = urlsplit(self.url)
        return parts.path if parts.scheme == "unix" else ""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (443 if self.is_tls else 80)

    @property
    def deadlines(self) -> Deadlines:
        return Deadlines(self.connect_seconds, self.first_byte_seconds, self.idle_seconds, self.total_seconds)


class Identity(Settings):
    """Where the monolith says who the caller is (see `identity.py`)."""

    upstream: str = Field(default=LEGACY, alias="from", description="the upstream that is asked")
    path: str = Field(
        default="/internal/identity",
        pattern=r"^/[A-Za-z0-9/._~!$&'()*+,;=:@-]+$",
        description="its path, in plain characters and without a query; callers never reach it",
    )
    secret_env: str = Field(
        default="IDENTITY_SECRET",
        pattern=r"^\w+$",
        description="the environment variable that holds the shared secret",
    )
    timeout_seconds: float = Field(default=3.0, gt=0, description="503 after it: never anonymous")
    remember_seconds: float = Field(
        default=5.0,
        ge=0,
        le=15,
        description="how long the identity of a safe request is used again: so long a logout may go unnoticed",
    )


class Telemetry(Settings):
    """What is told about requests; where it goes is the environment's to say (see `telemetry.py`)."""

    sample: float = Field(default=1.0, ge=0, le=1, description="the share of the requests that is traced, 0 to 1")


class Evidence(Settings):
    """Where comparisons, the tape and the journal are kept, and how much of them."""

    url: str = Field(
        default="sqlite:///var/evidence.db",
        description="the database, SQLite or PostgreSQL, as SQLAlchemy writes it; all workers and replicas share it",
    )
    keep_days: float = Field(default=30.0, gt=0, description="comparisons and counts older than this are forgotten")
    keep_mib: int = Field(default=512, ge=1, description="above this size in MiB the oldest are forgotten sooner")
    values: bool = Field(
        default=False, description="whether differences keep what differs in clear, not only its keyed digest"
    )
    redact: Annotated[list[str], AfterValidator(fields.pointers)] = Field(
        default=[], description='JSON pointers whose values are never kept in clear, like "/customer/email"'
    )


class Price(Settings):
    """Of one model, for a million tokens, in any one currency."""

    input: float = Field(ge=0, description="for a million tokens of a request")
    output: float = Field(ge=0, description="for a million tokens of an answer")


class Live(Settings):
    """What calls to the provider by copies of routes with effects = "live" may cost; above it they are refused."""

    calls_per_minute: int = Field(ge=0, description="the calls of all copies together")
    tokens_per_day: int = Field(ge=0, description="tokens of requests and answers, in a day of UTC")
    money_per_day: float = Field(ge=0, description="in the currency of the prices, in a day of UTC")
    answer_tokens: int = Field(
        default=1024,
        ge=1,
        description="taken for the length of an answer whose request sets no limit, until it is known",
    )
    prices: dict[str, Price] = Field(
        default={}, description="by the model's name as requests have it; a model without a price is refused"
    )


def _provider(value: Any) -> Any:
    table = {"url": value} if isinstance(value, str) else value
    # Models take their time, and the applications have deadlines of their own, which shall come first.
    return {"first_byte_seconds": 600.0, "idle_seconds": 600.0, **table} if isinstance(table, dict) else table


class Egress(Settings):
    """The face of the router between the applications and their provider; all times in seconds."""

    provider: Annotated[Upstream, BeforeValidator(_provider)] = Field(
        description="where it listens, like https://api.example.com, or a table with the fields of an upstream"
    )
    pace: Literal["recorded", "at once"] = Field(
        default="recorded", description='whether a replayed answer takes its time; "at once" keeps only its pieces'
    )
    request_bytes: int = Field(
        default=1_048_576, ge=1, description="the longest request body that can be recorded or found on the tape"
    )
    answer_bytes: int = Field(default=4_194_304, ge=0, description="the longest answer that is recorded whole")
    keep_minutes: float = Field(default=30.0, gt=0, description="how long the tape is kept")
    live: Live | None = Field(
        default=None, description='the budget of copies with effects = "live"; without it they are refused'
    )


class Copies(Settings):
    """How shadow copies are made, in each worker process; all sizes in bytes, all times in seconds."""

    workers: int = Field(default=8, ge=1, le=1000, description="copies that are on their way at once")
    queue: int = Field(default=256, ge=1, description="copies that wait; the next is dropped and counted")
    body_bytes: int = Field(
        default=1_048_576, ge=0, description="the longest body of a request or an answer that is recorded"
    )
    total_bytes: int = Field(
        default=67_108_864, ge=0, description="all that is recorded at one time, of all requests and copies together"
    )
    timeout_seconds: float = Field(default=120.0, gt=0, description="for one copy, from its first byte to its last")
    per_second: float = Field(default=50.0, gt=0, description="copies of one route; the next is dropped and counted")


class Split(Settings):
    """Which share of the callers the extracted upstream answers in stage split."""

    percent: Annotated[float, AfterValidator(fields.percent)] = Field(
        ge=0, le=100, description="0 to 100, two decimals"
    )
    by: Annotated[CallerKey, BeforeValidator(fields.caller_key)] = Field(
        description='what makes a caller the same caller: "cookie:NAME", "header:NAME" or "address"'
    )
    salt: str = Field(default="", description="put before the key; the route's name if left out")


class Shadow(Settings):
    """Which of a route's requests are copied, and what a copy may do; needed by the stages shadow and reverse."""

    percent: Annotated[float, AfterValidator(fields.percent)] = Field(
        default=100, ge=0, le=100, description="the share that is copied, 0 to 100, two decimals"
    )
    by: Annotated[CallerKey | None, BeforeValidator(fields.caller_key)] = Field(
        default=None,
        description="what belongs together and is copied whole or not at all, written like split.by, and that if left "
        "out; without either, or where a request has it not, each request is for itself",
    )
    salt: str = Field(default="", description='put before the key; the route\'s name and " shadow" if left out')
    effects: Effects | None = Field(
        default=None,
        description='what a copy causes: "none" (it only reads), "tape" (calls to the provider are answered from the '
        'tape, its own writes are rolled back by the service), "live" (it makes real calls); if left out, only GET and '
        "HEAD are copied",
    )
    ignore: Annotated[tuple[str, ...], AfterValidator(fields.pointers)] = Field(
        default=(), description='JSON pointers to what may differ, like "/generated_at"'
    )
    twice_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="of the reads that are copied, the share for which control is asked once more, to learn where it "
        'differs from itself (5); with effects = "live" of all copies (0): one more real call, and the evidence',
    )
    rules: tuple[Rule, ...] = Field(default=(), description="what else may differ, each with its reason")
    headers: tuple[HeaderName, ...] = Field(default=HEADERS, description="the headers that are compared")
    texts: tuple[Pointer, ...] = Field(
        default=TEXTS, description="JSON pointers to where events carry pieces of a longer text"
    )

    @property
    def twice(self) -> float:
        """`twice_percent`, as it is if left out. To ask control twice for what may write is never assumed."""
        assumed = 0.0 if self.effects == "live" else 5.0
        return assumed if self.twice_percent is None else self.twice_percent

    @cached_property
    def same(self) -> Rules:
        """What "the same" means for the route."""
        return Rules(ignore=self.ignore, rules=self.rules, headers=self.headers, texts=self.texts)


NO_COPIES = Shadow(percent=0)
NOBODY = Split(percent=0, by=CallerKey("address"))


class Route(Settings):
    """A named set of requests that migrate together."""

    name: str = Field(pattern=_NAME, description="small letters, digits and dashes")
    path: Annotated[str, AfterValidator(fields.path)] = Field(description="Starlette's path syntax, like /tickets/{id}")
    methods: Annotated[list[str], AfterValidator(fields.methods)] = Field(default=[], description="all, if left out")
    to: str = Field(default="", description="the extracted upstream; may be left out where there is only one")
    stage: Stage = Field(description="how far the route has moved")
    split: Split = Field(default=NOBODY, description="needed by stage split; may stay while another is in use")
    shadow: Shadow = Field(
        default=NO_COPIES, description="needed by the stages shadow and reverse; may stay while another is in use"
    )
    connect_seconds: float | None = Field(default=None, gt=0, description="instead of the upstream's")
    first_byte_seconds: float | None = Field(default=None, gt=0, description="instead of the upstream's")
    idle_seconds: float | None = Field(default=None, gt=0, description="instead of the upstream's")
    total_seconds: float | None = Field(default=None, gt=0, description="instead of the upstream's")
    fallback: bool = Field(
        default=False, description="whether legacy answers where the extracted upstream failed and it is safe to ask"
    )
    gate: Gate = Field(default=Gate(), description="what the evidence must show before the route may advance")
    trip: Trip | None = Field(default=None, description="when it goes back to legacy by itself; never, if left out")
    no_way_back: str = Field(
        default="", description="why legacy can answer nobody, and what would change that; holds the route in extracted"
    )
    _segments: tuple[paths.Segment, ...] = PrivateAttr(default=())

    def model_post_init(self, _: Any) -> None:
        self._segments = paths.parse(self.path)

    @property
    def segments(self) -> tuple[paths.Segment, ...]:
        return self._segments

    @cached_property
    def deadlines(self) -> OwnDeadlines | None:
        """Its own, if it has any: they hold whoever answers."""
        own = OwnDeadlines(self.connect_seconds, self.first_byte_seconds, self.idle_seconds, self.total_seconds)
        return None if own == (None, None, None, None) else own


class Config(NamedTuple):
    """A whole routes.toml that can be used."""

    server: Server
    upstreams: Mapping[str, Upstream]
    identity: Identity | None
    routes: tuple[Route, ...]
    telemetry: Telemetry
    copies: Copies
    evidence: Evidence
    egress: Egress | None
    text: str = ""
    """Of the file."""

    @property
    def digest(self) -> str:
        """Whoever serves the same text has the same one."""
        return hashlib.sha256(self.text.encode("utf-8", "replace")).hexdigest()[:12]
