"""The proxies that are put to the cases, each in front of the same origin, configured as a careful operator would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2]
"""The router's, whatever it is called."""
START_SECONDS = 60.0
STOP_SECONDS = 20.0
DEADLINE_SECONDS = 10
"""For heads and bodies that do not come, in the calibrating proxies."""

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000; server_tokens off; underscores_in_headers off; client_max_body_size 0;
  client_header_timeout {seconds}s; client_body_timeout {seconds}s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_connection:$http_upgrade $upgrade_or_not {{ default ''; ~*upgrade.*:websocket$ upgrade; }}
  map $upgrade_or_not $offer {{ default ''; upgrade websocket; }}
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    merge_slashes off;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
      proxy_max_temp_file_size 0; proxy_pass_header Server; proxy_pass_header Date;
      proxy_set_header Host $http_host; proxy_set_header Upgrade $offer;
      proxy_set_header Connection $upgrade_or_not; proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""

HAPROXY = """
global
  maxconn 2000
defaults
  mode http
  timeout connect 3s
  timeout client {seconds}s
  timeout server 60s
  timeout tunnel 60s
  timeout http-request {seconds}s
  option abortonclose
frontend callers
  bind 127.0.0.1:{port}
  http-request del-header x-forwarded-for
  http-request set-header x-forwarded-for %[src]
  default_backend origin
backend origin
  http-reuse safe
  server origin 127.0.0.1:{origin}
"""

CADDY = """
{{
  admin off
  auto_https off
  persist_config off
  storage file_system {folder}/storage
  servers {{
    timeouts {{
      read_header {seconds}s
      read_body {seconds}s
    }}
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{origin} {{
    flush_interval -1
  }}
}}
"""


_TYPE = "type.googleapis.com/envoy.extensions."


@dataclass(frozen=True)
class Target:
    """A proxy: the command that serves on `port` in front of the origin, and the file that it reads."""

    name: str
    program: str
    configuration: Callable[[Path, int, int], str]
    command: Callable[[str, Path, int], list[str]]

    @property
    def path(self) -> str | None:
        """Where its program is; None if it is not installed."""
        return shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin:/usr/local/sbin")


def _from(template: str) -> Callable[[Path, int, int], str]:
    return lambda folder, port, origin: template.format(
        folder=folder, port=port, origin=origin, seconds=DEADLINE_SECONDS
    )


def _routes(upstream: str) -> Callable[[Path, int, int], str]:
    return lambda folder, port, origin: f'[upstreams.legacy]\nurl = "http://127.0.0.1:{origin}"\n{upstream}\n'


def _envoy(_: Path, port: int, origin: int) -> str:
    """With the hardening of Envoy's own "edge" best practices."""

    def address(number: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    manager = {
        "@type": _TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "callers",
        "codec_type": "HTTP1",
        "use_remote_address": True,
        "via": "envoy",
        "server_header_transformation": "PASS_THROUGH",
        "request_headers_timeout": f"{DEADLINE_SECONDS}s",
        "stream_idle_timeout": f"{DEADLINE_SECONDS}s",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST",
            "idle_timeout": f"{6 * DEADLINE_SECONDS}s",
        },
        "http_protocol_options": {"accept_http_10": True, "enable_trailers": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": _TYPE + "filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "0s"}}],
                }
            ]
        },
    }
    origin_options = {
        "@type": _TYPE + "upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
    }
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(origin)}}]}]
    configuration = {
        "static_resources": {
            "listeners": [
                {
                    "address": address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "origin",
                    "type": "STATIC",
                    "connect_timeout": "3s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": origin_options
                    },
                    "load_assignment": {"cluster_name": "origin", "endpoints": endpoints},
                }
            ],
        }
    }
    return json.dumps(configuration)


def _serve(program: str, file: Path, port: int) -> list[str]:
    return [program, "-m", FOLDER.name, "serve", str(file), "--port", str(port)]


ROUTERS = (
    Target("router", sys.executable, _routes('chunked_requests = "stream"'), _serve),
    Target("spooling", sys.executable, _routes(""), _serve),
)
"""The router with a streaming upstream, and as it comes, with one that wants to know how long a body is."""

PEERS = (
    Target("nginx", "nginx", _from(NGINX), lambda program, file, _: [program, "-c", str(file), "-p", str(file.parent)]),
    Target("haproxy", "haproxy", _from(HAPROXY), lambda program, file, _: [program, "-db", "-f", str(file)]),
    Target(
        "envoy",
        "envoy",
        _envoy,
        lambda program, file, _: [
            program,
            "-c",
            str(file),
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "-l",
            "error",
            "--base-id-path",
            f"{file}.id",
            "--use-dynamic-base-id",
        ],
    ),
    Target(
        "caddy",
        "caddy",
        _from(CADDY),
        lambda program, file, _: [program, "run", "--config", str(file), "--adapter", "caddyfile"],
    ),
)


@contextlib.asynccontextmanager
async def serving(target: Target, folder: Path, origin: int) -> AsyncIterator[tuple[int, Callable[[], list[int]]]]:
    """The target on a free port in front of the origin; its port, and how to ask for its processes."""
    with free_port() as port:
        async with _serving(target, folder, origin, port) as pids:
            yield port, pids


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """On Linux it stays free: who has bound it and does not listen keeps it from whoever takes any port, and a server
    that names it may have it all the same."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        if sys.platform != "linux":
            bound.close()
        yield port


@contextlib.asynccontextmanager
async def _serving(target: Target, folder: Path, origin: int, port: int) -> AsyncIterator[Callable[[], list[int]]]:
    suffix = {"envoy": "json"}.get(target.name, "conf")
    file = folder / f"{target.name}.{suffix}"
    file.write_text(target.configuration(folder, port, origin), "utf-8")
    log = folder / f"{target.name}.log"
    process = _started(target.command(target.path or target.program, file, port), log)
    try:
        await _until_up(process, port, log)
        yield lambda: family(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST"))}
    with log.open("wb") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=output, cwd=FOLDER.parent, env=alone, start_new_session=True
        )


def _why(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-2000:]


async def _until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended: {_why(log)}")
            await asyncio.sleep(0.02)


def family(pid: int) -> list[int]:
    """A process and all below it, where /proc tells."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                found += family(int(child))
    return found


def resident_bytes(pids: list[int]) -> int:
    """The memory of these processes, where /proc tells; else 0."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total
