"""For whoever runs the service: is it alive, and can it work?"""

from typing import Annotated

from fastapi import APIRouter, Depends

from .answers import JsonAnswer
from .endpoints import Service, service_of
from .errors import NotReady, SettingsError

router = APIRouter(default_response_class=JsonAnswer)


@router.api_route("/health", methods=["GET", "HEAD"], include_in_schema=False)
async def health() -> JsonAnswer:
    """The process answers; it says nothing about what the process needs."""
    return JsonAnswer({"status": "ok"})


@router.api_route("/ready", methods=["GET", "HEAD"], include_in_schema=False)
async def ready(service: Annotated[Service, Depends(service_of)]) -> JsonAnswer:
    """Whether the database can be read and the identity keys can be used; 503 with the reason if not."""
    await service.database.check()
    try:
        service.verifier.keys.check()
    except SettingsError as error:
        raise NotReady(str(error)) from None
    return JsonAnswer({"status": "ready"})
