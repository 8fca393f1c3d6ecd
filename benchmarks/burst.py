"""One burst of requests at one server: what its callers saw, what it took, and what other callers noticed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass, field, replace

from .processes import Running
from .reading import UNFINISHED, Ask, Crowd, Stream
from .reads import reading
from .stack import busy_seconds

LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Seen:
    """Times in seconds; what was not finished in the time that there was took infinitely long."""

    asked: int
    finished: int
    errors: dict[str, int]
    within_seconds: float
    """From the first request to the last answer, or all the time that there was."""
    took: list[float]
    first: list[float]
    """Until the first token; of an answer that is no stream the whole of it."""
    reads_idle: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    memory_idle_kib: float = 0.0
    memory_peak_kib: float = 0.0
    cpu_seconds: float = 0.0
    others_cores: float = 0.0
    """Cores kept busy by whoever is neither measured nor measuring; the provider counts among them."""

    @property
    def per_second(self) -> float:
        return self.finished / self.within_seconds

    @property
    def cpu_ms(self) -> float:
        """Of the measured processes, per finished request."""
        return self.cpu_seconds / self.finished * 1000 if self.finished else math.nan


def rank(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan


async def burst(asks: list[Ask], seconds: float, measured: list[Running], read: Ask, idle_seconds: float) -> Seen:
    """All of `asks` in one instant, each with so many seconds; `read` is asked steadily, before and meanwhile."""
    async with reading(read, seconds) as reader:
        await asyncio.sleep(idle_seconds)
        memory = [_memory_kib(measured)]
        cpu, busy, own, began = _cpu_seconds(measured), busy_seconds(), time.process_time(), time.monotonic()
        watching = asyncio.create_task(_watch(measured, memory))
        streams = await Crowd(asks, 0, seconds).read()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        used, spent = _cpu_seconds(measured) - cpu, time.monotonic() - began
        others = busy_seconds() - busy - used - (time.process_time() - own)
        reads = await reader.ended()
    return replace(
        seen(streams, seconds),
        reads_idle=[took for asked, took in reads if asked + took < began],
        reads=[took for asked, took in reads if asked + took >= began],
        memory_idle_kib=memory[0],
        memory_peak_kib=max(memory),
        cpu_seconds=used,
        others_cores=max(0.0, others / spent),
    )


def seen(streams: list[Stream], seconds: float) -> Seen:
    whole = [stream for stream in streams if not stream.error]
    late = [math.inf] * (len(streams) - len(whole))
    wrong = [stream.error for stream in streams if stream.error not in ("", UNFINISHED)]
    is_over = not any(stream.error == UNFINISHED for stream in streams)
    ends = [stream.ended for stream in whole]
    return Seen(
        asked=len(streams),
        finished=len(whole),
        errors={error: wrong.count(error) for error in sorted(set(wrong))},
        within_seconds=max(ends) - min(each.asked for each in whole) if whole and is_over else seconds,
        took=[each.ended - each.asked for each in whole] + late,
        first=[each.first_seconds for each in whole] + late,
    )


async def _watch(measured: list[Running], memory: list[float]) -> None:
    while True:
        memory.append(await asyncio.to_thread(_memory_kib, measured))
        await asyncio.sleep(LOOK_SECONDS)


def _memory_kib(measured: list[Running]) -> float:
    return sum(each.memory_kib() for each in measured)


def _cpu_seconds(measured: list[Running]) -> float:
    return sum(each.cpu_seconds() for each in measured)
