"""The router, as `serve` runs it, put to every case."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from .__main__ import main
from .case import Case, run
from .cases import GROUPS
from .origin import Origin, origin
from .targets import ROUTERS, Target, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

DEEP_ENV = "CONFORMANCE_DEEP"
"""Set in the environment: the cases that take minutes are run too."""
STREAMS, SPOOLS = ROUTERS
ABOUT_BODIES = ("Bodies", "Transfer codings", "Lengths", "Chunks")
"""The groups that a spooling upstream could change something about."""

NOT_YET = {
    "trailers of an answer pass": "RFC 9110 §6.5.1 lets a proxy drop them; said in the README",
}
"""Cases that the router fails, and why; one that it does not fail any more fails here."""


@dataclass(frozen=True)
class Stage:
    origin: Origin
    port: int
    pids: Callable[[], list[int]]


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One event loop for all cases: the origin lives in it."""
    return "asyncio", {"use_uvloop": True}


@contextlib.asynccontextmanager
async def _staged(target: Target, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The origin, and a router process in front of it."""
    folder: Path = tmp_path_factory.mktemp("conformance")
    async with origin() as behind, serving(target, folder, behind.port) as (port, pids):
        yield Stage(behind, port, pids)


@pytest.fixture(scope="module")
async def streaming(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with _staged(STREAMS, tmp_path_factory) as stage:
        yield stage


@pytest.fixture(scope="module")
async def spooling(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with _staged(SPOOLS, tmp_path_factory) as stage:
        yield stage


def _cases(groups: Iterable[str]) -> list[object]:
    is_deep = DEEP_ENV in os.environ
    found: list[object] = []
    for group in groups:
        for case in GROUPS[group]:
            if case.is_deep and not is_deep:
                continue
            reason = NOT_YET.get(case.name)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            found.append(pytest.param(case, id=f"{group}: {case.name}", marks=marks))
    return found


@pytest.mark.parametrize("case", _cases(GROUPS))
async def test_the_router_passes_every_case(streaming: Stage, case: Case) -> None:
    complaint = await run(case, streaming.origin, streaming.port, streaming.pids)

    assert not complaint


@pytest.mark.parametrize("case", _cases(ABOUT_BODIES))
async def test_a_router_that_spools_passes_what_is_about_bodies(spooling: Stage, case: Case) -> None:
    complaint = await run(case, spooling.origin, spooling.port, spooling.pids)

    assert not complaint


def test_no_two_cases_have_the_same_name() -> None:
    counts = Counter(case.name for cases in GROUPS.values() for case in cases)

    assert [name for name, count in counts.items() if count > 1] == []
    assert counts.keys() >= NOT_YET.keys()


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--only", "squid"], "squid is not here; here are: router"), (["smtp"], "no case is called anything with smtp")],
)
def test_whom_and_what_there_is_not_is_said(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["conformance", *words])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert says in capsys.readouterr().err
