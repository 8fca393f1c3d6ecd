"""The proxies that are measured: how each is found, told the same fifty routes, and started.

Every one has one worker, fifty routes by path to the same origin, kept connections on both sides and no access log;
whatever else it ships with is left as it is shipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROUTES = 50
Command = list[str]


@dataclass(frozen=True)
class Peer:
    """A proxy that is installed here."""

    name: str
    version: str
    command: Callable[[Path, int, int], Command]
    """Writes its configuration into a folder, for its own port and the origin's; returns what to run."""
    environ: Mapping[str, str]


def found(peers: Path | None) -> list[Peer]:
    """The router, and whichever of the others are here: on PATH, or in the virtual environment `peers`."""
    search = os.pathsep.join([*([str(peers / "bin")] if peers else []), os.environ.get("PATH", "")])
    python = str(peers / "bin" / "python") if peers else sys.executable
    here = [Peer("router", _version([sys.executable, "-c", _ROUTER_VERSION]), _router, {})]
    for name, command, asks in (
        ("nginx", _nginx, ["-v"]),
        ("haproxy", _haproxy, ["-v"]),
        ("envoy", _envoy, ["--version"]),
        ("caddy", _caddy, ["version"]),
    ):
        if program := shutil.which(name, path=search):
            here.append(Peer(name, _version([program, *asks]), _with(command, program), {"GOMAXPROCS": "1"}))
    node = shutil.which("node")
    if node and _works([node, "-e", "require('http-proxy')"]):
        here.append(Peer("node http-proxy", _version([node, "--version"]), _with(_node, node), {}))
    for package, application in _PYTHON.items():
        imports = application.partition("import")[0] + "import *"
        if _works([python, "-c", f"import uvicorn\n{imports.strip()}"]):
            version = _version([python, "-c", f"from importlib.metadata import version; print(version('{package}'))"])
            here.append(Peer(package, version, _with(_python(application), python), {}))
    return here


def _with(command: Callable[[str, Path, int, int], Command], program: str) -> Callable[[Path, int, int], Command]:
    return lambda folder, port, origin: command(program, folder, port, origin)


def _works(command: Command) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def _version(command: Command) -> str:
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = [line.replace(command[0], "").strip() for line in (said.stdout + said.stderr).splitlines() if line.strip()]
    return lines[0][:100] if lines else "unknown"  # without the path, which is nobody's business


_ROUTER_VERSION = """
import sys
from importlib.metadata import version
print("Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("uvicorn", "httptools", "uvloop")))
"""


def _router(folder: Path, port: int, origin: int) -> Command:
    here = f'"http://127.0.0.1:{origin}"'
    paths = {f"r{number}": f"/api/r{number}/{{rest:path}}" for number in range(ROUTES)} | {"events": "/events"}
    routes = [f'[[routes]]\nname = "{name}"\npath = "{path}"\nstage = "extracted"' for name, path in paths.items()]
    file = _write(
        folder / "routes.toml", "\n".join([f"upstreams = {{ legacy = {here}, extracted = {here} }}", *routes])
    )
    return [sys.executable, "-m", "router", "serve", str(file), "--port", str(port)]


def _nginx(program: str, folder: Path, port: int, origin: int) -> Command:
    there = "proxy_pass http://origin;"
    routes = "\n".join(f"location /api/r{number}/ {{ {there} }}" for number in range(ROUTES))
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in NGINX_FOLDERS)
    file = _write(
        folder / "nginx.conf",
        f"""
        worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; {temporary}
            upstream origin {{ server 127.0.0.1:{origin}; keepalive 256; keepalive_requests 1000000000; }}
            server {{
                listen 127.0.0.1:{port} backlog=1024; keepalive_requests 1000000000;
                proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
                proxy_set_header X-Forwarded-For $remote_addr;
                {routes}
                location /events {{ proxy_buffering off; {there} }}
                location / {{ {there} }}
            }}
        }}""",
    )
    return [program, "-c", str(file), "-e", str(folder / "error.log")]


NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _haproxy(program: str, folder: Path, port: int, origin: int) -> Command:
    routes = "\n".join(f"    use_backend origin if {{ path_beg /api/r{number}/ }}" for number in range(ROUTES))
    file = _write(
        folder / "haproxy.cfg",
        f"""
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    option forwardfor
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}
{routes}
    default_backend origin
backend origin
    http-reuse always
    server origin 127.0.0.1:{origin}
""",
    )
    return [program, "-db", "-f", str(file)]


def _envoy(program: str, folder: Path, port: int, origin: int) -> Command:
    origin_cluster = {
        "name": "origin",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "origin",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(origin)}}]}],
        },
    }
    paths = [*(f"/api/r{number}/" for number in range(ROUTES)), "/"]
    connections = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": True,
        "stream_idle_timeout": "0s",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"prefix": path}, "route": {"cluster": "origin", "timeout": "0s"}} for path in paths
                    ],
                }
            ]
        },
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}},
        ],
    }
    filters = [{"name": "http", "typed_config": connections}]
    listener = {"name": "front", "address": _address(port), "filter_chains": [{"filters": filters}]}
    told = {"static_resources": {"listeners": [listener], "clusters": [origin_cluster]}}
    file = _write(folder / "envoy.json", json.dumps(told))
    return [program, "-c", str(file), "--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"]


_TYPE = "type.googleapis.com/envoy.extensions"


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _caddy(program: str, folder: Path, port: int, origin: int) -> Command:
    there = f"reverse_proxy 127.0.0.1:{origin}"
    routes = "\n".join(f"handle /api/r{number}/* {{\n{there}\n}}" for number in range(ROUTES))
    events = f"handle /events {{\n{there} {{\nflush_interval -1\n}}\n}}"
    rest = f"handle {{\n{there}\n}}"
    options = "{\n    admin off\n    auto_https off\n    persist_config off\n}"
    file = _write(
        folder / "Caddyfile", f"{options}\nhttp://:{port} {{\n    bind 127.0.0.1\n{routes}\n{events}\n{rest}\n}}\n"
    )
    return [program, "run", "--config", str(file), "--adapter", "caddyfile"]


def _node(program: str, folder: Path, port: int, origin: int) -> Command:
    file = _write(
        folder / "proxy.js",
        f"""
        const http = require('http'), agent = new http.Agent({{ keepAlive: true }});
        const told = {{ target: 'http://127.0.0.1:{origin}', agent, xfwd: true }};
        const proxy = require('http-proxy').createProxyServer(told);
        proxy.on('error', (error, request, answer) => answer.destroy());
        http.createServer((request, answer) => proxy.web(request, answer)).listen({port}, '127.0.0.1');
        """,
    )
    return [program, str(file)]


_PYTHON = {
    "fastapi-proxy-lib": """
        from fastapi_proxy_lib.fastapi.app import reverse_http_app
        app = reverse_http_app(base_url="http://127.0.0.1:{origin}/")
        """,
    "asgi-proxy-lib": """
        from asgi_proxy import asgi_proxy
        app = asgi_proxy("http://127.0.0.1:{origin}")
        """,
}


def _python(application: str) -> Callable[[str, Path, int, int], Command]:
    def command(program: str, folder: Path, port: int, origin: int) -> Command:
        lines = [line.strip() for line in application.format(origin=origin).splitlines()]
        _write(folder / "peer_application.py", "\n".join(lines))
        where = ["--app-dir", str(folder), "--port", str(port), "--no-access-log", "--log-level", "error"]
        return [program, "-m", "uvicorn", "peer_application:app", *where]

    return command


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file
