"""The other way out: pages and jobs ask the extracted service for a summary, as its callers do, but as the monolith.

Off unless ASSISTANT_URL names the service; then, too, this process does the work itself while nobody answers there.
The one retry layer of this way stands here: for a service that cannot be connected, is being replaced or is full.
What it tried and failed to do is not tried again, for it has tried more than once; nor is an answer that broke off or
came late, for that work may be done and paid for.
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils.dateparse import parse_datetime

from legacy_app import telemetry
from legacy_app.api import ApiError
from legacy_app.assistant import allowance, summaries
from legacy_app.assistant.deadline import Deadline
from legacy_app.assistant.errors import Busy, Failed, TimedOut
from legacy_app.assistant.models import Summary
from legacy_app.assistant.provider import DEFAULT_RETRY_AFTER_SECONDS, retry_after_seconds
from legacy_app.identity import tokens
from legacy_app.tickets.models import Ticket

ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0  # also of what the service asks for: a worker that sleeps serves nobody
CONNECT_SECONDS = 2.0
MARGIN_SECONDS = 10.0  # what the service may take besides the provider's LLM_TIMEOUT_SECONDS

log = logging.getLogger(__name__)


def summarise(
    ticket: Ticket,
    user,
    *,
    max_words: int,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
) -> Summary:
    """A stored summary, by whom it may be; raises ProviderError, or the ApiError that refuses it."""
    if settings.ASSISTANT_URL:
        response = _posted(f"/api/tickets/{ticket.pk}/summary", {"max_words": max_words}, user, sleep, draw)
        if response is not None:
            return _summary(response, ticket, user)
        log.warning("The assistant at %s cannot be reached: summarising ticket %s here.", _place(), ticket.pk)
    allowance.check(user.organisation_id)
    return summaries.summarise(ticket, user, max_words=max_words)


def _posted(
    path: str, body: dict[str, Any], user, sleep: Callable[[float], None], draw: Callable[[], float]
) -> httpx.Response | None:
    """The service's answer, whatever it says; None if there is no service that could give one."""
    until = Deadline.after(settings.LLM_TIMEOUT_SECONDS + MARGIN_SECONDS)
    headers = {"X-Internal-Identity": _identity(user)}
    for attempt in range(1, ATTEMPTS + 1):
        response = _attempt(path, body, headers, until)
        if response is not None and not is_away(response):
            return response
        pause = pause_seconds(attempt, _asked_seconds(response), draw())
        if attempt == ATTEMPTS or pause > min(LONGEST_PAUSE_SECONDS, until.remaining_seconds()):
            break
        sleep(pause)
    return response if response is not None and _code(response) == "assistant_busy" else None


def is_away(response: httpx.Response) -> bool:
    """Whether a later attempt may find what this one missed: a service between two versions, or one that is full."""
    return response.status_code in (502, 503) and _code(response) != "assistant_failed"


def pause_seconds(attempt: int, asked_seconds: int | None, drawn: float) -> float:
    """Exponential with full jitter; a time that the service names is kept. `drawn` is in [0, 1)."""
    spread = drawn * FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
    return spread if asked_seconds is None else asked_seconds + spread


def _attempt(path: str, body: dict[str, Any], headers: dict[str, str], until: Deadline) -> httpx.Response | None:
    timeout = httpx.Timeout(until.remaining_seconds(), connect=min(CONNECT_SECONDS, until.remaining_seconds()))
    try:
        return _client().post(settings.ASSISTANT_URL + path, json=body, headers=headers, timeout=timeout)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return None
    except httpx.TimeoutException as error:
        raise TimedOut("The assistant service did not answer in time.") from error
    except httpx.HTTPError as error:
        raise Failed(f"The assistant service broke off its answer: {error}") from error


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    """One per process, with the trace's id in what it sends. A proxy for the way out is none for the way next door."""
    return telemetry.instrument(httpx.Client(trust_env=False))


def _identity(user) -> str:
    """The monolith vouches for the user itself. No session and no browser are in this, so no forged request either."""
    claims = tokens.claims(
        user, SessionBase(), audience=settings.IDENTITY_AUDIENCE, csrf_checked=True, now=int(time.time())
    )
    return tokens.signed(claims, tokens.signing_key(settings.IDENTITY_PRIVATE_KEY_FILE))


def _summary(response: httpx.Response, ticket: Ticket, user) -> Summary:
    """The row that the service has stored."""
    if response.status_code != httpx.codes.OK:
        raise _refusal(response)
    said = _json(response)
    try:
        return Summary(
            pk=int(said["id"]),
            ticket=ticket,
            created_by=user,
            text=str(said["text"]),
            model=str(said["model"]),
            prompt_tokens=int(said["usage"]["prompt_tokens"]),
            completion_tokens=int(said["usage"]["completion_tokens"]),
            created_at=parse_datetime(said["created_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Failed(f"The assistant service's summary is malformed ({type(error).__name__}).") from error


def _refusal(response: httpx.Response) -> Exception:
    asked = _asked_seconds(response)
    match response.status_code, _code(response):
        case 429, "token_limit":
            return ApiError(*allowance.USED_UP, headers=None if asked is None else {"Retry-After": str(asked)})
        case 503, "assistant_busy":
            return Busy(DEFAULT_RETRY_AFTER_SECONDS if asked is None else asked)
        case 504, _:
            return TimedOut("The provider did not answer the assistant service in time.")
        case status, code:
            return Failed(f"The assistant service answered {status} {code}.")


def _asked_seconds(response: httpx.Response | None) -> int | None:
    said = None if response is None else response.headers.get("Retry-After")
    return None if said is None else retry_after_seconds(said, datetime.now(UTC))


def _code(response: httpx.Response) -> str:
    return str(_json(response).get("code", ""))


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        said = response.json()
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _place() -> str:
    """Never the URL itself: it may hold a password."""
    url = httpx.URL(settings.ASSISTANT_URL)
    return f"{url.host}:{url.port}" if url.port else url.host
