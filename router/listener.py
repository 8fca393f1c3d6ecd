"""The socket on which callers arrive: opened, and closed without resetting anybody.

The operating system completes connections by itself and keeps them until they are accepted. Closing the listener resets
those it still keeps, and between the last accept and the close there is always room for one more. On Linux a filter
closes that gap: it drops the packets that begin a connection (SYN) and no others, so the queue can be emptied first.
Whoever was dropped tries again a second later by itself, and is refused, or finds who came instead.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys

BACKLOG = 2048
"""Connections that wait to be accepted."""

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER and SO_DETACH_FILTER of <asm-generic/socket.h>
_FLAGS, _SYN = 13, 0x02  # where in a TCP header, and which bit
_FILTER = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (  # classic BPF: code, steps if true, steps if false, operand
        (0x30, 0, 0, _FLAGS),  # load the byte
        (0x45, 0, 1, _SYN),  # is the bit set?
        (0x06, 0, 0, 0),  # then drop the packet
        (0x06, 0, 0, 0xFFFFFFFF),  # or keep all of it
    )
)
_INSTRUCTIONS = len(_FILTER) // 8


def open_listener(host: str, port: int) -> socket.socket:
    """Whoever connects from now on is kept waiting until somebody serves. Raises OSError if the port cannot be had."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def turn_away(listener: socket.socket) -> None:
    """From now on nobody new connects; those who have begun still can. Elsewhere than on Linux it does nothing."""
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_FILTER, len(_FILTER))
        with contextlib.suppress(OSError):  # a kernel that refuses it: the gap of microseconds stays
            listener.setsockopt(
                socket.SOL_SOCKET, _ATTACH, struct.pack("@HP", _INSTRUCTIONS, ctypes.addressof(program))
            )


def welcome(listener: socket.socket) -> None:
    """Takes `turn_away` back, which one of several processes at the listener may have left."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # there was none
            listener.setsockopt(socket.SOL_SOCKET, _DETACH, 0)


def waiting(listener: socket.socket) -> list[socket.socket]:
    """Callers who are connected as far as they know, accepted."""
    found: list[socket.socket] = []
    with contextlib.suppress(OSError):
        listener.setblocking(False)
        while len(found) < BACKLOG:
            found.append(listener.accept()[0])
    return found
