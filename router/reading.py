"""Reads a routes.toml. Every problem is reported at once, each with its place and its cure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from . import fields, paths
from .config import (
    COPIED_UNDECLARED,
    COPYING,
    LEGACY,
    NO_COPIES,
    NOBODY,
    Config,
    Copies,
    Egress,
    Evidence,
    Identity,
    Route,
    Server,
    Settings,
    Telemetry,
    Upstream,
)
from .errors import ConfigError, Problem
from .problems import did_you_mean, from_validation, in_words, unusable

Model = TypeVar("Model", bound=Settings)

TLS_FILES = ("ca", "certificate", "key")


def load(file: Path, copy_of: Path | None = None) -> Config:
    """Read and check a routes.toml. Raises ConfigError with every problem that it has.

    Paths in it begin at its folder, or at that of the file that it is a copy of: every command means the same
    database, wherever it is given.
    """
    try:
        text = file.read_bytes().decode()  # line ends as they are: `edit` puts the text back
    except FileNotFoundError:
        raise _unusable(file, f'there is no such file: write one, or name another (looked in "{Path.cwd()}")') from None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, f"cannot be read: {unusable(error)}") from None
    if text.startswith("\ufeff"):
        raise _unusable(file, "begins with a byte order mark: save it as UTF-8 without one")
    return _anchored(parse(text, str(file)), (copy_of or file).absolute().parent)


def _anchored(config: Config, folder: Path) -> Config:
    before, slashes, path = config.evidence.url.partition("sqlite:///")
    if not before and slashes and path and path != ":memory:":
        evidence = config.evidence.model_copy(update={"url": f"{slashes}{folder / path}"})
        config = config._replace(evidence=evidence)
    egress = config.egress
    if egress is not None:
        egress = egress.model_copy(update={"provider": _with_files(egress.provider, folder)})
    upstreams = {name: _with_files(each, folder) for name, each in config.upstreams.items()}
    return config._replace(upstreams=upstreams, egress=egress)


def _with_files(upstream: Upstream, folder: Path) -> Upstream:
    tls = upstream.tls
    files = {name: str(folder / path) for name in TLS_FILES if (path := getattr(tls, name))}
    return upstream.model_copy(update={"tls": tls.model_copy(update=files)}) if files else upstream


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
    return config._replace(text=text)


def _unusable(source: Path | str, cure: str) -> ConfigError:
    return ConfigError(str(source), (Problem("", cure),))


class _Reading:
    """One pass over a parsed file that collects problems instead of stopping at the first."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.problems: list[Problem] = []

    def config(self) -> Config:
        known = ("server", "upstreams", "identity", "shadow", "evidence", "egress", "telemetry", "routes")
        for name in [name for name in self.raw if name not in known]:
            self.add(name, f"there is no such table.{did_you_mean(name, known)}")
        server = self.table(Server, "server", self.raw.get("server", {})) or Server()
        upstreams = self.upstreams()
        identity = self.table(Identity, "identity", self.raw["identity"]) if "identity" in self.raw else None
        if identity and upstreams and identity.upstream not in upstreams:
            self.add("identity.from", self.no_upstream(identity.upstream, upstreams))
        telemetry = self.table(Telemetry, "telemetry", self.raw.get("telemetry", {})) or Telemetry()
        evidence = self.table(Evidence, "evidence", self.raw.get("evidence", {})) or Evidence()
        egress = self.table(Egress, "egress", self.raw["egress"]) if "egress" in self.raw else None
        routes = self.routes(upstreams, {LEGACY, identity.upstream if identity else LEGACY})
        copies = self.table(Copies, "shadow", self.raw.get("shadow", {})) or Copies()
        return Config(server, upstreams, identity, routes, telemetry, copies, evidence, egress)

    def upstreams(self) -> dict[str, Upstream]:
        raw = self.raw.get("upstreams")
        if not isinstance(raw, dict) or LEGACY not in raw:
            self.add("upstreams", f'must name the monolith: {LEGACY} = "http://127.0.0.1:8001"')
        found = {}
        for name, value in raw.items() if isinstance(raw, dict) else ():
            place = f"upstreams.{name}"
            if not fields.is_upstream_name(name):
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
        self.check_shadow(route, place)
        self.check_egress(route, place)
        self.check_way_back(route, place)
        for other in earlier:
            if other.name == route.name:
                self.add(f"{place}, name", "is taken by an earlier route: every route needs its own")
            elif _hides(other, route):
                self.add(
                    f"{place}, path",
                    f'is hidden by "{other.name}", which comes first: put this route before it',
                )
        return _filled_in(route)

    def check_egress(self, route: Route, place: str) -> None:
        """Without the egress nobody would stop a copy's calls."""
        if route.stage in COPYING and route.shadow.effects in ("tape", "live") and "egress" not in self.raw:
            self.add(
                f"{place}, shadow.effects",
                f'"{route.shadow.effects}" needs the egress between the applications and their provider: '
                '[egress] provider = "http://…"',
            )

    def check_shadow(self, route: Route, place: str) -> None:
        """A stage with copies says what a copy may do, unless all that is copied is a read by its method."""
        if route.stage in ("shadow", "reverse") and route.shadow is NO_COPIES:
            self.add(f"{place}, shadow", f'stage {route.stage} needs it: shadow = {{ effects = "tape" }}')
        if route.stage not in COPYING or not route.shadow.percent or route.shadow.effects is not None:
            return
        if not route.methods or not COPIED_UNDECLARED.issuperset(route.methods):
            self.add(
                f"{place}, shadow.effects",
                'say what a copy causes: "none" if the route only reads, "tape" if its calls to the provider are '
                'answered from the tape and its writes rolled back, "live" if copies may make real calls; '
                "undeclared, only GET and HEAD are copied, and the route has other methods: or is it for "
                'methods = ["GET"] alone?',
            )

    def check_way_back(self, route: Route, place: str) -> None:
        """Where the monolith's code is deleted nobody may be sent there, by no hand and by no failure."""
        if not route.no_way_back:
            return
        if route.stage != "extracted":
            self.add(
                f"{place}, stage",
                f'stage {route.stage} needs legacy, which cannot answer: "{route.no_way_back}". '
                "Once it can, take no_way_back out",
            )
        for name, sends_back in (("fallback", route.fallback), ("trip", route.trip)):
            if sends_back:
                self.add(f"{place}, {name}", "sends callers to legacy, which cannot answer: take it out")

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


def _filled_in(route: Route) -> Route:
    """With what was left out because the rest of the route says it."""
    split, shadow = route.split, route.shadow
    by = shadow.by or (None if split is NOBODY else split.by)
    return route.model_copy(
        update={
            "split": split.model_copy(update={"salt": split.salt or route.name}),
            "shadow": shadow.model_copy(update={"salt": shadow.salt or f"{route.name} shadow", "by": by}),
        }
    )


def _hides(earlier: Route, later: Route) -> bool:
    methods = not earlier.methods or (later.methods and set(later.methods) <= set(earlier.methods))
    return bool(methods) and paths.is_covered(later.segments, earlier.segments)
