"""A copy is the same request, sent to the other upstream after the caller has their answer, and marked."""

from __future__ import annotations

from pathlib import Path

import pytest

from .shadowing import both, settled
from .wire import OK, always

pytestmark = pytest.mark.anyio

GET = b"GET /a?b=%2F HTTP/1.1\r\nHost: h\r\nX-Odd: \xe9\r\nX-Odd: 2\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


async def test_a_copy_goes_to_the_extracted_upstream(tmp_path: Path) -> None:
    async with both(tmp_path, always(OK), always(OK)) as all_:
        answer = await all_.router.ask(GET)
        await settled(all_)

    (original,), (copy,) = all_.legacy.asked, all_.service.asked
    assert (answer.status, answer.body) == (200, b"ok")
    assert copy.line == original.line == b"GET /a?b=%2F HTTP/1.1"
    assert copy.values(b"x-odd") == original.values(b"x-odd") == [b"\xe9", b"2"]
    assert (all_.counts.offered, all_.counts.sent, all_.counts.failed) == (1, 1, 0)
