"""The story of one call to the provider: whose is it → pass it on, and record it → or replay it, and never send it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from starlette.types import Receive, Scope, Send

from ..config import Egress
from ..errors import AnswerCut, AnswerMalformed, CallerLeft, EvidenceError, ExchangeError
from ..evidence.observations import NOT_ON_TAPE
from ..evidence.spending import settle
from ..evidence.store import Store
from ..evidence.tape import (
    LOOK_SECONDS,
    PRIMARY,
    SHADOW,
    Call,
    State,
    Tape,
    write_call,
    write_end,
    write_head,
)
from ..upstream import Pool
from .answers import Answer, failed, not_sent
from .budget import Usage, admitted
from .canonical import key_of, path_of, places_of
from .forwarding import Asked, forward, received
from .marks import Marks, marks_of
from .recording import Recording
from .replaying import replay

CALLER, TARGET = "strangler.caller", "strangler.target"
"""The scope's keys for the application's connection and the request target (see `server.py`)."""
LATE_SECONDS = 1.0
"""So long after an exchange's first shadow call the last of its primary's, made before, may take to be on the tape."""
AWAY_SECONDS = 60.0
"""So long after the database was away nobody can say that a call was not recorded: it may be late, or lost."""
REMEMBERED = 10_000
"""So many exchanges are remembered whose recording was lost, and so many that have a shadow."""

Known = TypeVar("Known")

_HOW = {State.DIED: "ends here, as the provider ended it", State.CUT: "is incomplete"}

_log = logging.getLogger(__name__)


class Calls:
    """An ASGI application for HTTP requests."""

    def __init__(self, egress: Egress, pool: Pool, store: Store, tape: Tape) -> None:
        self._egress = egress
        self._pool = pool
        self._store = store
        self._tape = tape
        self._unrecorded: OrderedDict[str, None] = OrderedDict()
        self._shadowed: OrderedDict[str, float] = OrderedDict()
        """When the first call of each exchange's shadow came, by `time.monotonic()`."""
        self._has_told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Any = scope[CALLER]
        way = _Way(send)
        caller.task = asyncio.current_task()
        try:
            await self._call(scope, receive, way)
        except CallerLeft:
            pass
        except asyncio.CancelledError:
            if caller.task is not None:
                raise  # not because the application left: the server is stopping
        except ExchangeError as error:
            _log.warning("%s %s: %s", type(error).__name__, scope["method"], error)
            if way.has_begun or isinstance(error, AnswerCut | AnswerMalformed):
                caller.cut()  # as the provider did it
            else:
                await way.say(failed(error))
        finally:
            caller.task = None

    async def _call(self, scope: Scope, receive: Receive, way: _Way) -> None:
        marks = marks_of(scope["headers"])
        asked = await received(scope, receive, scope[TARGET], self._egress.request_bytes)
        match marks.role:
            case "shadow" if not marks.exchange_id:
                self._count("refused without exchange id")
                _log.warning("A shadow's call without a trace id was refused: its application does not pass it on")
                await way.say(not_sent("no_exchange", "A shadow's call without a traceparent is not sent."))
            case "shadow" if marks.is_live:
                await self._live(marks, asked, receive, way)
            case "shadow":
                await self._replayed(marks, asked, way)
            case "primary" if marks.exchange_id:
                await self._recorded(marks, asked, receive, way)
            case _:
                self._count("passed on" if marks.exchange_id else "passed on without exchange id")
                if not marks.exchange_id and not self._has_told:
                    self._has_told = True
                    _log.warning("A call came without a trace id: whoever makes such calls can never be compared")
                await forward(self._pool, asked, receive, way.send, None)

    # --- the primary of a shadowed exchange

    async def _recorded(self, marks: Marks, asked: Asked, receive: Receive, way: _Way) -> None:
        self._count("recorded")
        most = -1 if asked.is_too_long else self._egress.answer_bytes
        recording = Recording(self._store, _call(marks, PRIMARY, asked), most)
        if not recording.is_kept:
            _remember(self._unrecorded, marks.exchange_id, None)
        state = State.CUT
        try:
            await forward(self._pool, asked, receive, way.send, recording)
            state = State.WHOLE
        except (AnswerCut, AnswerMalformed):
            state = State.DIED
            raise
        except ExchangeError as error:
            state = State.DIED
            if not way.has_begun:  # what the application gets instead is an answer like any other
                status, headers, body = failed(error)
                recording.head(status, headers)
                recording.piece(body)
                state = State.WHOLE
            raise
        finally:
            recording.end(state)

    # --- its shadow

    async def _replayed(self, marks: Marks, asked: Asked, way: _Way) -> None:
        call, began = _call(marks, SHADOW, asked), time.monotonic()
        if asked.is_too_long:
            await self._not_sent(call, State.LOST, way, not_sent("too_long", "It is longer than request_bytes."))
            return
        try:
            found = await self._found(call)
        except EvidenceError as error:
            _log.warning("%s", error)
            await self._not_sent(call, State.LOST, way, not_sent("no_tape", "The tape does not answer."))
            return
        if found is None:
            await self._missed(call, way)
            return
        self._count("replayed")
        state = State.CUT
        try:
            at_pace, silent = self._egress.pace == "recorded", self._pool.upstream.idle_seconds
            state = await replay(self._tape, found, way.send, began=began, at_pace=at_pace, silent_seconds=silent)
        except EvidenceError as error:
            raise AnswerCut(str(error)) from None
        except asyncio.CancelledError:
            state = State.WHOLE  # of what it wanted
            raise
        finally:
            self._ended(call, state, way, began)
        if state is not State.WHOLE:
            raise AnswerCut(f"the recording of this call {_HOW[state]}")

    async def _found(self, call: Call) -> str | None:
        """The recording, which may be written a moment after the shadow began to ask; then what is not there is not."""
        deadline = _remember(self._shadowed, call.exchange_id, time.monotonic()) + LATE_SECONDS
        while True:
            found = await self._tape.claim(call)
            if found is not None or time.monotonic() > deadline:
                return found
            await asyncio.sleep(LOOK_SECONDS)

    async def _missed(self, call: Call, way: _Way) -> None:
        was_away = time.time() < max(self._store.away_at, self._tape.away_at) + AWAY_SECONDS
        if was_away or call.exchange_id in self._unrecorded:
            await self._not_sent(call, State.LOST, way, not_sent("no_tape", "Its recording was lost."))
            return
        self._count("not on the tape")
        try:
            sentence, place = _difference(call, await self._tape.calls_of(call.exchange_id))
        except EvidenceError:
            sentence, place = "", None
        sentence = f"This call is not on the tape, so it was not sent. {sentence}".rstrip()
        await self._not_sent(call, State.MISSED, way, not_sent("not_on_tape", sentence, place))

    async def _not_sent(self, call: Call, state: State, way: _Way, answer: Answer) -> None:
        """Noted before it is answered, for whoever compares; if the database is away, when it is back."""
        note: Callable[[Any], None] = partial(write_call, call=call, state=state, status=NOT_ON_TAPE)
        try:
            await self._tape.change(note)
        except EvidenceError:
            self._store.write(note, size=len(call.request))
        await way.say(answer)

    async def _live(self, marks: Marks, asked: Asked, receive: Receive, way: _Way) -> None:
        live = self._egress.live
        call = _call(marks, SHADOW, asked)
        refusal, model = await admitted(live, self._tape, call, is_too_long=asked.is_too_long)
        if live is None or refusal:
            self._count("live: over the budget")
            _log.warning("A live call of a shadow was not sent: %s", refusal)
            answer = not_sent("over_budget", f"This live call of a shadow was not sent: {refusal}.")
            await self._not_sent(call, State.REFUSED, way, answer)
            return
        self._count("live: sent")
        usage, state, began = Usage(), State.DIED, time.monotonic()
        try:
            await forward(self._pool, asked, receive, way.send, usage)
            state = State.WHOLE
        finally:
            self._ended(call, state, way, began)
            if used := usage.used():
                self._store.write(partial(settle, live=live, call_id=call.id, model=model, used=used))

    def _ended(self, call: Call, state: State, way: _Way, began: float) -> None:
        """How a shadow's call went."""
        first, whole = way.seconds(began), time.monotonic() - began
        self._store.write(partial(write_head, call_id=call.id, status=way.status, headers=[], seconds=first))
        self._store.write(partial(write_end, call_id=call.id, state=state, seconds=whole))

    def _count(self, what: str) -> None:
        self._store.count("", f"egress: {what}")


class _Way:
    """The way back to the application; knows what went there."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self._began = 0.0

    @property
    def has_begun(self) -> bool:
        return self.status != 0

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self._began = message["status"], time.monotonic()
        await self._send(message)

    async def say(self, answer: Answer) -> None:
        status, headers, body = answer
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def seconds(self, since: float) -> float:
        """From then to the head; 0 if there was none."""
        return max(0.0, self._began - since) if self.has_begun else 0.0


def _remember(exchanges: OrderedDict[str, Known], exchange_id: str, known: Known) -> Known:
    """What was known first, of the latest exchanges."""
    first = exchanges.setdefault(exchange_id, known)
    if len(exchanges) > REMEMBERED:
        exchanges.popitem(last=False)
    return first


def _call(marks: Marks, role: str, asked: Asked) -> Call:
    path = path_of(asked.target)
    body = b"" if asked.is_too_long else asked.body
    key = key_of(asked.method, path, body)
    return Call(uuid4().hex, marks.exchange_id, role, asked.method, path, key, body, time.time())


def _difference(call: Call, recorded: list[Call]) -> tuple[str, str | None]:
    """What was asked differently from the closest recorded call; places only, for this goes into logs."""
    alike = [each for each in recorded if (each.method, each.path) == (call.method, call.path)]
    if not alike:
        return f"The primary made {len(recorded)} calls in this exchange, none of them {call.method} {call.path}.", None
    places = min((places_of(call.request, each.request) for each in alike), key=len)
    if not places:
        return f"The primary asked the same, but only {_times(call, alike)}.", None
    return f"The closest that is differs at {', '.join(place or 'the whole body' for place in places)}.", places[0]


def _times(call: Call, alike: list[Call]) -> str:
    number = sum(each.key == call.key for each in alike)
    return "once" if number == 1 else f"{number} times"
