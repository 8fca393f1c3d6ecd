"""The router as a Starlette application: the only file that knows all parts.

HTTP requests go straight to the proxy; everything else an ASGI server says (its lifespan) is Starlette's.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from .access_log import AccessLog
from .config import LEGACY, Config, Identity, Route, Server
from .errors import ConfigError, Problem
from .identity import Exchange
from .measurements import Measurements
from .proxy import Live, Proxy
from .reading import load
from .reload import Reload
from .routes import Table
from .shadow import Copier, Process, Start
from .steps import place_of
from .telemetry import Telemetry, check_installed, open_telemetry
from .trips import trips_of
from .trust import Trust
from .upstream import Pool, tls_context

FILE_ENV = "STRANGLER_ROUTES"
"""The environment variable that tells a worker process which routes.toml to serve."""


class RouterApp(Starlette):
    """Serves a routes.toml and follows its changes."""

    def __init__(
        self,
        file: Path,
        environ: Mapping[str, str] = os.environ,
        start: Start = Process,
        measurements: Measurements | None = None,
        spare: Path | None = None,
    ) -> None:
        """Raises ConfigError if the file cannot be used; later a wrong file only leaves things as they are.

        `start` makes the shadow process; `measurements` is for whoever may ask for `standing`. In `spare` is kept
        what is served: a worker that is started while the file is wrong serves the same as the others.
        """
        self._spare = spare
        self._start = start
        self._environ = environ
        self._measurements = measurements
        self._access_log = AccessLog()
        self.reload = Reload(file, self._take_over)
        self._config = self._usable(file)
        self._proxy: Proxy | None = None
        super().__init__(lifespan=self._lifespan)

    def _usable(self, file: Path) -> Config:
        try:
            config = load(file)
            identity_secret(config.identity, self._environ)
            check_installed(self._environ)
            for upstream in config.upstreams.values():
                tls_context(upstream)
        except ConfigError as error:
            if self._spare is None or not self._spare.exists():
                raise
            self.reload.say(error)
            return load(self._spare, copy_of=file)
        return config

    def _keep(self) -> None:
        if self._spare is not None:
            draft = self._spare.with_suffix(f".{os.getpid()}")
            draft.write_bytes(self._config.text.encode("utf-8", "replace"))
            draft.replace(self._spare)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._proxy is None:
            await super().__call__(scope, receive, send)
            return
        await self._proxy(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        telemetry = open_telemetry(self._environ, self._measurements)
        self._copier = Copier(self._start)
        if telemetry.meter is not None:
            self._copier.counts.show(telemetry.meter)
        self._proxy = Proxy(self._live(self._config, telemetry))
        self._keep()
        watching = asyncio.create_task(self.reload.watch())
        yield
        watching.cancel()
        for pool in self._proxy.live.pools.values():
            pool.close()
        await self._copier.close()
        telemetry.close()
        self._access_log.close()

    def _live(self, config: Config, telemetry: Telemetry, before: Live | None = None) -> Live:
        live = go_live(config, self._environ, telemetry, self._copier, before)
        return dataclasses.replace(live, access_log=self._access_log) if config.server.access_log else live

    def standing(self) -> dict[str, Any]:
        """What `status` and the metrics say of this process, as JSON can say it."""
        if self._proxy is None:
            return {}
        live = self._proxy.live
        return {
            "table": self._config.digest,
            "problem": self.reload.problem,
            "routes": [_standing(route, live) for route in self._config.routes],
            "upstreams": {name: _said(pool.state()) for name, pool in live.pools.items()},
            "measurements": (self._measurements or Measurements()).state(),
        }

    def _take_over(self, config: Config, anew: bool) -> None:
        if self._proxy is None:
            return
        before = self._proxy.live
        kept = before
        if anew:  # certificates are read with the pool
            pools = {name: pool for name, pool in before.pools.items() if not pool.upstream.is_tls}
            kept = dataclasses.replace(before, pools=pools)
        self._proxy.live = self._live(config, before.telemetry, kept)
        self._config = config
        self._keep()
        for name, pool in before.pools.items():
            if self._proxy.live.pools.get(name) is not pool:
                pool.close()


def _standing(route: Route, live: Live) -> dict[str, Any]:
    trip, copies = live.trips.get(route.name), live.shadowing.counts.get(route.name)
    return {
        "name": route.name,
        "stage": route.stage,
        "percent": place_of(route).percent,
        "trip": None if trip is None else _said(trip.state()),
        "copies": None if copies is None else copies.said(),
    }


def _said(value: Any) -> Any:
    """A named tuple, those in it too, as JSON says it best."""
    return {name: _said(each) for name, each in value._asdict().items()} if hasattr(value, "_asdict") else value


def create_app() -> RouterApp:
    """For servers that want a factory: serves the file that STRANGLER_ROUTES names, or routes.toml."""
    try:
        return RouterApp(Path(os.environ.get(FILE_ENV, "routes.toml")))
    except ConfigError as error:
        raise SystemExit(str(error)) from None  # the servers would show where it was raised, not what is wrong


def go_live(
    config: Config, environ: Mapping[str, str], telemetry: Telemetry, copier: Copier, before: Live | None = None
) -> Live:
    """What serves `config`. Upstreams that did not change keep their pools, with connections and health in them;
    trips whose routes did not move keep their state.

    Raises ConfigError if the environment lacks the identity exchange's secret, or files of TLS cannot be used; then
    nothing was opened.
    """
    secret = identity_secret(config.identity, environ)
    pools = {} if before is None else before.pools
    kept = {name: pool for name, pool in pools.items() if config.upstreams.get(name) == pool.upstream}
    for name in config.upstreams.keys() - kept.keys():
        tls_context(config.upstreams[name])  # all of them before the first pool, which has a timer
    now = {name: kept.get(name) or Pool(upstream) for name, upstream in config.upstreams.items()}
    exchange, identified = None, frozenset[str]()
    if config.identity is not None:
        monolith = {LEGACY, config.identity.upstream}
        identified = frozenset(name for name, upstream in config.upstreams.items() if upstream.identity) - monolith
        exchange = Exchange(config.identity, secret, now[config.identity.upstream])
    return Live(
        config.server,
        Table(config.routes),
        now,
        exchange,
        identified,
        config.telemetry.sample,
        telemetry,
        trips_of(config.routes, telemetry.count, {} if before is None else before.trips),
        copier.under(config, secret),
        _trust(config.server),
    )


def _trust(server: Server) -> Trust | None:
    if not (server.trusted_proxies or server.forwarded):
        return None
    return Trust(server.trusted_proxies, says_forwarded=server.forwarded)


def identity_secret(identity: Identity | None, environ: Mapping[str, str]) -> bytes:
    """What the monolith knows the router by; empty if it is never asked. Raises ConfigError if it is not set."""
    if identity is None:
        return b""
    secret = environ.get(identity.secret_env, "")
    cure = ""
    if not secret:
        cure = "is not set: give the router and the monolith the same long random value"
    elif not (secret.isascii() and secret.isprintable() and secret.strip() == secret):
        cure = "holds something that a header cannot carry (a line break at its end?): use letters and digits"
    if cure:
        cure = f"the environment variable {identity.secret_env} {cure}"
        raise ConfigError("The environment", (Problem("identity, secret_env", cure),))
    return secret.encode()
