"""Somebody who reads steadily, in a process of its own: what keeps the load busy is not taken for a slow answer.

`python -m benchmarks.reads SECONDS`: an Ask, as a line of JSON, on standard input. It says `reading` once whoever
answers is warm, asks ten times a second until its standard input ends, each time for so many seconds, and then writes
when it asked (time.monotonic()) and how long that took.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import uvloop

from .reading import UNFINISHED, Ask, Crowd

READS_PER_SECOND = 10
GRACE_SECONDS = 2.0  # for the last reads, once the others are over
WARM_READS = 20  # at once, so that every worker has answered before anything counts

Reads = list[tuple[float, float]]  # asked at, took; what nobody answered took infinitely long


class Reader:
    """The process, as long as it reads."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ended(self) -> Reads:
        said, _ = await self._process.communicate(b"")  # closes its standard input
        if self._process.returncode:
            raise SystemExit("The reads beside the burst failed; why, stands above.")
        return [(asked, took) for asked, took in json.loads(said)]


@asynccontextmanager
async def reading(ask: Ask, seconds: float) -> AsyncIterator[Reader]:
    """Begins to read, on this process's cores."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.reads", str(seconds),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(json.dumps({**asdict(ask), "body": ask.body.decode()}).encode() + b"\n")
        if await process.stdout.readline() != b"reading\n":
            raise SystemExit("The reads beside the burst did not begin; why, stands above.")
        yield Reader(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def reads(ask: Ask, seconds: float) -> Reads:
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until its end
    asking: dict[asyncio.Task[float], float] = {}
    while not over.done():
        asking[asyncio.create_task(_took(ask, seconds))] = time.monotonic()
        await asyncio.wait([over], timeout=1 / READS_PER_SECOND)
    _, starving = await asyncio.wait(asking, timeout=GRACE_SECONDS)
    for each in starving:
        each.cancel()
    return [(asked, math.inf if each in starving else each.result()) for each, asked in asking.items()]


async def _took(ask: Ask, seconds: float) -> float:
    """A refusal, which a router gives for a monolith that is at its limit, is no answer either."""
    (answer,) = await Crowd([ask], 0, seconds).read()
    return math.inf if answer.error else answer.ended - answer.asked


async def _warmed(ask: Ask, seconds: float) -> None:
    answers = await Crowd([ask] * WARM_READS, 0, seconds).read()
    if failed := {answer.error for answer in answers} - {"", UNFINISHED}:
        raise SystemExit(f"A ticket could not be read: {failed}")


async def main(seconds: float) -> None:
    told = json.loads(sys.stdin.readline())
    ask = Ask(**{**told, "body": told["body"].encode()})
    await _warmed(ask, seconds)
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(await reads(ask, seconds)))


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1])))
