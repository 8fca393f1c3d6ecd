"""What routes.toml may say. Every problem is reported at once, each with its place and its cure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from . import paths
from .errors import ConfigError, Problem
from .problems import did_you_mean, from_validation, in_words

LEGACY = "legacy"
Stage = Literal["legacy", "split", "extracted"]

_NAME = r"^[a-z][a-z0-9-]{0,62}$"


class CallerKey(NamedTuple):
    """What a split goes by: the caller's `cookie:NAME`, `header:NAME`, or `address`."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


def _caller_key(value: Any) -> CallerKey:
    if isinstance(value, CallerKey):
        return value
    kind, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if (kind in ("cookie", "header") and name.isascii() and name.strip()) or (kind == "address" and not colon):
        return CallerKey(kind, name.strip())
    raise ValueError('must be "cookie:NAME", "header:NAME" or "address"')


def _percent(value: float) -> float:
    if round(value, 2) != value:
        raise ValueError("may have two decimals at most, as in nginx")
    return value


def _path(value: str) -> str:
    paths.parse(value)
    return value


def _methods(value: list[str]) -> list[str]:
    for method in value:
        if not method.isalpha() or not method.isupper():
            raise ValueError(f'"{method}" is no method: write it in capitals, like "{method.upper()}"')
    return value


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f'"{url}" must look like "http://127.0.0.1:8001"')
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f'"{url}" must end after the port: the router passes paths on as they are')
    parts.port  # noqa: B018  (raises ValueError by itself if it is no port)
    return url


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=_Table)


class Server(_Table):
    """How the router serves; all sizes in bytes, all times in seconds."""

    answered_by: bool = Field(default=False, description="say in X-Answered-By which upstream answered")
    spool_bytes: int = Field(
        default=1_048_576,
        ge=0,
        description="the longest chunked request body that is held to give it a Content-Length; 413 above it",
    )


class Upstream(_Table):
    """A service that can answer."""

    url: Annotated[str, AfterValidator(_address)] = Field(description="where it listens, like http://127.0.0.1:8001")
    identity: bool = Field(default=True, description="whether its requests carry a signed identity; needs [identity]")
    chunked_requests: Literal["spool", "stream"] = Field(
        default="spool",
        description='"spool" gives a chunked request body a Content-Length, which WSGI needs; "stream" passes it on',
    )
    connections: int = Field(default=1000, ge=1, description="at most so many at once; 503 above it")
    connect_seconds: float = Field(default=3.0, gt=0, description="until a connection stands")
    first_byte_seconds: float = Field(
        default=60.0, gt=0, description="from the last of the request until the answer's head"
    )
    idle_seconds: float = Field(default=60.0, gt=0, description="between two pieces of an answer")
    websocket_idle_seconds: float = Field(
        default=300.0, gt=0, description="how long a WebSocket may be silent both ways (servers ping every 20 s or so)"
    )
    keep_seconds: float = Field(
        default=4.0,
        ge=0,
        description="how long an idle connection is kept; below the upstream's own limit (uvicorn's is 5 s)",
    )

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80


class Identity(_Table):
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


class Telemetry(_Table):
    """What is told about requests; where it goes is the environment's to say (see `telemetry.py`)."""

    sample: float = Field(default=1.0, ge=0, le=1, description="the share of the requests that is traced, 0 to 1")


class Split(_Table):
    """Which share of the callers the extracted upstream answers in stage split."""

    percent: Annotated[float, AfterValidator(_percent)] = Field(ge=0, le=100, description="0 to 100, two decimals")
    by: Annotated[CallerKey, BeforeValidator(_caller_key)] = Field(
        description='what makes a caller the same caller: "cookie:NAME", "header:NAME" or "address"'
    )
    salt: str = Field(default="", description="put before the key; the route's name if left out")


NOBODY = Split(percent=0, by=CallerKey("address"))


class Route(_Table):
    """A named set of requests that migrate together."""

    name: str = Field(pattern=_NAME, description="small letters, digits and dashes")
    path: Annotated[str, AfterValidator(_path)] = Field(description="Starlette's path syntax, like /tickets/{id}")
    methods: Annotated[list[str], AfterValidator(_methods)] = Field(default=[], description="all, if left out")
    to: str = Field(default="", description="the extracted upstream; may be left out where there is only one")
    stage: Stage = Field(description="how far the route has moved")
    split: Split = Field(default=NOBODY, description="needed by stage split; may stay while another is in use")
    _segments: tuple[paths.Segment, ...] = PrivateAttr(default=())

    def model_post_init(self, _: Any) -> None:
        self._segments = paths.parse(self.path)

    @property
    def segments(self) -> tuple[paths.Segment, ...]:
        return self._segments


class Config(NamedTuple):
    """A whole routes.toml that can be used."""

    server: Server
    upstreams: Mapping[str, Upstream]
    identity: Identity | None
    routes: tuple[Route, ...]
    telemetry: Telemetry


def load(file: Path) -> Config:
    """Read and check a routes.toml. Raises ConfigError with every problem that it has."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise _unusable(file, f'there is no such file: write one, or name another (looked in "{Path.cwd()}")') from None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, f"cannot be read: {error}") from None
    return parse(text, str(file))


def parse(text: str, source: str = "routes.toml") -> Config:
    """Check the text of a routes.toml. Raises ConfigError with every problem that it has."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unusable(source, f"is not valid TOML: {error}") from None
    except RecursionError:
        raise _unusable(source, "is nested too deeply") from None
    reading = _Reading(raw)
    config = reading.config()
    if reading.problems:
        raise ConfigError(source, tuple(reading.problems))
    return config


def _unusable(source: Path | str, cure: str) -> ConfigError:
    return ConfigError(str(source), (Problem("", cure),))


class _Reading:
    """One pass over a parsed file that collects problems instead of stopping at the first."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.problems: list[Problem] = []

    def config(self) -> Config:
        known = ("server", "upstreams", "identity", "telemetry", "routes")
        for name in [name for name in self.raw if name not in known]:
            self.add(name, f"there is no such table.{did_you_mean(name, known)}")
        server = self.table(Server, "server", self.raw.get("server", {})) or Server()
        upstreams = self.upstreams()
        identity = self.table(Identity, "identity", self.raw["identity"]) if "identity" in self.raw else None
        if identity and upstreams and identity.upstream not in upstreams:
            self.add("identity.from", self.no_upstream(identity.upstream, upstreams))
        telemetry = self.table(Telemetry, "telemetry", self.raw.get("telemetry", {})) or Telemetry()
        routes = self.routes(upstreams, {LEGACY, identity.upstream if identity else LEGACY})
        return Config(server, upstreams, identity, routes, telemetry)

    def upstreams(self) -> dict[str, Upstream]:
        raw = self.raw.get("upstreams")
        if not isinstance(raw, dict) or LEGACY not in raw:
            self.add("upstreams", f'must name the monolith: {LEGACY} = "http://127.0.0.1:8001"')
        found = {}
        for name, value in raw.items() if isinstance(raw, dict) else ():
            place = f"upstreams.{name}"
            if not name.replace("-", "").isalnum() or not name.isascii() or not name.islower():
                self.add(place, "the name must be small letters, digits and dashes")
            table = {"url": value} if isinstance(value, str) else value
            found[name] = self.table(Upstream, place, table)
        # A wrong upstream still counts as named, or every route to it would be reported as well.
        return {name: upstream or Upstream(url="http://unknown") for name, upstream in found.items()}

    def routes(self, upstreams: dict[str, Upstream], not_extracted: set[str]) -> tuple[Route, ...]:
        raw = self.raw.get("routes", [])
        if not isinstance(raw, list):
            self.add("routes", "must be a list of tables: begin each route with [[routes]]")
            return ()
        extracted = [name for name in upstreams if name not in not_extracted]
        routes: list[Route] = []
        for index, value in enumerate(raw):
            place = f"routes[{index}]"
            if isinstance(value, dict) and isinstance(value.get("name"), str):
                place += f' "{value["name"]}"'
            if isinstance(value, dict) and "to" not in value and len(extracted) == 1:
                value = {**value, "to": extracted[0]}
            if route := self.table(Route, place, value):
                routes.append(self.checked(route, place, routes, upstreams, extracted))
        return tuple(routes)

    def checked(
        self,
        route: Route,
        place: str,
        earlier: list[Route],
        upstreams: dict[str, Upstream],
        extracted: list[str],
    ) -> Route:
        """What one route can only get wrong together with the rest of the file."""
        if not route.to:
            self.add(
                f"{place}, to",
                f"say which upstream it moves to: {in_words(extracted) or 'none is named yet'}",
            )
        elif route.to not in upstreams:
            self.add(f"{place}, to", self.no_upstream(route.to, upstreams))
        elif route.to not in extracted:
            self.add(f"{place}, to", f'"{route.to}" is the monolith itself: name the extracted upstream')
        if route.stage == "split" and route.split is NOBODY:
            self.add(f"{place}, split", 'stage split needs it: split = { percent = 10, by = "cookie:sessionid" }')
        for other in earlier:
            if other.name == route.name:
                self.add(f"{place}, name", "is taken by an earlier route: every route needs its own")
            elif _hides(other, route):
                self.add(
                    f"{place}, path",
                    f'is hidden by "{other.name}", which comes first: put this route before it',
                )
        salted = route.split.model_copy(update={"salt": route.split.salt or route.name})
        return route.model_copy(update={"split": salted})

    def table(self, model: type[Model], place: str, raw: Any) -> Model | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self.problems += from_validation(error, place, model)
        return None

    def no_upstream(self, name: str, upstreams: Mapping[str, Upstream]) -> str:
        return f'there is no upstream "{name}".{did_you_mean(name, upstreams)} Named are: {in_words(upstreams)}'

    def add(self, place: str, cure: str) -> None:
        self.problems.append(Problem(place, cure))


def _hides(earlier: Route, later: Route) -> bool:
    methods = not earlier.methods or (later.methods and set(later.methods) <= set(earlier.methods))
    return bool(methods) and paths.is_covered(later.segments, earlier.segments)
