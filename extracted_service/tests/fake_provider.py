"""An LLM provider that does exactly what a test tells it, byte by byte, and remembers what it was asked."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

DEADLINE_SECONDS = 30
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]
    body: Any


class Gate:
    """A place in a script where the provider waits for the test."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    async def passed(self) -> None:
        self.reached.set()
        until = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        # The test opens it in another thread; to wait in one too would go on after whoever asked has hung up.
        while not self._opened.is_set() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


Script = tuple[bytes | Gate, ...]


@dataclass
class FakeProvider:
    """`scripts` has one entry per expected call: bytes to send, gates to wait at; then the connection closes."""

    url: str = ""
    scripts: list[Script] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    playing: int = 0
    """How many scripts are under way."""

    def will(self, *script: bytes | Gate) -> None:
        self.scripts.append(script)

    def forget(self) -> None:
        self.scripts.clear()
        self.asked.clear()
        self.hung_up.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.playing += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.asked.append(await _request(reader))
            playing = asyncio.ensure_future(_play(self.scripts.pop(0), writer))
            leaving = asyncio.ensure_future(reader.read())
            await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done() or playing.exception():
                self.hung_up.set()
            for task in (playing, leaving):
                task.cancel()
            await asyncio.gather(playing, leaving, return_exceptions=True)
        self.playing -= 1
        writer.close()


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    provider, loop = FakeProvider(), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(provider.serve, "127.0.0.1", 0))
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(_ended(server), loop).result(DEADLINE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_SECONDS)
        loop.close()


def answer(status: str, body: bytes, *headers: str) -> bytes:
    # As this provider will hang up, it says so: a second call of the same request must not try this connection again.
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def completion(text: str, **changes: Any) -> bytes:
    said = {
        "id": "1",
        "model": "helpdesk-small",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 812, "completion_tokens": 64, "total_tokens": 876},
    }
    return answer("200 OK", json.dumps(said | changes).encode(), "Content-Type: application/json")


def embeddings(*vectors: list[float], **changes: Any) -> bytes:
    """In reverse order: it is the index that says which text a vector belongs to."""
    found = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)][::-1]
    said = {"model": "helpdesk-embed-2", "data": found, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    return answer("200 OK", json.dumps(said | changes).encode(), "Content-Type: application/json")


def data(payload: Any) -> bytes:
    """One streamed event, in one chunk of the transfer coding."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return framed(f"data: {text}\n\n".encode())


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def token(text: str, **choice: Any) -> bytes:
    return data({"model": "helpdesk-small", "choices": [{"index": 0, "delta": {"content": text}, **choice}]})


ROLE = data({"model": "helpdesk-small", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
STOP = data({"model": "helpdesk-small", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = data({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 2}})
DONE = data("[DONE]")


async def _request(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(first.split(" ")[1], headers, json.loads(body))


async def _play(script: Script, writer: asyncio.StreamWriter) -> None:
    for step in script:
        if isinstance(step, Gate):
            await step.passed()
        else:
            writer.write(step)
            await writer.drain()


async def _ended(server: asyncio.Server) -> None:
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)
