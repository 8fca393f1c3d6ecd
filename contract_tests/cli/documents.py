"""`check` of a document: what a framework says of somebody's endpoints, held against the promise by proof."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from contract_tests.contractkit import compatible, consumers
from contract_tests.contractkit.compatible import findings, undescribed
from contract_tests.contractkit.document import JSON, Answer, Promise, load
from contract_tests.contractkit.holding import Terms
from contract_tests.contractkit.messages import Finding, as_json

from .ending import counted, end, problems_said, show
from .run import Run

SUFFIXES = (".json", ".yaml", ".yml")


def document_in(target: str) -> tuple[str, Path] | None:
    """The name and the file, if it is no address: `openapi.json` or `NAME=openapi.json`."""
    name, equals, file = target.partition("=")
    path = Path(file if equals else target)
    is_document = "://" not in target and (path.suffix in SUFFIXES or path.is_file())
    return (name if equals else "", path) if is_document else None


def held(run: Run, name: str, file: Path) -> NoReturn:
    """Called `extracted`, it must describe what has moved, and by any other name everything that is promised."""
    with problems_said():
        terms, described = run.terms(), load(file)
        promise = Promise(terms.promise.raw)
        side = "extracted" if name == "extracted" else "legacy"
        promise.operations = tuple(
            each for each in promise.operations if side in each.sides and each.path.startswith(run.path)
        )
        told = findings(promise, described, side)
        needs = [each for consumer in terms.consumers for each in consumers.unmet(consumer, terms.promise)]
        found = [*needs, *(_message(terms, each) for each in told), *_lacking(promise)]
        run.report.write_text(as_json(found), "utf-8")
        show(found, run.output)
        for line in _summary(terms, promise, described, file, len(found)):
            print(line, file=sys.stderr)
    end(found)


def _lacking(promise: Promise) -> Iterator[Finding]:
    if not promise.operations:
        yield Finding("coverage", "every operation", "run", "not one was compared, so nothing was shown")


def _message(terms: Terms, told: compatible.Finding) -> Finding:
    says = f"{told.says} ({told.doubt})" if told.doubt else told.says
    values = {"for example": told.example} if told.example else {}
    return Finding("document", told.operation, told.place, says, values, notices=tuple(_noticing(terms, told)))


def _noticing(terms: Terms, told: compatible.Finding) -> Iterator[str]:
    """Who is hurt: by a status that may come, or by the value that shows what may."""
    operation = next(each for each in terms.promise.operations if each.name == told.operation)
    words = told.place.split()
    if words[0] != "answer" or not words[1].isdecimal():
        return
    status = int(words[1])
    if "body" not in words:
        yield from consumers.noticing(terms.consumers, operation, status, "status")
        return
    if told.proof is None or not told.proof.has_witness:
        return
    answer = Answer(status, [("Content-Type", JSON)], json.dumps(told.proof.witness).encode())
    for consumer in terms.consumers:
        if any(True for _ in consumers.hurt_by(consumer, operation, answer, terms.promise)):
            yield f"{consumer.name} (cannot take the example)"


def _summary(terms: Terms, promise: Promise, described: Promise, file: Path, number: int) -> Iterator[str]:
    yield f"{counted(len(promise.operations), 'promised operation')} held against {file}; {counted(number, 'finding')}"
    if more := undescribed(terms.promise, described):
        yield f"Described, and promised by nobody: {', '.join(more)}"
