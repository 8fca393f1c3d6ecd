"""A recording played to a shadow, in its pieces and at its pace, also while it is still being made."""

from __future__ import annotations

import asyncio
import time

from starlette.types import Send

from ..evidence.tape import LOOK_SECONDS, State, Tape


async def replay(tape: Tape, call_id: str, send: Send, *, began: float, at_pace: bool, silent_seconds: float) -> State:
    """How the recording ended: if not `WHOLE`, the answer is to be cut. Raises EvidenceError without a tape.

    `began` is when the shadow asked, by `time.monotonic()`: what it took to find the recording is no part of the pace.
    `silent_seconds` is how long a recording that is still being made may stand still: its process may be dead.
    """
    moved = time.monotonic()
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
            await _until(began + found.seconds if at_pace else began)
            if found.state is State.WHOLE:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            return found.state
        if time.monotonic() - moved > silent_seconds:
            return State.CUT
        await asyncio.sleep(LOOK_SECONDS)


async def _until(moment: float) -> None:
    if (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(left)
