"""One process of the stack: started on a leash, its lines passed on, awaited, watched, stopped."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

LAST_LINES = 20
STOP_SECONDS = 6.0
KILL_SECONDS = 3.0
LOOK_AGAIN_SECONDS = 0.05
READY_ANSWER_SECONDS = 5.0
IN_A_TRACE = {"traceparent": f"00-{'5' * 32}-{'5' * 16}-00"}
"""Of one that nobody writes down: the egress warns of calls that are in none."""
MAX_LINE_BYTES = 1_048_576
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Plan:
    """How one process is started, and which address answers once it is ready."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    ready_url: str | None = None
    ready_command: tuple[str, ...] = ()  # or: a command that ends with 0 once it is ready
    user: str | None = None  # another user to run as
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(eq=False)  # not frozen: whoever raises an exception sets its traceback
class ProcessFailed(Exception):
    """A process ended by itself, or was not ready in time."""

    name: str
    what: str
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        said = "\n".join(f"    {line}" for line in self.last_lines) or "    (it said nothing)"
        return f"{self.name} {self.what} Its last lines:\n{said}"


@dataclass
class Running:
    """A started process with the end of its output."""

    plan: Plan
    process: asyncio.subprocess.Process
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    reading: "asyncio.Task[None] | None" = None

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ended(self) -> ProcessFailed:
        """Waits for the process to end, which it should not do, and says how it ended."""
        status = await self.process.wait()
        if self.reading is not None:
            await asyncio.wait([self.reading], timeout=1)
        how = f"was ended by signal {-status}." if status < 0 else f"ended by itself with status {status}."
        return ProcessFailed(self.plan.name, how, tuple(self.last_lines))

    async def stop(self) -> None:
        """Asks the process to end; whoever of its group is still there after the deadline is killed."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.plan.stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), KILL_SECONDS)
        if self.reading is not None:
            await asyncio.wait([self.reading], timeout=1)


async def start(plan: Plan, folder: Path, log: Path, say: Say) -> Running:
    """Starts a process in a group of its own, so that Ctrl-C reaches the stack alone."""
    process = await asyncio.create_subprocess_exec(
        *plan.command,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **plan.env},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=MAX_LINE_BYTES,
        start_new_session=True,
        preexec_fn=_leash(os.getpid(), plan.stop_signal),
        user=plan.user,
        extra_groups=() if plan.user else None,
    )
    running = Running(plan, process)
    running.reading = asyncio.create_task(_read(running, log, say))
    return running


async def run_to_the_end(plan: Plan, folder: Path, log: Path, say: Say, seconds: float) -> None:
    """Runs a command that should end well within a deadline."""
    running = await start(plan, folder, log, say)
    try:
        async with asyncio.timeout(seconds):
            failed = await running.ended()
    except TimeoutError:
        raise ProcessFailed(plan.name, f"took over {seconds:.0f} s.", tuple(running.last_lines)) from None
    finally:
        await running.stop()
    if running.process.returncode != 0:
        raise failed


async def until_ready(running: Running, seconds: float) -> None:
    """Waits until the process answers a real request; says why if it ends or is not ready in time."""
    ready = asyncio.create_task(_ready(running.plan))
    ended = asyncio.create_task(running.ended())
    try:
        done, _ = await asyncio.wait((ready, ended), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ready.cancel()
        ended.cancel()
    if ended in done:
        raise ended.result()
    if ready not in done:
        raise ProcessFailed(running.plan.name, f"did not answer within {seconds:.0f} s.", tuple(running.last_lines))


async def _ready(plan: Plan) -> None:
    if plan.ready_url is not None:
        await _answers(plan.ready_url)
    while plan.ready_command:
        asked = await asyncio.create_subprocess_exec(*plan.ready_command)
        if await asked.wait() == 0:
            return
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _answers(url: str) -> None:
    async with httpx.AsyncClient(timeout=READY_ANSWER_SECONDS, trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url, headers=IN_A_TRACE)).status_code < 500:
                    return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _read(running: Running, log: Path, say: Say) -> None:
    """Every line goes to the log file, to whoever watches, and the last few are kept."""
    stream = running.process.stdout
    if stream is None:
        raise RuntimeError("the process was started without a pipe for its output")
    with log.open("w", encoding="utf-8", buffering=1) as out:
        while raw := await _line(stream):
            line = raw.decode("utf-8", "replace").rstrip()
            out.write(line + "\n")
            running.last_lines.append(line)
            say(running.plan.name, line)


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the limit: what was read is dropped
        return b"(a line that is too long)\n"


def _leash(stack: int, stop_signal: signal.Signals) -> Callable[[], None] | None:
    """Linux ends the child when the stack dies in whatever way; elsewhere a killed stack leaves its children."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def in_the_child() -> None:
        prctl(PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != stack:  # the stack died before the leash was on
            os._exit(1)

    return in_the_child
