"""A recording played to a shadow, in its pieces and at its pace, also while it is still being made."""

from __future__ import annotations

import asyncio
import time

from ..errors import AnswerCut
from ..evidence.tape import LOOK_SECONDS, Recorded, State, Tape
from .forwarding import Send


async def replay(tape: Tape, call_id: str, send: Send, *, at_pace: bool, silent_seconds: float) -> State:
    """How the recording ended. Raises AnswerCut where that was not at the answer's end, EvidenceError without a tape.

    `silent_seconds` is how long a recording that is still being made may stand still: its process may be dead.
    """
    began = moved = time.monotonic()
    has_begun, parts = False, 0
    while True:
        found = await tape.recorded(call_id, parts)
        if found.status and not has_begun:
            has_begun = True
            moved = time.monotonic()
            await _until(began + found.first_seconds if at_pace else began)
            await send({"type": "http.response.start", "status": found.status, "headers": found.headers})
        for when, body in found.pieces:
            await _until(began + when if at_pace else began)
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if found.parts > parts:
            moved = time.monotonic()
        parts = found.parts
        if found.state is not State.OPEN:
            await _ended(found, began + found.seconds if at_pace else began, send)
            return found.state
        if time.monotonic() - moved > silent_seconds:
            raise AnswerCut("the recording was never ended")
        await asyncio.sleep(LOOK_SECONDS)


async def _ended(found: Recorded, at: float, send: Send) -> None:
    await _until(at)
    if found.state is not State.WHOLE:
        raise AnswerCut("and so was the recorded one" if found.state is State.DIED else "the recording is incomplete")
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until(moment: float) -> None:
    if (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(left)
