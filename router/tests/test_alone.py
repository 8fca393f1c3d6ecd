"""A copy of the folder needs the packages that its README names, and not one more."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import anyio
import pytest

from .serving import routes_file
from .wire import OK, always, upstream

FOLDER = Path(__file__).parents[1]
README = (FOLDER / "README.md").read_text("utf-8")
ROUTING = README.split("$ pip install ")[1].partition("\n")[0].split()
BOTH = ("--legacy", "http://127.0.0.1:9001", "--extracted", "shop=http://127.0.0.1:9002")

FENCE = """
import sys

class Fence:
    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {outside} else self._finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self._finder, name)

sys.meta_path[:] = map(Fence, sys.meta_path)
"""


def modules_outside(packages: list[str]) -> set[str]:
    """What is installed here and belongs neither to these packages nor to what they need themselves."""
    inside, waiting = set[str](), [*packages]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in inside and (needs := _needs(name)) is not None:
            inside.add(name)
            waiting += [match[0] for each in needs if "extra ==" not in each and (match := re.match(r"[\w.-]+", each))]
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if inside.isdisjoint(re.sub(r"[-_.]+", "-", owner).lower() for owner in owners)
    }


def _needs(name: str) -> list[str] | None:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for another platform
        return None


@pytest.fixture
def alone(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder that holds nothing but a copy, and an environment in which nothing else can be imported."""
    outside = modules_outside(ROUTING)
    assert "pytest" in outside
    shutil.copytree(FOLDER, tmp_path / "here" / "edge", ignore=shutil.ignore_patterns("__pycache__", ".*", "tests"))
    (tmp_path / "fence").mkdir()
    (tmp_path / "fence" / "sitecustomize.py").write_text(FENCE.format(outside=outside), "utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    return tmp_path / "here", {**kept, "PYTHONPATH": str(tmp_path / "fence")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("check",), "routes.toml is right."),
        (("explain", "POST", "/api/quotes/7"), "everybody is answered by legacy"),
        (("init", "--file", "other.toml", *BOTH), "Wrote other.toml."),
        (("rollback", "quote"), "quote is in legacy already"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_runs_alone(words: tuple[str, ...], sentence: str, alone: tuple[Path, dict[str, str]]) -> None:
    folder, environment = alone
    route = '[[routes]]\nname = "quote"\npath = "/api/quotes/{id}"\nto = "shop"\nstage = "legacy"\n'
    ups = 'upstreams = { legacy = "http://127.0.0.1:9001", shop = "http://127.0.0.1:9002" }\n'
    routes_file(folder, ups + route)

    done = subprocess.run(
        [sys.executable, "-m", "edge", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert sentence in done.stdout


@pytest.mark.parametrize("package", ["typer", "httptools"])
def test_a_package_that_is_not_there_is_named_with_all_that_are_needed(
    package: str, alone: tuple[Path, dict[str, str]]
) -> None:
    folder, environment = alone
    (folder.parent / "fence" / "sitecustomize.py").write_text(FENCE.format(outside={package}), "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "edge", "check"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{package} is not installed: pip install {' '.join(ROUTING)}\n"


@pytest.mark.anyio
async def test_it_serves_alone(alone: tuple[Path, dict[str, str]]) -> None:
    folder, environment = alone
    async with upstream(always(OK)) as legacy:
        routes_file(folder, f'upstreams = {{ legacy = "{legacy.url}" }}\nserver = {{ answered_by = true }}\n')
        with _serving(folder, environment) as process:
            port = await anyio.to_thread.run_sync(_port_of, process)
            status, who = await anyio.to_thread.run_sync(_asked, port)

    assert (status, who) == (200, "legacy")
    assert process.returncode == 0


@contextlib.contextmanager
def _serving(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def _port_of(process: subprocess.Popen[str]) -> int:
    """Reads what the router says until it names its port."""
    said = ""
    while process.stderr and (line := process.stderr.readline()):
        said += line
        if found := re.search(r"Serving .* on http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise AssertionError(said)


def _asked(port: int) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/")
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.headers["X-Answered-By"]
