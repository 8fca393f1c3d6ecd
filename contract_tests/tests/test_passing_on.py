"""The router passes on what it gets, byte for byte, and keeps to itself what is of one connection only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract_tests.contractkit.passing_on import CHECKS, Origin, origin, unfaithful
from contract_tests.sides import running_router


@pytest.fixture(scope="module")
def behind() -> Iterator[Origin]:
    with origin() as found:
        yield found


@pytest.fixture(scope="module")
def router(behind: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file: Path = tmp_path_factory.mktemp("router") / "routes.toml"
    file.write_text(f'upstreams = {{ legacy = "{behind.url}" }}\n', "utf-8")
    with running_router(file) as url:
        yield url


def test_the_router_passes_on_faithfully(router: str, behind: Origin) -> None:
    assert [each.title for each in unfaithful(router, behind)] == []
    assert len(CHECKS) == 11
