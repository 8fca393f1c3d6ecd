"""How a command ends: with findings in some form, or with a sentence about what cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from contract_tests.contractkit.consumers import NeedsError
from contract_tests.contractkit.deviations import DeviationsError
from contract_tests.contractkit.document import PromiseError
from contract_tests.contractkit.examples import ExamplesError
from contract_tests.contractkit.learn import TrafficError
from contract_tests.contractkit.messages import FORMATS, Finding
from contract_tests.contractkit.targets import TargetError

FOUND, UNUSABLE = 1, 2
DEFAULT_REPORT = Path("contract-report.json")


def _known(output: str) -> str:
    if output not in FORMATS:
        raise typer.BadParameter(f"{output} is no format; there are {', '.join(FORMATS)}")
    return output


def _writable(file: Path) -> Path:
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"{file} cannot be written: name a file in a folder that is there")
    return file


Below = Annotated[str, typer.Option("--path", help="Only what begins with this, such as /api/.")]
# Both are looked at before a run that may take minutes, not after it.
Format = Annotated[str, typer.Option("--format", help="text, lines, json, junit or github.", callback=_known)]
ReportFile = Annotated[
    Path, typer.Option("--report", help="Where the findings go, for accept and report.", callback=_writable)
]


@contextmanager
def problems_said() -> Iterator[None]:
    """What cannot be used ends the command, in a sentence."""
    try:
        yield
    except (
        PromiseError, TargetError, TrafficError, NeedsError, DeviationsError, ExamplesError, ValueError,
    ) as problem:  # fmt: skip
        stop(problem)
    except OSError as problem:
        stop(f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror)


def stop(problem: object) -> NoReturn:
    print(problem, file=sys.stderr)
    raise typer.Exit(UNUSABLE) from None


def show(found: Sequence[Finding], output: str) -> None:
    if told := FORMATS[output](found):
        print(told, flush=True)  # before what is said to stderr


def end(found: Sequence[object]) -> NoReturn:
    raise typer.Exit(FOUND if found else 0)


def counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
