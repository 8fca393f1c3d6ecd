"""Whatever cannot be copied, or not now, is dropped at once and counted with its reason; nothing is kept of it."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ..shadow import Recording, copier
from ..shadow.recording import Room
from .shadowing import Both, Deaf, both, settled
from .wire import OK, Talk, always, caller, until

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


def room(both: Both) -> int:
    return both.router.live.shadowing._copier.room.used


async def nothing(_: Talk) -> None: ...


@pytest.mark.parametrize(
    "header",
    [
        b"Range: bytes=0-1",
        b'If-None-Match: "a"',
        b'If-Match: "a"',
        b'If-Range: "a"',
        b"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        b"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
async def test_a_request_with_a_condition_or_a_range_is_not_comparable(tmp_path: Path, header: bytes) -> None:
    async with both(tmp_path, always(OK), always(OK)) as all_:
        answer = await all_.router.ask(GET.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"))

    assert answer.status == 200
    assert all_.counts.dropped == Counter({"not comparable": 1})
    assert all_.legacy.asked[0].values(b"baggage") == []


async def test_an_offer_of_a_websocket_is_never_copied(tmp_path: Path) -> None:
    offer = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with both(tmp_path, always(OK), always(OK)) as all_:
        await all_.router.ask(offer)

    assert all_.counts.dropped == Counter({"not comparable": 1})
    assert all_.service.asked == []


@pytest.mark.parametrize("longer", ["request", "answer"])
async def test_a_body_longer_than_the_limit_is_not_kept(tmp_path: Path, longer: str) -> None:
    body = b"a" * 2000
    asked = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n" + body if longer == "request" else GET
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + body if longer == "answer" else OK
    async with both(tmp_path, always(said), always(OK), settings="[shadow]\nbody_bytes = 1999") as all_:
        answer = await all_.router.ask(asked)

    assert answer.body == (body if longer == "answer" else b"ok")
    assert all_.counts.dropped == Counter({"too large": 1})
    assert room(all_) == 0


async def test_pieces_count_as_memory_too() -> None:
    room, ended = Room(1_000_000), []

    async def sent(_: object) -> None: ...

    recording = Recording(room, 1000, [], lambda _, dropped: ended.append(dropped))
    send = recording.sees(sent)
    for _ in range(20):
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
    recording.end(None)

    assert ended == ["too large"]
    assert room.used == 0


async def test_all_that_is_kept_at_once_has_a_limit(tmp_path: Path) -> None:
    async with (
        both(tmp_path, always(OK), always(OK), settings="[shadow]\ntotal_bytes = 2000", link=Deaf) as all_,
        caller(all_.router.port) as me,
    ):
        for _ in range(20):
            await me.ask(POST)

        assert all_.counts.dropped["no room"] > 10
        assert 0 < room(all_) <= 2000


async def test_a_full_queue_drops_the_next_copy(tmp_path: Path) -> None:
    settings = "[shadow]\nqueue = 2\nworkers = 1"
    async with both(tmp_path, always(OK), always(OK), settings=settings, link=Deaf) as all_:
        for _ in range(5):
            await all_.router.ask(GET)

        assert all_.counts.dropped == Counter({"queue full": 2})
        assert len(all_.links[0].copies) == 3


async def test_a_route_has_so_many_copies_a_second(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK), settings="[shadow]\nper_second = 0.01") as all_:
        for _ in range(3):
            await all_.router.ask(GET)
        await settled(all_)

    assert (all_.counts.sent, all_.counts.dropped) == (1, Counter({"rate limited": 2}))


async def test_nothing_is_copied_of_an_answer_that_the_caller_did_not_wait_for(tmp_path: Path) -> None:
    async def half(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        await talk.ended()

    async with both(tmp_path, half, always(OK)) as all_:
        async with caller(all_.router.port) as me:
            await me.send(GET)
            await me.head()
            await me.piece()
        await until(lambda: all_.counts.dropped)

        assert all_.counts.dropped == Counter({"caller left": 1})
        assert room(all_) == 0


async def test_a_request_whose_answer_came_before_its_end_is_not_comparable(tmp_path: Path) -> None:
    async def early(talk: Talk) -> None:
        await talk.head()
        await talk.send(b"HTTP/1.1 413 Too Long\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    async with both(tmp_path, early, always(OK)) as all_, caller(all_.router.port) as me:
        await me.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf")
        answer = await me.answer(b"POST")
        await until(lambda: all_.counts.dropped)

    assert answer.status == 413
    assert all_.counts.dropped == Counter({"not comparable": 1})


async def test_an_exchange_whose_primary_failed_is_copied_with_its_failure(tmp_path: Path) -> None:
    async with both(tmp_path, nothing, always(OK)) as all_:
        answer = await all_.router.ask(POST)
        await settled(all_)

    (copy,) = all_.links[0].copies
    assert answer.status == 502
    assert (copy.control.status, copy.control.error, copy.control.body) == (0, "AnswerCut", b"")
    assert all_.counts.sent == 1


async def test_what_the_router_refuses_itself_is_not_comparable(tmp_path: Path) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    async with both(tmp_path, always(OK), always(OK), settings="[server]\nspool_bytes = 3") as all_:
        answer = await all_.router.ask(chunked)

    assert answer.status == 413
    assert all_.counts.dropped == Counter({"not comparable": 1})


async def test_an_upstream_that_cannot_be_reached_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copier, "DOWN_SECONDS", 60.0)
    async with both(tmp_path, always(OK), nothing) as all_:
        file = tmp_path / "routes.toml"
        before = all_.router.live
        file.write_text(file.read_text().replace(all_.service.url, "http://127.0.0.1:1"))
        await until(lambda: all_.router.live is not before)
        await all_.router.ask(GET)
        await settled(all_)
        await all_.router.ask(GET)

        assert (all_.counts.sent, all_.counts.failed) == (1, 1)
        assert all_.counts.dropped == Counter({"upstream down": 1})


async def test_a_shadow_process_that_ends_is_started_again(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK), link=Deaf) as all_:
        await all_.router.ask(GET)
        all_.links[0].kill()
        await all_.router.ask(GET)

        assert all_.counts.dropped == Counter({"no shadow process": 2})
        assert room(all_) == 0
        await until(lambda: len(all_.links) == 2)
        await all_.router.ask(GET)
        assert len(all_.links[1].copies) == 1


async def test_a_shadow_process_that_cannot_be_started_costs_copies_and_nothing_else(tmp_path: Path) -> None:
    class Unstartable(Deaf):
        def __init__(self, *_: Any) -> None:
            raise OSError("no memory")

    async with both(tmp_path, always(OK), always(OK), link=Unstartable) as all_:
        answer = await all_.router.ask(GET)

    assert answer.status == 200
    assert all_.counts.dropped == Counter({"no shadow process": 1})


async def test_a_route_that_is_shadowed_0_times_says_so_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copier, "LOOK_SECONDS", 0.2)
    async with both(tmp_path, always(OK), always(OK)) as all_:
        with caplog.at_level(logging.ERROR):
            await all_.router.ask(GET.replace(b"\r\n\r\n", b"\r\nRange: bytes=0-1\r\n\r\n"))
            await until(lambda: all_.counts.is_silent)
        await all_.router.ask(GET)
        await until(lambda: not all_.counts.is_silent)

    assert 'The route "r" should be shadowed, and of the last 1 requests 0 were' in caplog.text
    assert "not comparable 1" in caplog.text


async def test_a_shadow_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copier, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(copier, "START_AGAIN_SECONDS", (0.05, 0.05))
    async with both(tmp_path, always(OK), always(OK), link=Deaf, settings="[shadow]\ntimeout_seconds = 0.1") as all_:
        await all_.router.ask(GET)
        await until(lambda: len(all_.links) == 2)

    assert all_.counts.dropped == Counter({"no shadow process": 1})
