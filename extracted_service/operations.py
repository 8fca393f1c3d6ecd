"""For whoever runs the service: is it alive, and can it work?"""

from fastapi import APIRouter, Request

from .answers import JsonAnswer
from .errors import NotReady, SettingsError
from .service import service_of

router = APIRouter(default_response_class=JsonAnswer)


@router.api_route("/health", methods=["GET", "HEAD"], include_in_schema=False)
async def health() -> JsonAnswer:
    """The process answers; it says nothing about what the process needs."""
    return JsonAnswer({"status": "ok"})


@router.api_route("/ready", methods=["GET", "HEAD"], include_in_schema=False)
async def ready(request: Request) -> JsonAnswer:
    """Whether the database can be read and the identity keys can be used; 503 with the reason if not."""
    service = service_of(request)
    await service.database.check()
    try:
        service.verifier.keys.check()
    except SettingsError as error:
        raise NotReady(str(error)) from None
    return JsonAnswer({"status": "ready"})
