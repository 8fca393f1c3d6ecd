"""Sends an answer at the set pace, whole or as a stream, with the fault that was asked for."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

from starlette.types import Send

from .calls import Call
from .faults import UNICODE_SAMPLE, Fault, never
from .requests import ChatRequest
from .wire import Completion, Json, encoded

EVENT_STREAM = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"
SERVER_ERROR: Json = {"error": {"message": "The server had an error.", "type": "server_error", "code": None}}
SPLIT_SIZES = (1, 7, 2, 3, 11, 1, 5)  # bytes per packet: odd enough to fall inside characters and line ends
SPLIT_PAUSE_SECONDS = 0.001  # so that the packets do not join again on the way


@dataclass(frozen=True)
class Speed:
    latency_seconds: float
    tokens_per_second: float  # 0: no wait between tokens

    def due(self, tokens: int) -> float:
        """Seconds from the request to the moment when so many tokens are there."""
        return self.latency_seconds + (tokens / self.tokens_per_second if self.tokens_per_second else 0.0)


class Answering:
    """One answer on its way out: starts the response, keeps the pace, notes in the ledger what was sent."""

    def __init__(self, send: Send, call: Call, released: asyncio.Event) -> None:
        self._send = send
        self._call = call
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    async def send_json(self, status: int, value: Json, headers: dict[str, str] | None = None) -> None:
        await self._whole(status, encoded(value), "application/json", headers)

    async def after(self, seconds: float, body: bytes, fault: Fault | None) -> None:
        """A body that costs no tokens, once its time has come."""
        await self._wait_until(seconds + (fault.seconds if fault and fault.kind == "slow" else 0.0))
        await self._plain(body, fault)

    async def chat(self, said: Completion, request: ChatRequest, speed: Speed, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "slow":
            speed = Speed(speed.latency_seconds + fault.seconds, speed.tokens_per_second)
        if fault is not None and fault.kind in ("unicode", "split_bytes"):
            said = replace(said, tokens=(*said.tokens, *UNICODE_SAMPLE))
        if request.stream:
            await self._stream(said, request.include_usage, speed, fault)
            return
        await self._wait_until(speed.due(len(said.tokens)))
        self._call.tokens_sent = len(said.tokens)
        await self._plain(encoded(_without_choices(said) if _is(fault, "empty_choices") else said.whole()), fault)

    async def _plain(self, body: bytes, fault: Fault | None) -> None:
        if _is(fault, "held"):
            await self._released.wait()
        match fault.kind if fault else None:
            case "html":
                await self._whole(200, HTML, "text/html; charset=utf-8")
            case "error_in_stream":
                await self.send_json(200, SERVER_ERROR)
            case "bad_json":
                await self._whole(200, body[:-2], "application/json")
            case "stall" | "cut":
                await self._start(200, "application/json", {"content-length": str(len(body))})
                await self._part(body[: len(body) // 2])
                if _is(fault, "stall"):
                    await never()
            case _:
                await self._whole(200, body, "application/json")

    async def _stream(self, said: Completion, include_usage: bool, speed: Speed, fault: Fault | None) -> None:
        if _is(fault, "html"):
            await self._wait_until(speed.due(0))
            await self._whole(200, HTML, "text/html; charset=utf-8")
            return
        await self._wait_until(speed.due(0))
        await self._start(200, EVENT_STREAM, {"cache-control": "no-cache"})
        pace = _Pace(self._part if not _is(fault, "split_bytes") else self._split, self._loop, self._began)
        framing = _framing(fault)
        limit = fault.after if fault and fault.kind in ("stall", "cut", "error_in_stream", "bad_json") else None
        for sent, frame in enumerate(_token_frames(said, include_usage, fault)):
            if limit is not None and sent > limit:
                break
            await pace.send(framing(frame), speed.due(max(sent - 1, 0)))
            self._call.tokens_sent = min(sent, len(said.tokens))
            if fault and fault.kind == "held" and sent == fault.after:
                await pace.flush()
                await self._released.wait()
        await pace.flush()
        await self._end(said, include_usage, fault, framing, pace)

    async def _end(
        self,
        said: Completion,
        include_usage: bool,
        fault: Fault | None,
        framing: Callable[[bytes], bytes],
        pace: "_Pace",
    ) -> None:
        match fault.kind if fault else None:
            case "stall":
                await never()
            case "cut":
                return  # the server closes a connection whose answer was never completed
            case "error_in_stream":
                await pace.send(framing(_frame(SERVER_ERROR)), 0.0)
            case "bad_json":
                await pace.send(b'data: {"choices": [{"delta"\n\n', 0.0)
            case kind:
                closing = [] if kind == "empty_choices" else [_frame(_finish(said, include_usage))]
                closing += [_frame(said.usage_chunk())] if include_usage else []
                closing += [] if kind == "no_done" else [DONE]
                await pace.send(b"".join(map(framing, closing)), 0.0)
        await pace.flush()
        if _is(fault, "open_after_done"):
            await pace.send(_frame({"after": "done"}), 0.0)
            await pace.flush()
            await never()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _whole(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        await self._start(status, content_type, {"content-length": str(len(body)), **(headers or {})})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _start(self, status: int, content_type: str, headers: dict[str, str]) -> None:
        self._call.status = status
        shown = {"content-type": content_type, "x-request-id": f"req_{self._call.number}", **headers}
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in shown.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _part(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _split(self, body: bytes) -> None:
        start = place = 0
        while start < len(body):
            size = SPLIT_SIZES[place % len(SPLIT_SIZES)]
            await self._part(body[start : start + size])
            await asyncio.sleep(SPLIT_PAUSE_SECONDS)
            start, place = start + size, place + 1

    async def _wait_until(self, seconds: float) -> None:
        left = self._began + seconds - self._loop.time()
        if left > 0:
            await asyncio.sleep(left)


class _Pace:
    """Sends each frame when it is due; what is overdue goes out together, so a busy loop slows no stream."""

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[None]],
        loop: asyncio.AbstractEventLoop,
        began: float,
    ) -> None:
        self._write = write
        self._loop = loop
        self._began = began
        self._overdue: list[bytes] = []

    async def send(self, frame: bytes, due: float) -> None:
        left = self._began + due - self._loop.time()
        if left > 0:
            await self.flush()
            await asyncio.sleep(left)
        self._overdue.append(frame)

    async def flush(self) -> None:
        if self._overdue:
            frames, self._overdue = b"".join(self._overdue), []
            await self._write(frames)


def _token_frames(said: Completion, include_usage: bool, fault: Fault | None) -> Iterator[bytes]:
    """The role chunk, then one chunk per token; only the token's own JSON is made anew each time."""
    yield _frame(_with_usage(said.chunk({"role": "assistant", "content": "", "refusal": None}), include_usage))
    if _is(fault, "empty_choices"):
        yield _frame(_with_usage(_without_choices(said), include_usage))
        return
    sample = _frame(_with_usage(said.chunk({"content": "@"}), include_usage))
    before, _, after = sample.rpartition(b'"@"')
    for token in said.tokens:
        yield before + json.dumps(token, ensure_ascii=False).encode() + after


def _finish(said: Completion, include_usage: bool) -> Json:
    return _with_usage(said.chunk({}, said.finish_reason), include_usage)


def _without_choices(said: Completion) -> Json:
    return said.chunk({}) | {"choices": []}


def _with_usage(chunk: Json, include_usage: bool) -> Json:
    """Once usage is asked for, every chunk before the last has it as null."""
    return chunk | {"usage": None} if include_usage else chunk


def _frame(value: Json) -> bytes:
    return b"data: " + encoded(value) + b"\n\n"


def _framing(fault: Fault | None) -> Callable[[bytes], bytes]:
    """How the fault writes a frame: all of it is allowed by the standard of server-sent events."""
    match fault.kind if fault else None:
        case "keepalive":
            return lambda frame: KEEP_ALIVE + frame
        case "crlf":
            return lambda frame: frame.replace(b"\n", b"\r\n")
        case "no_space":
            return lambda frame: frame.replace(b"data: ", b"data:", 1)
        case _:
            return lambda frame: frame


def _is(fault: Fault | None, kind: str) -> bool:
    return fault is not None and fault.kind == kind
