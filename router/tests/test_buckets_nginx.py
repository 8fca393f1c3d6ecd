"""Ten thousand callers are on the side where a real nginx puts them, so that a split can move there."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..buckets import is_inside
from .conformance.targets import free_port
from .wire import SECONDS

pytestmark = pytest.mark.anyio

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
PERCENTS = (1, 10, 50)
SALT = "ticket-summary"
CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  split_clients "{salt}${{cookie_sessionid}}" $one   {{ 1%  x; * -; }}
  split_clients "{salt}${{cookie_sessionid}}" $ten   {{ 10% x; * -; }}
  split_clients "{salt}${{cookie_sessionid}}" $fifty {{ 50% x; * -; }}
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "$one$ten$fifty"; }} }}
}}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[int]:
    """The port of an nginx that answers on which side of three splits the cookie `sessionid` is."""
    if NGINX is None:
        pytest.skip("nginx is not installed: there is nothing to compare with")
    with free_port() as port:
        file = tmp_path / "nginx.conf"
        file.write_text(CONFIG.format(folder=tmp_path, salt=SALT, port=port))
        process = subprocess.Popen([NGINX, "-c", str(file), "-p", str(tmp_path)], stderr=subprocess.PIPE)
        try:
            yield port
        finally:
            process.terminate()
            process.wait(SECONDS)
            assert process.stderr is not None
            process.stderr.close()


async def sides(port: int, keys: list[bytes]) -> list[bytes]:
    """nginx's word for each key, on one connection."""
    reader, writer = await connected(port)
    found = []
    for start in range(0, len(keys), 100):
        for key in keys[start : start + 100]:
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: other=1; sessionid=" + key + b"\r\n\r\n")
        for _ in keys[start : start + 100]:
            await reader.readuntil(b"\r\n\r\n")
            found.append(await reader.readexactly(len(PERCENTS)))
    writer.close()
    return found


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                return await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.01)


async def test_ten_thousand_callers_are_on_the_side_where_nginx_puts_them(nginx: int) -> None:
    chance = random.Random(7)
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_.~%"
    keys = ["".join(chance.choices(alphabet, k=chance.randint(1, 40))).encode() for _ in range(10_000)]

    theirs = await sides(nginx, keys)

    ours = [b"".join(b"x" if is_inside(SALT.encode() + key, percent) else b"-" for percent in PERCENTS) for key in keys]
    assert ours == theirs
    assert {b"---", b"--x", b"-xx", b"xxx"} == set(ours)
