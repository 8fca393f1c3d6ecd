"""What every endpoint begins with: the parts of the service, who is calling, and whether they may."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from .allowance import Allowance
from .conversations import Conversations
from .database import Database
from .identity import Caller, Verifier
from .monolith import Monolith
from .provider import Provider
from .seats import Seats
from .telemetry import Telemetry


@dataclass(frozen=True)
class Service:
    """What the endpoints work with, for the life of the process."""

    verifier: Verifier
    database: Database
    provider: Provider
    allowance: Allowance
    monolith: Monolith
    telemetry: Telemetry
    conversations: Conversations
    seats: Seats


def service_of(request: HTTPConnection) -> Service:
    service: Service = request.state.service
    return service


def caller_of(request: HTTPConnection) -> Caller:
    method = request.scope.get("method", "GET")  # a WebSocket's handshake is a GET, and does not say so
    return service_of(request).verifier.caller(method, request.headers)


def caller_with(*permissions: str) -> Any:
    """A dependency: the caller, who has all of these permissions."""

    # Async, though it never waits: FastAPI sends other dependencies to a thread and back.
    async def allowed(request: Request) -> Caller:
        caller = caller_of(request)
        for permission in permissions:
            caller.require(permission)
        return caller

    return Depends(allowed)


AssistantUser = Annotated[Caller, caller_with("assistant.use_assistant")]
