"""`check` and `diff`: hold whoever answers at an address to a promise, or two of them to each other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from contract_tests.contractkit import consumers
from contract_tests.contractkit.document import Promise
from contract_tests.contractkit.holding import Report, Terms, finished, hold, never_seen
from contract_tests.contractkit.messages import as_json
from contract_tests.contractkit.targets import Target, TargetError, named

from . import documents
from .ending import counted, end, problems_said, show, stop
from .run import Run, with_options


@with_options
def check(
    run: Run,
    target: Annotated[
        str,
        typer.Argument(help="http://…, or a file: the OpenAPI that a framework generates. Or NAME=either."),
    ],
) -> None:
    """Whether whoever answers there keeps the promise, and meets its consumers' needs; or whether a document does."""
    if document := documents.document_in(target):
        documents.held(run, *document)
    _held(run, [target])


@with_options
def diff(
    run: Run,
    targets: Annotated[list[str], typer.Argument(help="Two or more; the others are compared with the first.")],
    deviations: Annotated[Path | None, typer.Option(help="The accepted differences.", dir_okay=False)] = None,
) -> None:
    """Where the sides answer the same requests differently, and which of them breaks the promise."""
    if len(targets) < 2:
        stop("diff needs two addresses; to hold one to the promise: check")
    if any(map(documents.document_in, targets)):
        stop("diff puts requests to addresses; to hold a document to the promise: check")
    _held(run, targets, deviations)


def _held(run: Run, addresses: Sequence[str], deviations: Path | None = None) -> NoReturn:
    with problems_said():
        terms = run.terms(deviations)
        with ExitStack() as leaving:
            targets = [leaving.enter_context(each) for each in named(addresses, run.caller)]
            found = hold(terms, targets, run.requests(terms.promise))
        needs = [each for consumer in terms.consumers for each in consumers.unmet(consumer, terms.promise)]
        found.findings = [*needs, *found.findings]
        asked_for = _only(terms, run)
        _tried(finished(asked_for, found, datetime.now(UTC).date(), tried_all=False), targets)
        run.report.write_text(as_json(found.findings), "utf-8")
        show(found.findings, run.output)
        print(_summary(asked_for, found, targets), file=sys.stderr)
    end(found.findings)


def _tried(report: Report, targets: Sequence[Target]) -> None:
    """Whoever cannot be reached is named once, not once for each request."""
    for target in targets:
        if {status for _, name, status in report.exercised if name == target.name} == {0}:
            raise TargetError(f"nobody answers at {target.url}: not one request was answered")


def _only(terms: Terms, run: Run) -> Terms:
    """Only of what was asked for can be said that it was not answered."""
    promise = Promise(terms.promise.raw)
    promise.operations = run.asked_for(promise)
    return Terms(promise, terms.deviations, terms.consumers)


def _summary(terms: Terms, found: Report, targets: Sequence[Target]) -> str:
    names = ", ".join(each.name for each in targets)
    counts = [counted(len(each), name) for each, name in (
        (terms.promise.operations, "operation"), (found.findings, "finding")
    )]  # fmt: skip
    lines = [f"{counted(found.requests, 'request')} to {names}; {'; '.join(counts)}"]
    if unused := [each.id for each in terms.deviations if each.id not in found.used]:
        lines.append(f"Accepted, and shown by no answer: {', '.join(unused)}")
    if unseen := never_seen(terms, found):
        told = "; ".join(f"{name} {', '.join(statuses)}" for name, statuses in unseen.items())
        lines.append(f"Promised, and never answered: {told}")
    return "\n".join(lines)
