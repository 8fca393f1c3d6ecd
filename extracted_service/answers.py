"""How every answer looks on the wire: the monolith's JSON, byte for byte, and the monolith's headers."""

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from starlette.responses import JSONResponse

from .errors import Refusal

# Django's SecurityMiddleware and XFrameOptionsMiddleware, and Vary because the answer depends on the session.
SAME_ON_EVERY_ANSWER = (
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"vary", b"Cookie"),
)


class JsonAnswer(JSONResponse):
    """What Django's JsonResponse would have sent for the same object."""

    def render(self, content: Any) -> bytes:
        return dumps(content).encode("ascii")


def refused(refusal: Refusal) -> JsonAnswer:
    return JsonAnswer(refusal.body(), refusal.status, refusal.headers())


def dumps(content: Any) -> str:
    """JSON as DjangoJSONEncoder writes it: spaces after separators, ASCII only, milliseconds, `Z`."""
    return _DJANGO_JSON.encode(content)


def _django_default(value: object) -> str:
    match value:
        case datetime():
            text = value.isoformat()
            if value.microsecond:
                text = text[:23] + text[26:]
            return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
        case date():
            return value.isoformat()
        case time():
            if value.utcoffset() is not None:
                raise ValueError("JSON can't represent timezone-aware times.")
            return value.isoformat()[:12] if value.microsecond else value.isoformat()
        case timedelta():
            return _duration(value)
        case Decimal() | UUID():
            return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _duration(value: timedelta) -> str:
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{hours:02d}H{minutes:02d}M{seconds:02d}{fraction}S"


_DJANGO_JSON = json.JSONEncoder(default=_django_default, allow_nan=False)  # json.dumps() makes one for each call
