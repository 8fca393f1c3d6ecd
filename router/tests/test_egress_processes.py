"""Several processes of the egress share one tape: what one records the others replay, and one may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from .evidence import skip_without_sqlalchemy
from .postgresql import Server, running_postgresql
from .serving import routes_file
from .test_operations import SECONDS, Load, ending_when
from .wire import caller, until, upstream

skip_without_sqlalchemy()

from ..errors import EvidenceError  # noqa: E402
from ..evidence.database import open_for_reading  # noqa: E402
from ..evidence.tape import Tape  # noqa: E402
from .egressing import ONE, PRIMARY, SHADOW, never_the_same, request, streaming  # noqa: E402

pytestmark = pytest.mark.anyio

PACKAGE = __package__.rpartition(".")[0]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/evidence.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


class Process:
    """`python -m … egress` on a free port."""

    def __init__(self, file: Path, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", PACKAGE, "egress", str(file), "--port", "0", *words],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("OTEL")},
        )

    @cached_property
    def port(self) -> int:
        """Waits until it serves."""
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        assert match is not None, said
        return int(match[1])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        self._process.communicate(timeout=2 * SECONDS)
        return self._process.returncode


@contextlib.asynccontextmanager
async def processes(file: Path, number: int, *words: str) -> AsyncIterator[list[Process]]:
    running: list[Process] = []
    try:
        for _ in range(number):
            running.append(Process(file, *words))  # noqa: PERF401  (those that run are stopped if one does not)
        assert all(each.port for each in running)
        yield running
    finally:
        for each in running:
            each.ask_to_stop()
        assert {each.ended() for each in running} <= {0, -signal.SIGKILL}


def settings(provider: str, url: str) -> str:
    evidence = f'evidence = {{ url = "{url}" }}'
    return f'upstreams = {{ legacy = "http://127.0.0.1:1" }}\n{evidence}\n[egress]\nprovider = "{provider}"\n'


async def ask(port: int, exchange: str, role: str) -> bytes:
    async with caller(port) as each:
        return (await each.ask(request(exchange, role))).body


def on_tape(url: str, query: str) -> list[Any]:
    """What is on the tape, once there is one."""
    try:
        with open_for_reading(url).connect() as connection:
            return list(connection.exec_driver_sql(query).scalars())
    except EvidenceError:
        return []


async def recordings(url: str, number: int) -> None:
    """Wait until so many are whole."""
    await until(lambda: len(on_tape(url, "SELECT id FROM tape_calls WHERE state = 'whole'")) == number)


async def test_what_one_process_records_another_replays(url: str, tmp_path: Path) -> None:
    async with upstream(never_the_same()) as provider:
        file = routes_file(tmp_path, settings(provider.url, url))
        async with processes(file, 2) as (one, other):
            ids = [f"{number:032x}" for number in range(1, 31)]
            recorded = [await ask(one.port, exchange, PRIMARY) for exchange in ids]
            await recordings(url, 30)
            replayed = [await ask(other.port, exchange, SHADOW) for exchange in ids]

    assert replayed == recorded
    assert len(provider.asked) == 30


async def test_workers_share_one_port_and_one_tape(url: str, tmp_path: Path) -> None:
    async with upstream(never_the_same()) as provider:
        file = routes_file(tmp_path, settings(provider.url, url))
        async with processes(file, 1, "--workers", "2") as (egress,):
            ids = [f"{number:032x}" for number in range(1, 31)]
            recorded = [await ask(egress.port, exchange, PRIMARY) for exchange in ids]
            await recordings(url, 30)
            replayed = [await ask(egress.port, exchange, SHADOW) for exchange in ids]

    assert replayed == recorded
    assert len(provider.asked) == 30


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_stop_under_load_loses_no_call_and_ends_recordings_that_are_under_way(
    tmp_path: Path, workers: str
) -> None:
    may_end = asyncio.Event()

    load, url = Load(), f"sqlite:///{tmp_path}/evidence.db"
    async with upstream(ending_when(may_end)) as provider:
        file = routes_file(tmp_path, settings(provider.url, url))
        async with processes(file, 1, "--workers", workers) as (egress,), caller(egress.port) as primary:
            await primary.send(request(ONE, PRIMARY))
            await primary.head()
            callers = [asyncio.create_task(load.run(egress.port)) for _ in range(8)]
            await until(lambda: load.answered > 200, seconds=SECONDS)

            egress.ask_to_stop()
            stopping = asyncio.create_task(asyncio.to_thread(egress.ended))

            await asyncio.wait_for(asyncio.gather(*callers), SECONDS)  # ends as soon as the listener is closed
            assert not stopping.done()
            may_end.set()
            assert await primary.piece() + await primary.piece() == b"half"
            assert await stopping == 0
    tape = Tape(url)
    (effect,) = await tape.effects_of(ONE, "primary")
    tape.close()

    assert load.lost == 0
    assert (effect.status, effect.is_whole) == (200, True)


async def test_a_recording_whose_process_was_killed_is_not_taken_for_whole(url: str, tmp_path: Path) -> None:
    pieces = [b"data: %d\n\n" % number for number in range(10_000)]
    async with upstream(streaming(*pieces, seconds=0.02)) as provider:
        text = settings(provider.url, url).replace("provider =", "provider.url =")
        text += 'provider.idle_seconds = 2\npace = "at once"\n'
        async with processes(routes_file(tmp_path, text), 2) as (one, other):
            async with caller(one.port) as primary:
                await primary.send(request(ONE, PRIMARY))
                await primary.head()
                await until(lambda: b"".join(on_tape(url, "SELECT body FROM tape_parts")).count(b"data") > 10)
                one.kill()
            await until(lambda: provider.open == 0)
            async with caller(other.port) as shadow:
                replayed = await shadow.ask(request(ONE, SHADOW))
            tape = Tape(url)
            long_ago = time.time() - 60  # whoever records is dead: its call stays open
            effects = [
                each for role in ("primary", "shadow") for each in await tape.effects_of(ONE, role, ended_at=long_ago)
            ]
            tape.close()

    assert replayed.is_cut
    assert b"".join(pieces).startswith(replayed.body)
    assert replayed.body.count(b"data") > 10
    assert [each.is_whole for each in effects] == [False, False]


def test_without_its_table_the_egress_says_what_to_write(tmp_path: Path) -> None:
    file = routes_file(tmp_path, 'upstreams = { legacy = "http://127.0.0.1:1" }')

    told = subprocess.run(
        [sys.executable, "-m", PACKAGE, "egress", str(file)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert told.returncode == 2
    assert 'egress: there is no such table: name the provider, [egress] provider = "https://' in told.stderr
