"""One stack for all contract tests, on free ports, with its own data; on PostgreSQL with CONTRACT_DB=postgres."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract_tests.contractkit.holding import Terms
from contract_tests.sides import Sides, sides_of
from contract_tests.stack import FILLED, Stack, on_postgresql, running_stack, stack_on_postgresql
from contract_tests.terms import helpdesk

DRAWN, DRAWN_DEEP = 15, 100
"""Requests of each operation, so many good and so many bad ones."""
STACK_SECONDS = 400


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", action="append", default=[], metavar="NAME=URL", help="a side that runs already")
    parser.addoption("--deep", action="store_true", help="draw thousands of requests, other ones each time")
    parser.addoption("--seed", type=int, default=None, help="draw those of an earlier --deep again")


def pytest_configure(config: pytest.Config) -> None:
    """One filled database for the stacks of a run, whichever process starts them; everybody may enter its folder."""
    if FILLED in os.environ:  # of the process that started this one
        return
    folder = tempfile.mkdtemp(prefix="filled")
    Path(folder).chmod(0o755)
    os.environ[FILLED] = folder
    config.add_cleanup(lambda: _forget(folder))


def _forget(folder: str) -> None:
    del os.environ[FILLED]
    shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever comes first waits for the stack, on a machine that may be busy."""
    for item in items:
        needed = set(getattr(item, "fixturenames", ()))
        if {"stack_of_all", "sides_of_all"} & needed and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(STACK_SECONDS))


@pytest.fixture(scope="session")
def stack_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if on_postgresql():
        with stack_on_postgresql() as stack:
            yield stack
        return
    data: Path = tmp_path_factory.mktemp("stack")
    with running_stack(data) as stack:
        yield stack


@pytest.fixture(scope="module")
def stack(stack_of_all: Stack) -> Stack:
    return begun_again(stack_of_all)


def begun_again(stack: Stack) -> Stack:
    """As each file finds it, whatever the one before has left: a quick provider without a fault, nobody moved."""
    stack.forget_faults()
    stack.pace(latency_seconds=0.005, tokens_per_second=5000)
    stack.move("legacy")
    return stack


@pytest.fixture(scope="session")
def terms() -> Terms:
    return helpdesk()


@pytest.fixture(scope="module")
def sides(sides_of_all: Sides) -> Sides:
    """Every side at once."""
    if sides_of_all.stack:
        begun_again(sides_of_all.stack)
    return sides_of_all


@pytest.fixture(scope="session")
def sides_of_all(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """The stack is not started if its sides were all given with --target."""
    given = dict(each.split("=", 1) for each in request.config.getoption("--target"))
    if "legacy" in given:
        with sides_of(None, tmp_path_factory.mktemp("sides"), given) as sides:
            yield sides
        return
    stack: Stack = request.getfixturevalue("stack_of_all")
    with sides_of(stack, tmp_path_factory.mktemp("sides"), given) as sides:
        yield sides


@pytest.fixture(scope="session")
def drawing(request: pytest.FixtureRequest) -> tuple[int, int | None]:
    """How many requests are drawn of each operation, and from which seed; None: the same ones as ever."""
    seed = request.config.getoption("--seed")
    if not (request.config.getoption("--deep") or seed is not None):
        return DRAWN, None
    return DRAWN_DEEP, secrets.randbits(32) if seed is None else seed
