"""What the commands print and return; `serve` as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ..app import FILE_ENV, create_app
from ..cli import app
from ..errors import ConfigError
from .serving import routes_file
from .wire import OK, SECONDS, Upstream, always, caller, until, upstream

PACKAGE = __package__.rpartition(".")[0] if __package__ else "router"
ROOT = Path(__file__).parents[2]
ROUTES = """
upstreams = { legacy = "http://127.0.0.1:8001", assistant = "http://127.0.0.1:8002" }
[egress]
provider = "http://127.0.0.1:8020"
[[routes]]
name = "reply"
path = "/api/tickets/{id}/reply"
methods = ["POST"]
stage = "split"
split = { percent = 10, by = "cookie:sessionid" }
shadow = { percent = 25, effects = "tape" }
[[routes]]
name = "tickets"
path = "/api/tickets"
methods = ["GET", "HEAD"]
stage = "reverse"
shadow = {}
[[routes]]
name = "search"
path = "/api/search"
stage = "extracted"
[[routes]]
name = "ask"
path = "/api/ask"
stage = "legacy"
"""


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(routes_file(tmp_path, ROUTES))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://db/evidence", 'evidence, url: "mysql" is neither "sqlite" nor "postgresql"'),
        ("evidence.db", 'evidence, url: must look like "sqlite:///var/evidence.db" or "postgresql://user@host/name"'),
        ("postgresql://db:port/evidence", "evidence, url: must look like"),
        ("sqlite://", "evidence, url: several processes share it, so name a file"),
        (
            "sqlite:////dev/null/evidence.db",
            'evidence, url: "/dev/null" is no folder, so "/dev/null/evi',
        ),
        ("sqlite:////tmp", 'evidence, url: "/tmp" is a folder: name a file in it'),
    ],
)
def test_check_says_why_the_evidence_can_never_be_kept(tmp_path: Path, url: str, sentence: str) -> None:
    pytest.importorskip("sqlalchemy")
    file = routes_file(tmp_path, f'{ROUTES}[evidence]\nurl = "{url}"\n')

    told = run("check", str(file)).exception

    assert isinstance(told, ConfigError)
    assert sentence in str(told)


@pytest.mark.parametrize("url", ["sqlite:///not/there/yet/evidence.db", "postgresql://user@db.invalid/evidence"])
def test_check_asks_no_database_and_a_folder_need_not_be_there(tmp_path: Path, url: str) -> None:
    pytest.importorskip("sqlalchemy")
    file = routes_file(tmp_path, f'{ROUTES}[evidence]\nurl = "{url}"\n')

    assert run("check", str(file)).exit_code == 0


def test_a_file_without_copies_needs_nothing_for_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"{__package__.rpartition('.')[0]}.evidence.database", None)
    text = 'upstreams = { legacy = "http://127.0.0.1:1" }\n'

    assert run("check", str(routes_file(tmp_path, text))).exit_code == 0
    told = run("check", str(routes_file(tmp_path, f"{text}[evidence]\n"))).exception
    assert "pip install sqlalchemy" in str(told)


def test_in_a_pipe_check_cuts_no_path_off(tmp_path: Path) -> None:
    path = f"/api/{'long/' * 12}{{id}}"
    route = f'[[routes]]\nname = "far"\npath = "{path}"\nto = "service"\nstage = "split"\n'
    text = f'upstreams = {{ legacy = "http://127.0.0.1:1", service = "http://127.0.0.1:2" }}\n{route}'

    told = run("check", str(routes_file(tmp_path, f'{text}split = {{ percent = 1, by = "cookie:sessionid" }}\n')))

    assert path in told.output


def test_check_names_a_driver_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlalchemy")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    file = routes_file(tmp_path, f'{ROUTES}[evidence]\nurl = "postgresql://db/evidence"\n')

    assert 'PostgreSQL needs psycopg: pip install "psycopg[binary]"' in str(run("check", str(file)).exception)


def test_check_lists_the_routes_and_who_answers(file: str) -> None:
    pytest.importorskip("sqlalchemy", reason="the file has copies")
    result = run("check", file)

    lines = [re.split(r"  +", line.strip()) for line in result.output.splitlines()]
    assert result.exit_code == 0
    assert [
        "reply", "POST", "/api/tickets/{id}/reply", "split",
        "assistant for 10 % by cookie sessionid, legacy for the rest", "assistant: 25 % of what legacy answers",
    ] in lines  # fmt: skip
    assert ["tickets", "GET HEAD", "/api/tickets", "reverse", "assistant", "legacy: 100 %"] in lines
    assert ["search", "all", "/api/search", "extracted", "assistant"] in lines
    assert ["ask", "all", "/api/ask", "legacy", "legacy"] in lines
    assert "is right." in result.output


def test_check_refuses_a_rule_whose_last_day_is_over(tmp_path: Path) -> None:
    rule = '[[routes.shadow.rules]]\nat = "/at"\nignore = true\nreason = "a clock"\nuntil = 2020-01-31\n'

    result = run("check", str(routes_file(tmp_path, f"{ROUTES}{rule}")))

    assert isinstance(result.exception, ConfigError)
    [problem] = result.exception.problems
    assert problem.place == 'route "ask", shadow.rules'
    assert problem.cure.startswith('the rule for "/at" ended on 2020-01-31: remove it')


def test_check_of_a_wrong_file_raises_every_problem(tmp_path: Path) -> None:
    result = run("check", str(routes_file(tmp_path, "a = 1")))

    assert isinstance(result.exception, ConfigError)
    assert len(result.exception.problems) == 2


@pytest.mark.parametrize(
    ("words", "route", "upstream", "because"),
    [
        (["GET", "/"], "none", "legacy", "no route claims it"),
        (["GET", "/api/tickets/7/reply"], "none", "legacy", "no route claims it"),
        (["POST", "/api/ask?q=1"], "ask", "legacy", "everybody is answered by legacy"),
        (["get", "/api/search?q=1"], "search", "assistant", "everybody is answered by the extracted upstream"),
        (["POST", "/api/tickets/7/reply"], "reply", "legacy", "the request has not what the split goes by"),
        (
            ["POST", "/api/tickets/7/reply", "--header", "Cookie: a=1; sessionid=a"],
            "reply",
            "legacy",
            "this caller is not in the extracted upstream's share",
        ),
        (
            ["POST", "/api/tickets/7/reply", "-H", "X: 1", "-H", "cookie: sessionid=12"],
            "reply",
            "assistant",
            "this caller is in the extracted upstream's share",
        ),
    ],
)
def test_explain_says_who_answers_one_request_and_why(
    file: str, words: list[str], route: str, upstream: str, because: str
) -> None:
    result = run("explain", file, *words)

    said = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert result.exit_code == 0
    assert said["route"].strip() == route
    assert said["upstream"].split(" ")[0] == upstream
    assert said["because"].strip() == because


def test_other_servers_get_an_application_or_a_sentence(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE_ENV, file)
    assert create_app().standing() == {}, "it serves nothing yet"

    monkeypatch.setenv(FILE_ENV, str(tmp_path / "none.toml"))
    with pytest.raises(SystemExit, match="there is no such file: write one, or name another"):
        create_app()


def test_explain_says_who_gets_a_copy_and_why_nobody_does(file: str) -> None:
    taken = run("explain", file, "GET", "/api/tickets")
    refused = run("explain", file, "POST", "/api/tickets/7/reply", "--header", "cookie: sessionid=12")
    silent = run("explain", file, "GET", "/api/search")

    assert "legacy: this request is in the share that is copied" in taken.output
    assert "none: the extracted upstream answers it itself" in refused.output
    assert "copy" not in silent.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "say a method and a path"),
        (["GET"], '"GET" is no path, which must begin with a slash: say a method and a path'),
        (["GET", "api"], '"api" is no path'),
        (["G T", "/"], '"G T" is no method: say a method and a path'),
        (["GET", "/é"], "percent-encode what is not ASCII"),
        (["GET", "/", "--header", "nonsense"], "is no header: write --header 'name: value'"),
        (["GET", "/", "--address", "home"], '"home" is no address: write --address 192.0.2.7, say'),
    ],
)
def test_explain_of_nonsense_says_what_to_write(file: str, words: list[str], sentence: str) -> None:
    result = run("explain", file, *words)

    assert result.exit_code == 2
    assert sentence in " ".join(result.output.replace("│", " ").split())


def test_explain_says_what_follows_when_the_upstream_fails(tmp_path: Path) -> None:
    trip = "trip = { errors = 0.1, slow_seconds = 5, at_least = 30 }"
    text = f"""
    upstreams = {{ legacy = "http://h:1", assistant = "http://h:2" }}
    [[routes]]
    name = "a"
    path = "/a"
    stage = "extracted"
    total_seconds = 20
    fallback = true
    {trip}
    """
    file = str(routes_file(tmp_path, text))

    safe, unsafe, other = (
        run("explain", file, "GET", "/a"),
        run("explain", file, "POST", "/a"),
        run("explain", file, "GET", "/b"),
    )

    assert "connect 3 s, first byte 60 s, idle 60 s, in all 20 s" in safe.output
    assert "legacy answers if assistant fails before its answer begins" in safe.output
    assert "legacy answers if assistant fails and nothing was sent to it" in unsafe.output
    assert (
        "legacy answers for 5 s if over 10 % fail, or over 50 % take over 5 s, of at least 30 answers in 10 s"
        in safe.output
    )
    assert "connect 3 s, first byte 60 s, idle 60 s\n" in other.output
    assert "fallback" not in other.output


def test_explain_of_the_exchanges_path_says_that_nobody_answers(tmp_path: Path) -> None:
    file = routes_file(tmp_path, ROUTES + "[identity]\n")

    result = run("explain", str(file), "GET", "/internal/%69dentity")

    assert "404" in result.output


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", PACKAGE, *words]


def environment(**more: str) -> dict[str, str]:
    without = {name: value for name, value in os.environ.items() if name != "IDENTITY_SECRET"}
    return {**without, "PYTHONPATH": str(ROOT), **more}


def ended(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), env=environment(**env), capture_output=True, text=True, timeout=100, check=False
    )


@contextlib.contextmanager
def served(file: Path, *words: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A `serve` process on a free port, and the file that holds its log."""
    log = file.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            command("serve", str(file), "--port", "0", *words), env=environment(**env), stderr=out
        )
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(2 * SECONDS)
        finally:
            process.kill()  # or it would outlive its test, and be found by another
            process.wait()


async def port_in(log: Path) -> int:
    """The port that `serve` says it serves on; whoever reads it can connect at once."""

    def said() -> list[bytes]:
        return re.findall(rb" Serving \S+ on http://127\.0\.0\.1:(\d+)\s", log.read_bytes())

    await until(said, seconds=2 * SECONDS)  # it begins with all the command line's libraries
    return int(said()[0])


def test_a_wrong_file_ends_any_command_with_status_2_and_every_problem(tmp_path: Path) -> None:
    file = routes_file(tmp_path, "a = 1")

    for words in (["check", str(file)], ["serve", str(file), "--port", "0"]):
        result = ended(*words)

        assert result.returncode == 2
        assert result.stderr.splitlines()[0] == f"{file} has 2 problems:"
        assert "Traceback" not in result.stderr


def test_a_secret_that_is_not_set_ends_serve_with_status_2(tmp_path: Path) -> None:
    result = ended("serve", str(routes_file(tmp_path, ROUTES + "[identity]\n")), "--port", "0")

    assert result.returncode == 2
    assert "the environment variable IDENTITY_SECRET is not set" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_ends_serve_with_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = ended("serve", str(routes_file(tmp_path, ROUTES)), "--port", str(port))

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"Port {port} on 127.0.0.1 is in use: free it, or choose another with --port."
    )


@pytest.mark.anyio
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_serve_answers_as_soon_as_it_says_where_follows_the_file_and_stops_cleanly(
    tmp_path: Path, workers: str
) -> None:
    async with upstream(always(OK)) as legacy, upstream(always(OK.replace(b"ok", b"ex"))) as service:
        file = routes_file(tmp_path, text(legacy, service, "legacy"))
        with served(file, "--workers", workers) as (process, log):
            port = await port_in(log)
            assert await body(port) == b"ok"

            file.write_text(text(legacy, service, "extracted"), "utf-8")
            async with asyncio.timeout(SECONDS):
                while [await body(port) for _ in range(6)] != [b"ex"] * 6:
                    pass

            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 2 * SECONDS) == 0
        assert b"Traceback" not in log.read_bytes()


def text(legacy: Upstream, service: Upstream, stage: str) -> str:
    return (
        f'upstreams = {{ legacy = "{legacy.url}", service = "{service.url}" }}\n'
        f'[[routes]]\nname = "all"\npath = "/{{rest:path}}"\nstage = "{stage}"\n'
    )


async def body(port: int) -> bytes:
    async with caller(port) as me:
        return (await me.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")).body
