"""A shadow gets from its provider what the primary got, and nothing that it asks ever reaches one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import time
from pathlib import Path

import pytest

from .evidence import skip_without_sqlalchemy
from .wire import SECONDS, Script, Talk, always, caller, until

skip_without_sqlalchemy()

from ..egress import calls  # noqa: E402
from ..evidence.database import BUSY_SECONDS, open_for_reading  # noqa: E402
from ..evidence.observations import Effect  # noqa: E402
from ..evidence.tape import Call, Tape  # noqa: E402
from .egressing import (  # noqa: E402
    ONE,
    PRIMARY,
    SHADOW,
    STREAM,
    TWO,
    between,
    chunk,
    never_the_same,
    plain,
    question,
    request,
    streaming,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _what_is_not_on_the_tape_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shadows ask here when everything is written."""
    monkeypatch.setattr(calls, "LATE_SECONDS", 0.1)


EVENTS = [b'data: {"n": %d}\n\n' % number for number in range(5)] + [b"data: [DONE]\n\n"]


async def test_a_shadow_gets_what_the_primary_got(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        first = await egress.ask(ONE, PRIMARY)
        other = await egress.ask(TWO, PRIMARY)

        assert (await egress.ask(ONE, SHADOW)).body == first.body == b'{"answer": 1}'
        assert (await egress.ask(TWO, SHADOW)).body == other.body == b'{"answer": 2}'
        assert len(egress.provider.asked) == 2


async def test_hundreds_of_calls_of_shadows_are_no_call_to_the_provider(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        ids = [f"{number:032x}" for number in range(1, 301)]
        async with caller(egress.port) as each:
            recorded = [(await each.ask(request(exchange, PRIMARY))).body for exchange in ids]
            asked = len(egress.provider.asked)
            await egress.written()
            replayed = [(await each.ask(request(exchange, SHADOW))).body for exchange in ids]

        assert replayed == recorded
        assert len(set(recorded)) == 300
        assert (asked, len(egress.provider.asked)) == (300, 300)
        assert await egress.counted() == {"egress: recorded": 300, "egress: replayed": 300}


async def test_a_replayed_stream_keeps_its_pieces_and_its_pace(tmp_path: Path) -> None:
    taken = asyncio.Semaphore(0)
    async with between(one_by_one(taken), tmp_path) as egress:
        recorded = await timed(egress.port, PRIMARY, taken)
        await egress.written()
        spread(tmp_path / "evidence.db", 0.1)
        replayed = await timed(egress.port, SHADOW)

        assert [body for _, body in replayed] == [body for _, body in recorded] == EVENTS
        # A busy machine makes pieces late, never early.
        assert all(seconds > number * 0.1 - 0.01 for number, (seconds, _) in enumerate(replayed, 1))


async def test_at_once_keeps_the_pieces_without_the_pace(tmp_path: Path) -> None:
    taken = asyncio.Semaphore(0)
    async with between(one_by_one(taken), tmp_path, 'pace = "at once"') as egress:
        await timed(egress.port, PRIMARY, taken)
        await egress.written()
        spread(tmp_path / "evidence.db", 3600.0)
        replayed = await timed(egress.port, SHADOW)

        assert [body for _, body in replayed] == EVENTS


def one_by_one(taken: asyncio.Semaphore) -> Script:
    """A provider that sends the next piece when the one before was taken, so that no two come together."""

    async def talk(talk: Talk) -> None:
        await talk.request()
        await talk.send(STREAM)
        for event in EVENTS:
            await talk.send(chunk(event))
            await taken.acquire()
        await talk.send(b"0\r\n\r\n")

    return talk


async def timed(port: int, role: str, taken: asyncio.Semaphore | None = None) -> list[tuple[float, bytes]]:
    """The pieces of an answer, with the seconds since it was asked for."""
    pieces = []
    async with caller(port) as each:
        began = time.monotonic()
        await each.send(request(ONE, role))
        await each.head()
        while piece := await each.piece():
            pieces.append((time.monotonic() - began, piece))
            if taken is not None:
                taken.release()
    return pieces


def spread(file: Path, seconds: float) -> None:
    """Make the tape say that so long passed before each of its pieces."""
    with contextlib.closing(sqlite3.connect(file)) as tape, tape:
        count = itertools.count(1)
        for number, pieces in tape.execute("SELECT number, pieces FROM tape_parts ORDER BY number").fetchall():
            later = json.dumps([[next(count) * seconds, length] for _, length in json.loads(pieces)])
            tape.execute("UPDATE tape_parts SET pieces = ? WHERE number = ?", (later, number))


async def test_a_shadow_follows_a_recording_that_is_still_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LATE_SECONDS", SECONDS)
    go_on = asyncio.Event()

    async def halting(talk: Talk) -> None:
        await talk.request()
        await talk.send(STREAM + chunk(EVENTS[0]))
        await go_on.wait()
        await talk.send(chunk(EVENTS[5]) + b"0\r\n\r\n")

    async with between(halting, tmp_path) as egress, caller(egress.port) as primary, caller(egress.port) as shadow:
        await primary.send(request(ONE, PRIMARY))
        await shadow.send(request(ONE, SHADOW))
        await primary.head()
        await shadow.head()
        assert await shadow.piece() == await primary.piece() == EVENTS[0]
        go_on.set()

        assert [await shadow.piece(), await shadow.piece()] == [EVENTS[5], b""]


async def test_a_call_that_is_not_on_the_tape_is_not_sent_and_says_what_was_asked_differently(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        await egress.ask(ONE, PRIMARY, {"model": "small", "input": "x"}, "/v1/embeddings")
        await egress.ask(ONE, PRIMARY, question("Quite another thing", tools=[]))
        await egress.ask(ONE, PRIMARY, question())
        missed = await egress.ask(ONE, SHADOW, question("Why does it flicker", temperature=0.7))
        elsewhere = await egress.ask(ONE, SHADOW, {}, "/v1/moderations")

        assert (missed.status, missed.values(b"x-should-retry")) == (599, [b"false"])
        assert json.loads(missed.body)["error"] == {
            "message": "This call is not on the tape, so it was not sent. "
            "The closest that is differs at /messages/0/content, /temperature.",
            "type": "egress_error",
            "param": "/messages/0/content",
            "code": "not_on_tape",
        }
        assert "none of them POST /v1/moderations" in json.loads(elsewhere.body)["error"]["message"]
        effects = await egress.effects(ONE, "shadow")
        assert [(each.status, each.is_on_tape, each.path) for each in effects] == [
            (599, False, "/v1/chat/completions"),
            (599, False, "/v1/moderations"),
        ]
        assert json.loads(effects[0].request)["temperature"] == 0.7
        assert len(egress.provider.asked) == 3


async def test_what_was_asked_once_is_answered_once(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        await egress.ask(ONE, PRIMARY)
        await egress.ask(ONE, SHADOW)
        again = await egress.ask(ONE, SHADOW)

        assert again.status == 599
        assert "The primary asked the same, but only once." in json.loads(again.body)["error"]["message"]


async def test_a_shadow_that_asks_again_for_what_is_not_there_does_not_wait_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Call] = []

    async def claim(tape: Tape, call: Call) -> str | None:
        looked.append(call)
        return await found(tape, call)

    found = Tape.claim
    monkeypatch.setattr(Tape, "claim", claim)
    monkeypatch.setattr(calls, "LATE_SECONDS", 0.5)
    async with between(never_the_same(), tmp_path) as egress, caller(egress.port) as shadow:
        await egress.ask(ONE, PRIMARY)
        answers = [await shadow.ask(request(ONE, SHADOW, question(str(number)))) for number in range(8)]

        assert [each.status for each in answers] == [599] * 8
        assert len([call for call in looked if call.id != looked[0].id]) == 7


async def test_a_retry_after_429_is_replayed_in_order(tmp_path: Path) -> None:
    async def busy_at_first(talk: Talk) -> None:
        await talk.request()
        await talk.send(plain(b'{"error": {}}', b"429 Too Many Requests\r\nretry-after: 1"))
        await talk.request()
        await talk.send(plain(b'{"answer": 1}'))

    async with between(busy_at_first, tmp_path) as egress:
        for role in (PRIMARY, SHADOW):
            first, second = await egress.ask(ONE, role), await egress.ask(ONE, role)
            assert (first.status, first.values(b"retry-after")) == (429, [b"1"])
            assert (second.status, second.body) == (200, b'{"answer": 1}')


async def test_parallel_calls_find_each_their_own(tmp_path: Path) -> None:
    async def echo(talk: Talk) -> None:
        while (asked := await talk.request()) is not None:
            await talk.send(plain(asked.body))

    async with between(echo, tmp_path) as egress:
        questions = [question(str(number)) for number in range(30)]
        await asyncio.gather(*(egress.ask(ONE, PRIMARY, each) for each in questions))
        answers = await asyncio.gather(*(egress.ask(ONE, SHADOW, each) for each in reversed(questions)))

        assert [json.loads(each.body) for each in answers] == questions[::-1]
        assert len(egress.provider.asked) == 30


async def test_equal_parallel_calls_get_each_another_recording(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        recorded = await asyncio.gather(*(egress.ask(ONE, PRIMARY) for _ in range(10)))
        replayed = await asyncio.gather(*(egress.ask(ONE, SHADOW) for _ in range(10)))

        assert {each.body for each in replayed} == {each.body for each in recorded}
        assert len({each.body for each in replayed}) == 10


async def test_how_json_is_written_makes_no_difference(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        await egress.ask(ONE, PRIMARY, b'{"model": "large", "temperature": 1, "words": "\\u00e9"}')
        replayed = await egress.ask(ONE, SHADOW, '{"words":"é","temperature":1.0,"model":"large"}'.encode())

        assert replayed.body == b'{"answer": 1}'


async def test_a_death_in_the_middle_is_replayed_as_one(tmp_path: Path) -> None:
    async def dies(talk: Talk) -> None:
        await talk.request()
        await talk.send(STREAM + chunk(EVENTS[0]))
        talk.reset()

    async with between(dies, tmp_path) as egress:
        recorded = await egress.ask(ONE, PRIMARY)
        replayed = await egress.ask(ONE, SHADOW)

        assert recorded.is_cut
        assert (replayed.status, replayed.body, replayed.is_cut) == (200, EVENTS[0], True)
        for role in ("primary", "shadow"):
            (effect,) = await egress.effects(ONE, role)
            assert (effect.status, effect.is_whole) == (200, True)


async def test_a_provider_that_hangs_up_without_an_answer_does_so_to_both(tmp_path: Path) -> None:
    async def hangs_up(talk: Talk) -> None:
        await talk.request()

    async with between(hangs_up, tmp_path) as egress:
        for role in (PRIMARY, SHADOW):
            async with caller(egress.port) as each:
                await each.send(request(ONE, role))
                assert await each.ended() == b""
            await egress.written()


async def test_a_provider_that_cannot_be_reached_is_an_error_that_both_get(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        egress.app._calls._pool.upstream.__dict__["url"] = "http://127.0.0.1:1"  # type: ignore[union-attr]
        recorded = await egress.ask(ONE, PRIMARY)
        replayed = await egress.ask(ONE, SHADOW)

        assert (recorded.status, json.loads(recorded.body)["error"]["code"]) == (502, "upstream_unreachable")
        assert (replayed.status, replayed.body) == (502, recorded.body)


async def test_a_recording_of_an_application_that_left_is_never_replayed_as_whole(tmp_path: Path) -> None:
    async with between(streaming(*EVENTS, seconds=0.05), tmp_path) as egress:
        async with caller(egress.port) as primary:
            await primary.send(request(ONE, PRIMARY))
            await primary.head()
            await primary.piece()
        await until(lambda: egress.provider.open == 0)
        replayed = await egress.ask(ONE, SHADOW)

        assert replayed.is_cut
        assert replayed.body.startswith(EVENTS[0])
        for role in ("primary", "shadow"):
            (effect,) = await egress.effects(ONE, role)
            assert not effect.is_whole


async def test_an_application_that_leaves_after_the_last_event_has_got_everything(tmp_path: Path) -> None:
    async def never_closes(talk: Talk) -> None:
        await talk.request()
        await talk.send(STREAM + chunk(EVENTS[0]) + chunk(EVENTS[5]))
        await talk.ended()

    async with between(never_closes, tmp_path) as egress:
        async with caller(egress.port) as primary:
            await primary.send(request(ONE, PRIMARY))
            await primary.head()
            body = b""
            while not body.endswith(EVENTS[5]):
                body += await primary.piece()
        replayed = await egress.ask(ONE, SHADOW)

        assert (replayed.body, replayed.is_cut) == (EVENTS[0] + EVENTS[5], False)


async def test_an_answer_that_is_too_long_for_the_tape_passes_and_is_marked(tmp_path: Path) -> None:
    async with between(always(plain(b"x" * 2000)), tmp_path, "answer_bytes = 1000") as egress:
        assert (await egress.ask(ONE, PRIMARY)).body == b"x" * 2000
        await egress.written()
        async with caller(egress.port) as shadow:
            await shadow.send(request(ONE, SHADOW))
            assert b"x" * 2000 not in await shadow.ended()

        (effect,) = await egress.effects(ONE, "primary")
        assert not effect.is_whole


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_request_that_is_too_long_for_the_tape_passes_and_is_marked(tmp_path: Path, is_chunked: bool) -> None:
    body = b"y" * 40_000
    async with between(always(plain(b"ok")), tmp_path, "request_bytes = 1000") as egress, caller(egress.port) as each:
        length = b"transfer-encoding: chunked" if is_chunked else b"content-length: %d" % len(body)
        content = b"".join(chunk(body[at : at + 7000]) for at in range(0, len(body), 7000)) + b"0\r\n\r\n"
        head = request(ONE, PRIMARY, b"").replace(b"content-length: 0", length)
        answer = await each.ask(head + (content if is_chunked else body))

        assert (answer.status, answer.body) == (200, b"ok")
        (asked,) = egress.provider.asked
        assert asked.body.count(b"y") == len(body)
        (effect,) = await egress.effects(ONE, "primary")
        assert (effect.request, effect.is_whole) == (b"", False)
        refused = await egress.ask(ONE, SHADOW, b"y" * 2000)
        assert json.loads(refused.body)["error"]["code"] == "too_long"
        (effect,) = await egress.effects(ONE, "shadow")
        assert not effect.is_whole


async def test_the_provider_sees_the_call_without_what_is_said_about_the_exchange(tmp_path: Path) -> None:
    more = (b"authorization: Bearer sk-1", b"tracestate: a=1", b"accept-encoding: gzip, br", b"OpenAI-Organization: o")
    async with between(always(plain(b"ok")), tmp_path) as egress, caller(egress.port) as each:
        await each.ask(request(ONE, f"tenant=7,{PRIMARY};p=1", question(), "/v1/x?a=%20b", *more))

        (asked,) = egress.provider.asked
        assert asked.line == b"POST /v1/x?a=%20b HTTP/1.1"
        assert asked.values(b"baggage") + asked.values(b"tracestate") == []
        assert asked.values(b"traceparent") == [f"00-{ONE}-00000000000000ab-01".encode()]
        assert asked.values(b"host") == [f"127.0.0.1:{egress.provider.port}".encode()]
        assert asked.values(b"authorization") == [b"Bearer sk-1"]
        assert asked.values(b"openai-organization") == [b"o"]
        assert asked.values(b"accept-encoding") == [b"identity"]
        assert json.loads(asked.body) == question()


async def test_no_secret_gets_onto_the_tape(tmp_path: Path) -> None:
    secrets = (b"authorization: Bearer SECRET", b"api-key: SECRET", b"cookie: s=SECRET")
    answer = b"HTTP/1.1 200 OK\r\nset-cookie: a=SECRET\r\ncontent-length: 2\r\n\r\nok"
    async with between(always(answer), tmp_path) as egress, caller(egress.port) as each:
        for role in (PRIMARY, SHADOW):
            await each.ask(request(ONE, role, question(), "/v1/x?key=SECRET&a=1", *secrets))
        await egress.written()

    kept = b"".join(file.read_bytes() for file in tmp_path.glob("evidence.db*"))  # noqa: ASYNC240
    assert b"Why does it flicker?" in kept
    assert b"SECRET" not in kept


async def test_what_belongs_to_no_exchange_passes_and_is_counted_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        for exchange, role in (("", ""), (ONE, ""), ("", PRIMARY), (ONE, "strangler.role=other")):
            assert (await egress.ask(exchange, role)).status == 200

        assert await egress.effects(ONE, "primary") == ()
        assert await egress.counted() == {"egress: passed on": 2, "egress: passed on without exchange id": 2}
        assert caplog.text.count("came without a trace id") == 1


async def test_a_shadow_without_an_exchange_is_refused(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        answer = await egress.ask("", SHADOW)

        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (599, "no_exchange")
        assert egress.provider.asked == []
        assert await egress.counted() == {"egress: refused without exchange id": 1}


async def test_effects_are_told_in_their_order_with_their_time(tmp_path: Path) -> None:
    async with between(streaming(*EVENTS[:2], seconds=0.1), tmp_path) as egress:
        for role in (PRIMARY, SHADOW):
            await egress.ask(ONE, role, {"model": "small", "input": "x"}, "/v1/embeddings")
            await egress.ask(ONE, role, question())

        for name in ("primary", "shadow"):
            first, second = await egress.effects(ONE, name)
            assert (first.path, second.path) == ("/v1/embeddings", "/v1/chat/completions")
            assert second == Effect("POST", second.path, json.dumps(question()).encode(), 200, second.seconds)
            assert 0.15 < second.seconds < SECONDS
        assert await egress.effects(TWO, "primary") == ()


async def test_without_its_database_the_egress_passes_on_and_sends_nothing_for_a_shadow(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.write_text("no folder")
    url = f"sqlite:///{folder}/evidence.db"
    async with between(never_the_same(), tmp_path, url=url) as egress, caller(egress.port) as each:
        assert (await each.ask(request(ONE, PRIMARY))).body == b'{"answer": 1}'
        refused = await each.ask(request(ONE, SHADOW))

        assert json.loads(refused.body)["error"]["code"] == "no_tape"
        assert len(egress.provider.asked) == 1
        folder.unlink()
        await egress.written()
        (effect,) = await egress.effects(ONE, "shadow")
        assert not effect.is_whole

        late = await egress.ask(TWO, SHADOW, question("What was lost?"))
        assert json.loads(late.body)["error"]["code"] == "no_tape"  # nobody knows whether it was ever on the tape


async def test_the_tape_is_forgotten_in_time(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path, "keep_minutes = 0.0001") as egress:
        await egress.ask(ONE, PRIMARY)
        await egress.written()
        assert egress.app._calls is not None
        await asyncio.to_thread(egress.app._calls._store._forget)

        assert (await egress.ask(ONE, SHADOW)).status == 599
        with open_for_reading(egress.url).connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM tape_parts").scalar_one() == 0


async def test_a_locked_database_does_not_delay_the_primary(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress, caller(egress.port) as each:
        await each.ask(request(ONE, PRIMARY))
        await egress.written()
        other = sqlite3.connect(tmp_path / "evidence.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        for _ in range(10):
            assert (await each.ask(request(TWO, PRIMARY))).status == 200
        seconds = time.monotonic() - began
        other.execute("ROLLBACK")
        other.close()

        assert seconds < BUSY_SECONDS  # the first that waited would have waited so long
        assert len(await egress.effects(TWO, "primary")) == 10


async def test_an_application_that_leaves_ends_its_call(tmp_path: Path) -> None:
    async def endless(talk: Talk) -> None:
        await talk.request()
        await talk.send(STREAM)
        while True:
            await talk.send(chunk(EVENTS[0]))
            await asyncio.sleep(0.01)

    async with between(endless, tmp_path) as egress:
        async with caller(egress.port) as each:
            await each.send(request(ONE, ""))
            await each.head()
        began = time.monotonic()
        await until(lambda: egress.provider.open == 0)

        assert time.monotonic() - began < SECONDS / 2
