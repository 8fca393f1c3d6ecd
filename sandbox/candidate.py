"""The faulty candidate: the extracted service as it is, between two spoilers.

Callers reach the service through this process, and the service reaches its provider through it, so that what is
answered and what is asked can both be spoiled without a line of the service knowing. `PUT /sandbox/fault` plants one
of the faults of `planted.py`, or none.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .planted import ASKED, FAULTS, Fault, planted
from .spoiling import events_of

PATIENCE_SECONDS = 60.0
MAX_CONNECTIONS = 500
NOT_PASSED_ON = frozenset(("connection", "content-length", "transfer-encoding", "keep-alive", "host"))
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Candidate:
    """Passes on what it gets, and spoils what the planted fault is about."""

    def __init__(self, service_url: str, provider_url: str, fault: Fault | None) -> None:
        self.service_url = service_url
        self.provider_url = provider_url
        self.planted = fault
        self.client = httpx.AsyncClient(
            timeout=PATIENCE_SECONDS, trust_env=False, limits=httpx.Limits(max_connections=MAX_CONNECTIONS)
        )

    async def plant(self, request: Request) -> Response:
        """`PUT /sandbox/fault` with `{"fault": "dropped-field"}`, or `none`; `GET` lists them."""
        if request.method == "GET":
            now = self.planted.name if self.planted else "none"
            return JSONResponse({"planted": now, "faults": {each.name: _told(each) for each in FAULTS}})
        try:
            name = json.loads(await request.body())["fault"]
            self.planted = planted(name)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"detail": f'send {{"fault": NAME}}: {error}'}, 400)
        return JSONResponse({"planted": name})

    async def ask(self, request: Request) -> Response:
        """A call of the service to its provider."""
        body, fault = await request.body(), self.planted
        if fault and fault.call and body:
            document = json.loads(body)
            fault.call(document)
            body = json.dumps(document).encode()
        for _ in range(fault.calls - 1 if fault else 0):
            await (await self._sent(request, self.provider_url, body)).aread()
        answer = await self._sent(request, self.provider_url, body)
        return StreamingResponse(_pieces(answer), answer.status_code, _headers(answer))

    async def answer(self, request: Request) -> Response:
        """A caller's request to the service."""
        fault = self.planted if self.planted and _shows(self.planted, request.url.path) else None
        await asyncio.sleep(fault.later_seconds if fault else 0)
        answer = await self._sent(request, self.service_url, await request.body())
        if fault is None or fault.call or fault.calls > 1:
            return StreamingResponse(_pieces(answer), answer.status_code, _headers(answer))
        return await _spoiled(fault, answer)

    async def _sent(self, request: Request, to: str, body: bytes) -> httpx.Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = [(name, value) for name, value in request.headers.raw if name.decode() not in NOT_PASSED_ON]
        headers.append((b"host", request.headers.get("host", "").encode()))
        passed_on = httpx.Request(request.method, to + target, headers=headers, content=body)
        return await self.client.send(passed_on, stream=True)


def create_app(service_url: str, provider_url: str, fault: Fault | None) -> Starlette:
    candidate = Candidate(service_url, provider_url, fault)

    @asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        async with candidate.client:
            yield

    routes = [
        Route("/sandbox/fault", candidate.plant, methods=["GET", "PUT"]),
        Route("/v1/{rest:path}", candidate.ask, methods=METHODS),
        Route("/{rest:path}", candidate.answer, methods=METHODS),
    ]
    return Starlette(routes=routes, lifespan=life)


def serve(host: str, port: int, service_url: str, provider_url: str, fault: Fault | None) -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    app = create_app(service_url, provider_url, fault)
    uvicorn.run(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, date_header=False
    )


def _told(fault: Fault) -> dict[str, str]:
    return {name: getattr(fault, name) for name in ("says", "shown_by", "place", "kind")}


def _shows(fault: Fault, path: str) -> bool:
    return ASKED[fault.shown_by].fullmatch(path) is not None


def _headers(answer: httpx.Response) -> dict[str, str]:
    return {
        name: value
        for name, value in answer.headers.items()
        if name not in NOT_PASSED_ON or (name == "content-length" and "transfer-encoding" not in answer.headers)
    }


async def _spoiled(fault: Fault, answer: httpx.Response) -> Response:
    headers = {name: value for name, value in _headers(answer).items() if name != fault.without_header}
    headers.pop("content-length", None)
    if fault.content_type:
        headers["content-type"] = fault.content_type
    status = fault.status or answer.status_code
    began = time.monotonic()
    if fault.events:
        events = fault.events(events_of(await answer.aread()))
        return StreamingResponse(_at_its_pace(events, time.monotonic() - began), status, headers)
    if fault.answer or fault.at_once:
        return Response(_changed(fault, await answer.aread()), status, headers)
    pieces = _cut_off(_pieces(answer)) if fault.is_cut else _pieces(answer)
    return StreamingResponse(pieces, status, headers)


def _changed(fault: Fault, body: bytes) -> bytes:
    if fault.answer:
        document = json.loads(body)
        fault.answer(document)
        return json.dumps(document).encode()
    return body


async def _at_its_pace(events: list[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Later than the service sent them, but no faster: what is to be seen is the fault, not a burst."""
    for event in events:
        yield event
        await asyncio.sleep(seconds / len(events))


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """As they come; a caller who leaves closes the connection behind us too."""
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()


async def _cut_off(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Two pieces, and then the connection breaks: uvicorn cuts what an application does not finish."""
    for _ in range(2):
        yield await anext(pieces)
    raise ConnectionResetError("the candidate was told to break off")
