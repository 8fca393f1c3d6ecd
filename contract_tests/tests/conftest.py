"""One stack for all contract tests, on free ports, with its own data; on PostgreSQL with CONTRACT_DB=postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract_tests.stack import Stack, on_postgresql, running_stack, stack_on_postgresql


@pytest.fixture(scope="session")
def stack_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if on_postgresql():
        with stack_on_postgresql() as stack:
            yield stack
        return
    data: Path = tmp_path_factory.mktemp("stack")
    with running_stack(data) as stack:
        yield stack


@pytest.fixture(scope="session")
def stack(stack_of_all: Stack) -> Stack:
    return stack_of_all
