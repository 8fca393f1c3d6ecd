"""The application: settings in, FastAPI out."""

import gc
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from . import endpoints, knowledge, operations, sockets
from .allowance import Allowance
from .answers import SAME_ON_EVERY_ANSWER, refused
from .conversations import Conversations
from .database import open_database
from .errors import (
    CallerLeft,
    MethodNotAllowed,
    NotFound,
    NotReady,
    Refusal,
    ServerError,
    SettingsError,
    StreamCut,
)
from .identity import Keys, Verifier
from .monolith import open_monolith
from .provider import open_provider
from .seats import Seats
from .service import Service, caller_of
from .settings import Settings, read_settings
from .shadow import Shadow
from .telemetry import OFF, Telemetry, note_caller_left, note_failure, open_telemetry

GARBAGE_OBJECTS = 200_000
"""So many new objects before circles are looked for. A request that waits for the model holds some 300, none of them in
a circle that is over: 500 that come at once should not be looked through while they wait for their start."""

logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, telemetry: Telemetry = OFF) -> FastAPI:
    """The application; without settings it reads the environment, or ends the process with what is wrong there."""
    if settings is None:
        try:
            app = create_app(read_settings(), open_telemetry(os.environ))
        except SettingsError as error:
            raise SystemExit(f"The assistant service cannot start.\n{error}") from None
        # What is here now stays for as long as the process, and a token leaves nothing in circles: looking for that
        # every few hundred objects would cost a twelfth of the CPU of a stream.
        gc.freeze()
        gc.set_threshold(GARBAGE_OBJECTS)
        return app

    verifier = Verifier(Keys(settings.identity_jwks_file), settings.identity_issuer, settings.identity_audience)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with (
            open_database(settings) as database,
            open_provider(settings, telemetry) as provider,
            open_monolith(settings, telemetry) as monolith,
        ):
            allowance = Allowance(database, settings.llm_daily_tokens)
            own = Conversations(database)
            with suppress(NotReady):  # it is in the log, and whoever wants a conversation has it tried again
                await own.prepare()
            seats = Seats(settings.sockets_per_user, settings.socket_idle_seconds, settings.socket_lifetime_seconds)
            yield {"service": Service(verifier, database, provider, allowance, monolith, telemetry, own, seats)}
        telemetry.close()

    app = with_endpoints(life)
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_middleware(Envelope)
    app.add_middleware(Shadow)
    telemetry.instrument_app(app)
    return app


def with_endpoints(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Every endpoint and its description, and nothing that would need settings."""
    app = FastAPI(
        title="Helpdesk assistant",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    for part in (endpoints, knowledge, sockets, operations):
        app.include_router(part.router)
    return app


class Envelope:
    """Around the whole application: the headers of every answer, and an end for every way in which there is none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "websocket.accept":
                started = True
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                started = True
                message = {**message, "headers": [*message["headers"], *SAME_ON_EVERY_ANSWER]}
            await send(message)

        if scope["path"].endswith("\n"):  # Starlette's patterns end in `$`, which matches before it; Django's do not
            await refused(NotFound())(scope, receive, send_with_headers)
            return
        try:
            await self.app(scope, receive, send_with_headers)
        except (CallerLeft, ClientDisconnect):
            note_caller_left()
            return
        except StreamCut as cut:
            note_failure(cut.__cause__)
            # To return before the body is complete makes the server close the connection, without the last
            # chunk; to raise would do the same, and put a traceback of something expected into its log.
            return
        except Exception:
            if started:
                raise  # the server logs it and cuts the connection
            logger.exception("Unexpected error in %s %s.", scope.get("method", "WebSocket"), scope["path"])
            await refused(ServerError())(scope, receive, send_with_headers)


async def _refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refused(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    """No route, or none for this method; as in the monolith, an API says the latter only to whom it knows."""
    assert isinstance(error, HTTPException)
    if error.status_code != 405:
        return refused(NotFound())
    try:
        if request.url.path.startswith("/api/"):
            caller_of(request)
    except Refusal as refusal:
        return refused(refusal)
    allowed = (error.headers or {}).get("Allow", "")
    return refused(MethodNotAllowed(request.method, ", ".join(sorted(allowed.split(", ")))))
