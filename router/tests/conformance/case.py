"""A case: what a caller sends, what the origin answers, and what both must see then."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .origin import OK, WHOSE, Origin, Script, says
from .wire import Answer, Asked, answers_in

MARK = b"CASE"
"""Stands in a case's bytes for the mark of its run, by which the origin knows whose request it reads; as long as it."""
SECONDS = 10.0
"""So long a case waits for anything."""
QUIET_SECONDS = 0.02
"""So long nothing may come any more before a case that has its answers looks at them."""


@dataclass
class Seen:
    """What came of a case."""

    answers: list[Answer]
    """Final ones."""
    interim: list[Answer]
    rest: bytes
    """What the caller got that is no answer."""
    is_closed: bool
    """The target closed the caller's connection, or announced that it is about to."""
    asked: list[Asked]

    def __str__(self) -> str:
        got = [f"{each.status}{'' if each.is_whole else ' (cut)'}" for each in self.answers]
        told = [f"{each.line!r}{'' if each.is_whole else ' (cut)'} {each.body[:60]!r}" for each in self.asked]
        closed = "closed" if self.is_closed else "kept"
        return f"caller got {got} {self.rest[:60]!r}, {closed}; origin saw {told}"


Check = Callable[[Seen], str]
"""A complaint, or nothing."""


@dataclass(frozen=True)
class Case:
    """`sends` in one go, or piece by piece; or a `scenario` that says itself what must hold."""

    name: str
    sends: bytes | tuple[bytes, ...] = b""
    wants: Check = lambda _: ""
    answer: bytes | Script = OK
    closes: bool = False
    """The origin closes after its answer."""
    answers: int = 1
    """How many answers the caller waits for; it does not wait for more."""
    scenario: Callable[[Bench], Awaitable[None]] | None = None
    is_deep: bool = False
    """Takes long: not part of a normal run."""
    is_waiting: bool = False
    """Does little but wait: such cases may run all at once."""


def told(scenario: Callable[[Bench], Awaitable[None]], *, is_deep: bool = False, is_waiting: bool = False) -> Case:
    """A scenario whose name is its sentence."""
    name = getattr(scenario, "__name__", "").replace("_", " ")
    return Case(name, scenario=scenario, is_deep=is_deep, is_waiting=is_waiting)


class Caller:
    """One connection to the target."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mark: bytes) -> None:
        self.reader = reader
        self.writer = writer
        self.data = b""
        self.is_ended = False
        self.methods: list[bytes] = []
        self._mark = mark

    async def send(self, data: bytes) -> None:
        """A target that has closed already is no fault: what it answered before counts."""
        try:
            self.writer.write(data.replace(MARK, self._mark))
            await asyncio.wait_for(self.writer.drain(), SECONDS)
        except (ConnectionError, RuntimeError):
            pass

    async def more(self, seconds: float = SECONDS) -> bool:
        """Read once; False if nothing came in time or the connection has ended."""
        if self.is_ended:
            return False
        try:
            piece = await asyncio.wait_for(self.reader.read(262_144), seconds)
        except TimeoutError:
            return False
        except ConnectionError:
            piece = b""
        self.data += piece
        self.is_ended = not piece
        return bool(piece)

    @property
    def answers(self) -> list[Answer]:
        return answers_in(self.data, self.methods, is_ended=self.is_ended)[0]

    async def answer(self, count: int = 1, seconds: float = SECONDS) -> list[Answer]:
        """At least so many whole answers, interim ones among them, or what there is when it ends or time is up."""
        deadline = time.monotonic() + seconds
        while sum(each.is_whole for each in self.answers) < count and not self.is_ended:
            if not await self.more(max(0.01, deadline - time.monotonic())):
                break
        return self.answers

    async def ended(self, seconds: float = SECONDS) -> bool:
        """Whether the target closes the connection in time."""
        deadline = time.monotonic() + seconds
        while not self.is_ended and time.monotonic() < deadline:
            await self.more(max(0.01, deadline - time.monotonic()))
        return self.is_ended

    def leave(self) -> None:
        self.writer.transport.abort()


_numbers = itertools.count(1)


@dataclass
class Bench:
    """A case on its way: the origin, the target, and the callers."""

    origin: Origin
    port: int
    pids: Callable[[], list[int]] = list
    """The target's processes."""
    mark: bytes = field(default_factory=lambda: b"k%03d" % (next(_numbers) % 1000))
    callers: list[Caller] = field(default_factory=list)

    async def caller(self, *, limit: int = 65_536) -> Caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        self.callers.append(Caller(reader, writer, self.mark))
        return self.callers[-1]

    def answering(self, script: Script) -> None:
        self.origin.scripts[self.mark] = script

    @property
    def asked(self) -> list[Asked]:
        """Requests of this case, and what nobody can tell whose it is."""
        marks = [re.search(WHOSE, each.head.lower()) for each in self.origin.asked]
        return [each for each, mark in zip(self.origin.asked, marks, strict=True) if not mark or mark[0] == self.mark]

    async def until(self, condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            await asyncio.sleep(0.005)

    def close(self) -> None:
        for caller in self.callers:
            caller.leave()


async def run(case: Case, origin: Origin, port: int, pids: Callable[[], list[int]] = list) -> str:
    """Run a case against a target; a complaint, or nothing."""
    bench = Bench(origin, port, pids)
    try:
        if case.scenario is None:
            seen = await _seen(case, bench)
            complaint = case.wants(seen)
            return f"{complaint}: {seen}" if complaint else ""
        await case.scenario(bench)
    except AssertionError as error:
        return str(error) or repr(error)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        bench.close()
        mine = bench.asked
        origin.asked[:] = [each for each in origin.asked if each not in mine]
    return ""


async def _seen(case: Case, bench: Bench) -> Seen:
    bench.answering(case.answer if callable(case.answer) else says(case.answer, closes=case.closes))
    caller = await bench.caller()
    pieces = (case.sends,) if isinstance(case.sends, bytes) else case.sends
    caller.methods = [piece.split(b" ")[0] for piece in pieces]
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(QUIET_SECONDS)
        await caller.send(piece)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        final = [each for each in caller.answers if each.status >= 200 or each.status == 101]
        has_all = len(final) >= case.answers and all(each.is_whole for each in final)
        if not await caller.more(QUIET_SECONDS) and (has_all or caller.is_ended):
            break
    if caller.is_ended:
        await asyncio.sleep(QUIET_SECONDS)  # what was forwarded before it may still be on its way
    answers, rest = answers_in(caller.data, caller.methods, is_ended=caller.is_ended)
    final = [each for each in answers if not 100 <= each.status <= 199 or each.status == 101]
    interim = [each for each in answers if each not in final]
    asked = bench.asked
    for each in asked:
        each.head, each.body = each.head.replace(bench.mark, MARK), each.body.replace(bench.mark, MARK)
    is_closed = caller.is_ended or (bool(final) and b"close" in b",".join(final[-1].values(b"connection")).lower())
    return Seen(final, interim, rest, is_closed, asked)
