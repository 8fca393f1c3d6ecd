"""A listener that is closed without resetting anybody, on the operating system's own sockets."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from ..listener import open_listener, turn_away, waiting, welcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Only Linux drops newcomers by a filter")

DROPPED_SECONDS = 0.3  # in which a connection on loopback would long have been made; its second try comes after 1 s


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    with open_listener("127.0.0.1", 0) as opened:
        yield opened


def connects(to: socket.socket, seconds: float) -> bool:
    try:
        socket.create_connection(to.getsockname(), timeout=seconds).close()
    except TimeoutError:
        return False
    return True


def test_who_came_before_is_answered_and_who_comes_after_is_not_taken() -> None:
    with listener() as opened, socket.create_connection(opened.getsockname()) as before:
        turn_away(opened)
        assert not connects(opened, DROPPED_SECONDS)

        (accepted,) = waiting(opened)
        opened.close()

        with accepted:  # the filter, which a connection inherits, lets everything else through
            before.sendall(b"ask")
            assert accepted.recv(3) == b"ask"
            accepted.sendall(b"answer")
            accepted.shutdown(socket.SHUT_WR)
            assert before.makefile("rb").read() == b"answer"


def test_who_was_turned_away_is_refused_once_the_listener_is_closed() -> None:
    found: list[BaseException] = []

    def come(address: tuple[str, int]) -> None:
        try:
            socket.create_connection(address, timeout=10).close()
        except OSError as error:
            found.append(error)

    with listener() as opened:
        turn_away(opened)
        late = threading.Thread(target=come, args=(opened.getsockname(),))
        late.start()
        late.join(DROPPED_SECONDS)
        assert late.is_alive()
    late.join(10)

    assert [type(error) for error in found] == [ConnectionRefusedError]


def test_a_process_that_begins_at_a_listener_takes_back_what_another_left() -> None:
    with listener() as opened:
        welcome(opened)  # nothing to take back
        turn_away(opened)
        turn_away(opened)  # by the next of several that stop
        welcome(opened)

        assert connects(opened, 10)
