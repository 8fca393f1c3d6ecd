"""Plays the callers: agents who log in through the form, read tickets, and use the assistant."""

import asyncio
import itertools
import json
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from .recording import Recording, Seen

REQUEST_SECONDS = 30.0
MAX_LOGINS_AT_ONCE = 3
MAX_EVENT_BYTES = 1_048_576
TICKETS_PER_CALLER = 12
_EVENT = re.compile(rb"^event: ?([a-z]+)", re.MULTILINE)
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class LoginFailed(Exception):
    """A caller could not log in: nothing can be measured."""


@dataclass(frozen=True)
class Thinking:
    """How long an agent pauses between two requests, in seconds."""

    reader: float = 0.25
    assistant: float = 0.05


@dataclass
class Caller:
    """One agent in one browser: a client of its own with its own cookies."""

    number: int
    username: str
    client: httpx.AsyncClient
    recording: Recording
    tickets: list[int] = field(default_factory=list)

    async def log_in(self, password: str) -> None:
        """GET the form, POST it with its token, then find out which tickets there are."""
        try:
            form = await self.client.get("/login/")
        except httpx.TransportError as failure:
            url = self.client.base_url
            raise LoginFailed(f"Nothing answers at {url} ({failure}). Start it: python -m sandbox up") from None
        token = _TOKEN.search(form.text)
        if token is None:
            raise LoginFailed(f"The login page has no form (status {form.status_code}).")
        fields = {"username": self.username, "password": password, "csrfmiddlewaretoken": token.group(1)}
        answer = await self.client.post("/login/", data=fields)
        if answer.status_code != 302 or "sessionid" not in self.client.cookies:
            raise LoginFailed(f"{self.username} could not log in (status {answer.status_code}).")
        listed = await self.client.get("/api/tickets", params={"page_size": TICKETS_PER_CALLER})
        self.tickets = [ticket["id"] for ticket in listed.json()["results"]]

    async def get(self, kind: str, path: str) -> None:
        await self._request(kind, "GET", path)

    async def summary(self, ticket: int) -> None:
        await self._request("summary", "POST", f"/api/tickets/{ticket}/summary", json={"max_words": 80})

    async def reply(self, ticket: int) -> None:
        await self._request("reply", "POST", f"/api/tickets/{ticket}/reply", json={"tone": "friendly"})

    async def _request(self, kind: str, method: str, path: str, **more: Any) -> None:
        began = time.monotonic()
        status = first_event = answered_by = None
        headers = {"X-CSRFToken": self.client.cookies.get("csrftoken") or ""} if method == "POST" else {}
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                self.client.stream(method, path, headers=headers, **more) as answer,
            ):
                status = answer.status_code
                answered_by = answer.headers.get("x-answered-by")
                if kind == "reply" and status == 200:
                    first_event, problem = await _read_events(answer)
                else:
                    body = await answer.aread()
                    problem = _problem(kind, status, body)
        except TimeoutError:
            problem = f"no complete answer within {REQUEST_SECONDS:.0f} s"
        except httpx.TransportError as failure:
            problem = f"{type(failure).__name__}: {failure}"
        now = time.monotonic()
        first = first_event - began if first_event is not None else None
        self.recording.add(Seen(kind, self.number, began, now - began, status, first, answered_by, problem))


def _problem(kind: str, status: int, body: bytes) -> str | None:
    """Why an answer is not what a caller may expect."""
    if status != 200:
        return f"status {status}"
    if kind == "summary" and not json.loads(body).get("text"):
        return "a summary without text"
    return None


async def _read_events(answer: httpx.Response) -> tuple[float | None, str | None]:
    """When the first event came, and what is wrong with the stream, if anything."""
    first = last = None
    rest = b""
    async for part in answer.aiter_raw():
        rest += part
        *events, rest = rest.split(b"\n\n")
        if len(rest) > MAX_EVENT_BYTES:
            return first, "an event that never ends"
        for event in events:
            first = first or time.monotonic()
            name = _EVENT.search(event)
            last = name.group(1).decode() if name else None
    return first, None if last == "done" and not rest else f"the stream ended with {last or 'nothing'}, not with done"


@dataclass
class Crowd:
    """Agents who are logged in: some read, the others use the assistant."""

    readers: list[Caller]
    assistants: list[Caller]
    recording: Recording
    thinking: Thinking
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def at_work(self, readers: int, at_once: int) -> AsyncIterator[None]:
        """So many read, and so many assistant calls are under way; at the end every request is finished."""
        self._stopping.clear()
        waiting = deque(self.assistants)
        tasks = [asyncio.create_task(self._read(caller)) for caller in self.readers[:readers]]
        tasks += [asyncio.create_task(self._assist(waiting, number)) for number in range(at_once)]
        try:
            yield
            self._stopping.set()
            await asyncio.gather(*tasks)
        finally:
            self._stopping.set()
            for task in tasks:
                task.cancel()

    async def _read(self, caller: Caller) -> None:
        for ticket in itertools.cycle(caller.tickets):
            for kind, path in (
                ("inbox", "/tickets/"),
                ("ticket page", f"/tickets/{ticket}/"),
                ("ticket list", "/api/tickets?page_size=10"),
                ("ticket", f"/api/tickets/{ticket}"),
            ):
                await caller.get(kind, path)
                if await self._stopped_within(self.thinking.reader):
                    return

    async def _assist(self, waiting: deque[Caller], number: int) -> None:
        """Takes whoever waited longest: every session comes by, however few calls are under way at once."""
        for turn in itertools.count(number):
            caller = waiting.popleft()
            ticket = caller.tickets[turn % len(caller.tickets)]
            await (caller.summary(ticket) if turn % 2 else caller.reply(ticket))
            waiting.append(caller)
            if await self._stopped_within(self.thinking.assistant):
                return

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def crowd(
    url: str,
    logins: Sequence[dict[str, str]],
    readers: int,
    assistants: int,
    thinking: Thinking | None = None,
) -> AsyncIterator[Crowd]:
    """Logs everybody in, and closes their clients at the end; viewers only read."""
    recording = Recording()
    may_ask = [login for login in logins if login["role"] != "viewer"]
    people = [(logins[place % len(logins)]) for place in range(readers)]
    people += [may_ask[place % len(may_ask)] for place in range(assistants)]
    context = ssl.create_default_context()  # one for all: each would cost 20 ms
    callers = [
        Caller(number, person["username"], _client(url, context), recording) for number, person in enumerate(people)
    ]
    gate = asyncio.Semaphore(MAX_LOGINS_AT_ONCE)

    async def log_in(caller: Caller, password: str) -> None:
        async with gate:
            await caller.log_in(password)

    try:
        await asyncio.gather(
            *(log_in(caller, person["password"]) for caller, person in zip(callers, people, strict=True))
        )
        yield Crowd(callers[:readers], callers[readers:], recording, thinking or Thinking())
    finally:
        for caller in callers:
            await caller.client.aclose()


def _client(url: str, context: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url, verify=context, trust_env=False, timeout=REQUEST_SECONDS, follow_redirects=False
    )
