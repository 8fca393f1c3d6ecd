"""What the egress itself says to an application, in the shape of the provider's own errors."""

from __future__ import annotations

import json

from ..errors import ExchangeError
from ..evidence.observations import NOT_ON_TAPE
from ..headers import Headers

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


def failed(error: ExchangeError) -> Answer:
    """The provider could not be asked."""
    return _answer(error.status, error.code, f"The provider could not be asked: {error.sentence}", None)


def not_sent(code: str, sentence: str, param: str | None = None) -> Answer:
    """A shadow's call that stays here. Clients that try again on a 5xx are told that it is of no use."""
    return _answer(NOT_ON_TAPE, code, sentence, param, (b"x-should-retry", b"false"))


def _answer(status: int, code: str, sentence: str, param: str | None, *more: tuple[bytes, bytes]) -> Answer:
    error = {"message": sentence, "type": "egress_error", "param": param, "code": code}
    body = json.dumps({"error": error}).encode()
    headers: Headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *more]
    return status, list(headers), body
