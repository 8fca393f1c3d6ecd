"""What upstreams and callers see of each other through the router, byte for byte."""

from __future__ import annotations

import pytest

from .conftest import Front
from .wire import OK, always

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "target",
    [
        b"/a%2Fb/%C3%A9//c?q=1%202&q=a+b&empty=",
        b"/x?",
        b"/",
        b"//double//slash/",
        b"/a/../b/./c",
        b"/%zz%",
        b"/q?a=%00&b=[]|\"'",
        b"/~user;v=1,2?x=y?z",
    ],
)
async def test_the_target_reaches_the_upstream_byte_for_byte(front: Front, target: bytes) -> None:
    router, legacy = await front(always(OK))

    answer = await router.ask(b"GET " + target + b" HTTP/1.1\r\nHost: shop.example\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"ok")
    assert legacy.asked[0].line == b"GET " + target + b" HTTP/1.1"
