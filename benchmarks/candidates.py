"""The upstreams of the shadow benchmark: one that answers as it should, one that behaves as a path says.

The last segment of a path says how:

    /…/well        answers like the primary
    /…/hangs       takes the request and says nothing
    /…/drips       a byte a second
    /…/never-ends  small events, as many as are read
    /…/floods      a gigabyte
    /…/dies        a reset instead of an answer
    /…/fails       503
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import selectors
import socket

import uvloop

BEHAVIOURS = ("well", "hangs", "drips", "never-ends", "floods", "dies", "fails")
BODY = (
    b'{"items": [' + b", ".join(b'{"id": %d, "subject": "a lamp that does not light"}' % n for n in range(20)) + b"]}"
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b"10\r\ndata: a token\n\n\r\n"
GIGABYTE = 1 << 30
PIECE = b"x" * 65_536


async def answer_well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Every request of the connection, each after so many seconds."""
    while await _request(reader):
        await asyncio.sleep(seconds)
        writer.write(ANSWER)


async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await _request(reader)
    match head.split(b" ")[1].rpartition(b"/")[2]:
        case b"well":
            writer.write(ANSWER)
            await answer_well(reader, writer, 0)
        case b"hangs":
            await reader.read()
        case b"drips":
            writer.write(CHUNKED)
            while True:
                writer.write(b"1\r\na\r\n")
                await writer.drain()
                await asyncio.sleep(1)
        case b"never-ends":
            writer.write(CHUNKED)
            while True:
                writer.write(EVENT * 50)
                await writer.drain()
        case b"floods":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % GIGABYTE)
            for _ in range(GIGABYTE // len(PIECE)):
                writer.write(PIECE)
                await writer.drain()
        case b"dies":
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        case b"fails":
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


async def _request(reader: asyncio.StreamReader) -> bytes:
    """The head of the next request, which has no body; nothing if there is none."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        return await reader.readuntil(b"\r\n\r\n")
    return b""


async def serve(seconds: float | None) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await (misbehave(reader, writer) if seconds is None else answer_well(reader, writer, seconds))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def exact_loop() -> asyncio.AbstractEventLoop:
    """Its timers are exact to a tenth of a millisecond; those of epoll, and of uvloop, come up to one too late."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, help="answer well after so long; left out: behave as the path says")
    chosen = parser.parse_args()
    if chosen.seconds is None:
        os.nice(10)  # a candidate elsewhere would not take the callers' processor
        uvloop.run(serve(None))
    else:
        with asyncio.Runner(loop_factory=exact_loop) as runner:
            runner.run(serve(chosen.seconds))
