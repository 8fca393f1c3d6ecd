"""`serve` as processes: what operators can ask, how a change is taken over, and that a stop loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import pytest

from .serving import routes_file
from .test_cli import ended, port_in, served
from .wire import OK, Answer, Script, Talk, Upstream, always, caller, until, upstream

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
SECONDS = 20.0
"""A process that starts on a busy machine takes its time."""
UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@dataclass
class Site:
    """A router in processes of its own."""

    process: subprocess.Popen[bytes]
    file: Path
    log: Path
    port: int
    admin: int

    async def ask(self, path: str) -> Answer:
        async with caller(self.admin) as me:
            return await me.ask(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode())

    async def status(self) -> dict[str, Any]:
        answer = await self.ask("/status")
        assert answer.status == 200
        return dict(json.loads(answer.body))

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            while True:
                state = await self.status()
                if condition(state):
                    return state
                await asyncio.sleep(0.01)

    async def stopped(self) -> int:
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), SECONDS)

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        return ended(*words, "--admin", f"127.0.0.1:{self.admin}")


@contextlib.asynccontextmanager
async def site(folder: Path, legacy: Upstream, *words: str, workers: int = 2) -> AsyncIterator[Site]:
    file = routes_file(folder, text(legacy))
    with served(file, "--workers", str(workers), "--admin", "127.0.0.1:0", *words) as (process, log):
        port = await port_in(log)
        found = re.search(rb" Operators ask on http://127\.0\.0\.1:(\d+)", log.read_bytes())
        assert found
        site = Site(process, file, log, port, int(found[1]))
        await site.until(lambda state: len(state["workers"]) == workers)
        yield site


def text(legacy: Upstream, stage: str = 'stage = "legacy"') -> str:
    upstreams = f'[upstreams]\nlegacy = "{legacy.url}"\nnew = "{legacy.url}"\n'
    return f'{upstreams}[[routes]]\nname = "r"\npath = "/r"\n{stage}\n'


async def test_operators_ask_on_an_address_of_their_own(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, site(tmp_path, legacy, workers=1) as router:
        assert [(await router.ask(path)).status for path in ("/livez", "/readyz", "/metrics")] == [200] * 3
        async with caller(router.port) as me:
            answers = [
                await me.ask(GET.replace(b" /", b" " + path, 1)) for path in (b"/status", b"/metrics", b"/livez")
            ]

        assert [answer.body for answer in answers] == [b"ok"] * 3
        assert [asked.target for asked in legacy.asked] == [b"/status", b"/metrics", b"/livez"]


async def test_status_is_that_of_all_workers_and_metrics_add_up(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        for path in [b"/r"] * 9 + [b"/"]:
            async with caller(router.port) as me:
                await me.ask(GET.replace(b" /", b" " + path, 1))

        state = await router.status()
        metrics = (await router.ask("/metrics")).body.decode()

        assert state["workers_silent"] == []
        assert {worker["table"] for worker in state["workers"]} == {state["table"]}
        assert len({worker["pid"] for worker in state["workers"]} - {router.process.pid}) == 2
        assert sum(worker["upstreams"]["legacy"]["idle"] for worker in state["workers"]) == legacy.open
        count = r'^strangler_request_duration_seconds_count{worker="\d",route="r",stage="legacy",upstream="legacy",'
        assert sum(map(int, re.findall(count + r'status="2xx"} (\d+)$', metrics, re.M))) == 9


async def test_the_status_command_shows_routes_upstreams_and_workers(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        shown = router.cli("status")
        whole = router.cli("status", "--json")

        assert (shown.returncode, shown.stderr) == (0, "")
        lines = [line.split() for line in shown.stdout.splitlines()]
        assert ["r", "legacy"] in lines
        assert ["legacy", "0", "0", "0", "0", "not", "asked"] in lines
        assert [line[5] for line in lines if line[:1] in (["0"], ["1"])] == ["ready", "ready"]
        assert json.loads(whole.stdout)["table"] == (await router.status())["table"]


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
def test_status_says_in_one_sentence_that_nobody_answers(words: list[str]) -> None:
    result = ended(*words, "--admin", "127.0.0.1:1")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "Nobody answers on 127.0.0.1:1 (Connection refused): start the router with serve --admin 127.0.0.1:1, "
        "or name its address with --admin.\n"
    )


async def test_status_says_that_somebody_else_answers() -> None:
    async with upstream(always(OK)) as other:
        result = await asyncio.to_thread(ended, "status", "--admin", f"127.0.0.1:{other.port}")

    assert result.returncode == 1
    assert "is no router's operators' address" in result.stderr


async def test_an_address_of_the_operators_that_is_taken_ends_serve_with_status_1(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy:
        address = f"127.0.0.1:{legacy.port}"
        file = routes_file(tmp_path, text(legacy))

        result = await asyncio.to_thread(ended, "serve", str(file), "--port", "0", "--admin", address)

    assert result.returncode == 1
    assert f"Port {legacy.port} on 127.0.0.1 is in use: free it, or choose another with --admin." in result.stderr


async def test_a_wrong_change_is_seen_in_status_and_a_right_one_reaches_every_worker(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        before = (await router.status())["table"]

        router.file.write_text(text(legacy, 'stage = "extracted"\nstagge = 1\n'), "utf-8")
        wrong = await router.until(lambda state: all(worker["problem"] for worker in state["workers"]))
        shown = router.cli("status")
        router.file.write_text(text(legacy, 'stage = "extracted"\n'), "utf-8")
        right = await router.until(lambda state: state["table"] not in (None, before))

        assert wrong["table"] == before
        assert shown.returncode == 1
        assert "Warning: an older table is served, because of this. " in shown.stderr
        assert 'Did you mean "stage"?' in shown.stderr
        assert (right["problems"], right["routes"][0]["stage"]) == ([], "extracted")


async def test_a_hangup_signal_has_every_worker_read_the_file_again(tmp_path: Path) -> None:
    def taken_over() -> bool:
        return router.log.read_bytes().count(b"Took over") == 2

    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        before = await router.status()

        router.process.send_signal(signal.SIGHUP)

        await until(taken_over, seconds=SECONDS)
        after = await router.status()
        assert [worker["pid"] for worker in after["workers"]] == [worker["pid"] for worker in before["workers"]]


async def test_a_worker_that_hangs_is_called_silent_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        first = (await router.status())["workers"][0]["pid"]

        os.kill(first, signal.SIGSTOP)  # or its successor could be there before anybody has looked

        await router.until(lambda state: state["workers_silent"] == [0])
        assert (await router.ask("/readyz")).status == 200
        os.kill(first, signal.SIGKILL)
        after = await router.until(lambda state: len(state["workers"]) == 2)
        assert after["workers"][0]["pid"] != first


async def test_a_worker_that_is_replaced_while_the_file_is_wrong_serves_what_the_others_serve(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        before = (await router.status())["workers"]
        router.file.write_text("nonsense", "utf-8")
        await router.until(lambda state: all(worker["problem"] for worker in state["workers"]))

        os.kill(before[0]["pid"], signal.SIGKILL)

        after = await router.until(
            lambda state: (
                {before[0]["pid"]}.isdisjoint(each["pid"] for each in state["workers"]) and len(state["workers"]) == 2
            )
        )
        assert after["table"] == before[0]["table"]
        assert all(worker["problem"] for worker in after["workers"])


async def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, site(tmp_path, legacy) as router:
        workers = [worker["pid"] for worker in (await router.status())["workers"]]

        router.process.kill()

        await until(lambda: not [pid for pid in workers if is_running(pid)], seconds=SECONDS)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Load:
    """Callers who come one after another, each on a new connection, until nobody takes them."""

    answered: int = 0
    lost: int = 0

    async def run(self, port: int) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:  # taken by the operating system, and by nobody else
                self.lost += 1
                continue
            try:
                writer.write(GET)
                answer = await reader.readuntil(b"ok")
                self.answered += answer.startswith(b"HTTP/1.1 200 ")
            except (ConnectionError, asyncio.IncompleteReadError):
                self.lost += 1
            finally:
                writer.transport.abort()


def ending_when(may_end: asyncio.Event) -> Script:
    """Answers `/` at once, and everything else in two halves, the second of which has to wait."""

    async def talk(talk: Talk) -> None:
        while (asked := await talk.request()) is not None:
            if asked.target == b"/":
                await talk.send(OK)
                continue
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
            await may_end.wait()
            await talk.send(b"lf")

    return talk


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_under_load_loses_no_request_and_ends_streams_that_are_open(tmp_path: Path, workers: int) -> None:
    may_end = asyncio.Event()

    load = Load()
    async with (
        upstream(ending_when(may_end)) as legacy,
        site(tmp_path, legacy, workers=workers) as router,
        caller(router.port) as me,
    ):
        await me.send(GET.replace(b" /", b" /stream"))
        stream = await me.head()
        callers = [asyncio.create_task(load.run(router.port)) for _ in range(8)]
        await until(lambda: load.answered > 200, seconds=SECONDS)

        router.process.send_signal(signal.SIGTERM)

        await asyncio.wait_for(asyncio.gather(*callers), SECONDS)  # ends as soon as the listener is closed
        assert router.process.poll() is None
        may_end.set()
        while piece := await me.piece():
            stream.body += piece
        assert stream.body == b"half"
        assert await router.stopped() == 0
        assert load.lost == 0
        assert b"Traceback" not in router.log.read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
async def test_from_the_signal_on_it_is_not_ready_and_still_takes_callers_for_as_long_as_it_was_told(
    tmp_path: Path, workers: int
) -> None:
    async with (
        upstream(always(OK)) as legacy,
        site(tmp_path, legacy, "--close-after", "4", workers=workers) as router,
        caller(router.port) as early,
    ):
        first = await early.ask(GET)

        router.process.send_signal(signal.SIGTERM)

        while (ready := await router.ask("/readyz")).status == 200:
            pass
        assert (ready.status, ready.body, (await router.ask("/livez")).status) == (503, b"draining\n", 200)
        async with caller(router.port) as late:
            answers = [await early.ask(GET), await late.ask(GET)]
        assert first.values(b"connection") == []
        assert [answer.status for answer in answers] == [200, 200]
        await until(lambda: early.reader.at_eof(), seconds=SECONDS)
        assert await router.stopped() == 0


async def test_a_caller_who_has_begun_to_speak_when_the_stop_comes_is_answered(tmp_path: Path) -> None:
    async with (
        upstream(always(OK)) as legacy,
        site(tmp_path, legacy, workers=1) as router,
        caller(router.port) as half,
        caller(router.port) as silent,
    ):
        await half.send(GET[:20])
        router.process.send_signal(signal.SIGTERM)
        await until_refused(router.port)

        await half.send(GET[20:])
        await silent.send(GET)

        answers = [await half.answer(), await silent.answer()]
        assert [answer.status for answer in answers] == [200, 200]
        assert [answer.values(b"connection") for answer in answers] == [[b"close"], [b"close"]]
        assert await router.stopped() == 0


async def until_refused(port: int) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.transport.abort()
            await asyncio.sleep(0.01)


async def test_what_has_not_ended_at_the_deadline_is_told_so_or_cut_never_ended_as_if_it_were_whole(
    tmp_path: Path,
) -> None:
    async def talk(talk: Talk) -> None:
        asked = await talk.request()
        if asked and asked.target == b"/half":
            await talk.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        if asked and asked.values(b"upgrade"):
            await talk.send(AGREED)
        await talk.ended()

    async with (
        upstream(talk) as legacy,
        site(tmp_path, legacy, "--drain-seconds", "1", workers=1) as router,
        caller(router.port) as unanswered,
        caller(router.port) as half,
        caller(router.port) as socket,
    ):
        await unanswered.send(GET)
        await half.send(GET.replace(b" /", b" /half"))
        await half.head()
        assert await half.piece() == b"half"
        await socket.send(UPGRADE)
        assert await socket.reader.readuntil(b"\r\n\r\n")
        await until(lambda: len(legacy.asked) == 3, seconds=SECONDS)

        router.process.send_signal(signal.SIGTERM)

        told = await asyncio.wait_for(unanswered.answer(), SECONDS)
        assert (told.status, json.loads(told.body)["code"]) == (503, "router_stopped")
        with pytest.raises(h11.RemoteProtocolError):
            await half.piece()
        assert await asyncio.wait_for(socket.reader.read(), SECONDS) == b""
        assert await router.stopped() == 0
        assert b"Traceback" not in router.log.read_bytes()
