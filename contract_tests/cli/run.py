"""What `check` and `diff` send, and what they hold the answers against: the options that both have."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from contract_tests.contractkit import consumers, deviations, examples
from contract_tests.contractkit.corpus import corpus
from contract_tests.contractkit.document import Operation, Promise, load
from contract_tests.contractkit.drawing import drawn
from contract_tests.contractkit.holding import Terms
from contract_tests.contractkit.targets import Request

from .ending import DEFAULT_REPORT, Below, Format, ReportFile

SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Run:
    """One run; each field is an option."""

    contract: Annotated[Path, typer.Option(help="The promise: OpenAPI 3.1 or 3.0, YAML or JSON.", dir_okay=False)]
    header: Annotated[
        list[str] | None, typer.Option(help="Sent with every request: who calls. 'Name: value'; may be repeated.")
    ] = None
    value: Annotated[
        list[str] | None, typer.Option(help="A value that exists, for a parameter in paths or in examples: id=7.")
    ] = None
    each: Annotated[
        int, typer.Option(min=1, max=10_000, help="Requests drawn of each operation, good ones and bad ones.")
    ] = 25
    seed: Annotated[int | None, typer.Option(help="Draw other requests; the same seed draws the same ones.")] = None
    path: Below = "/"
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Send what changes something, too: not to production.")] = (
        False
    )
    examples: Annotated[Path | None, typer.Option(help="A file of examples, sent as well.", dir_okay=False)] = None
    consumers: Annotated[
        Path | None, typer.Option(help="A folder of NAME/needs.yaml.", exists=True, file_okay=False)
    ] = None
    output: Format = "text"
    report: ReportFile = DEFAULT_REPORT

    def terms(self, deviations_file: Path | None = None) -> Terms:
        return Terms(
            load(self.contract),
            _accepted(deviations_file) if deviations_file else (),
            consumers.load_all(self.consumers) if self.consumers else (),
        )

    def requests(self, promise: Promise) -> Iterator[Request]:
        """Examples, then for each operation those that are drawn, then what HTTP allows."""
        known = examples.load(self.examples) if self.examples else ()
        names = {name: those[0] for name, those in self._values.items()}
        for operation in self.asked_for(promise):
            own = [each.request(names) for each in known if each.operation == operation.name]
            found = list(drawn(promise, [operation], self.each, self._known(operation), self.seed))
            good = (own or found)[0]
            yield from own
            yield from found
            body = json.loads(good.body) if good.body else None
            cases = (request for _, request in corpus(operation, good.target, body))
            yield from (each for each in cases if self.unsafe or each.method in SAFE)

    def asked_for(self, promise: Promise) -> tuple[Operation, ...]:
        return tuple(
            each
            for each in promise.operations
            if each.path.startswith(self.path) and (self.unsafe or each.method in SAFE)
        )

    def _known(self, operation: Operation) -> Mapping[str, Sequence[Any]]:
        """Values of its parameters: those that were given, or else the document's examples."""
        found = dict(self._values)
        for parameter in operation.parameters:
            schema = parameter.get("schema", {})
            told = [parameter.get("example"), *schema.get("examples", ()), schema.get("example")]
            if values := [each for each in told if each is not None]:
                found.setdefault(parameter["name"], values)
        return found

    @cached_property
    def _values(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for text in self.value or ():
            name, equals, value = text.partition("=")
            if not equals:
                raise ValueError(f"{text} is no value: write NAME=VALUE")
            found.setdefault(name, []).append(int(value) if value.isdecimal() else value)
        return found

    @property
    def caller(self) -> dict[str, str]:
        """The headers of every request."""
        pairs = [text.partition(":") for text in self.header or ()]
        if wrong := next((pair[0] for pair in pairs if not pair[1]), None):
            raise ValueError(f"{wrong} is no header: write 'Name: value'")
        return {name.strip(): value.strip() for name, _, value in pairs}


def _accepted(file: Path) -> tuple[deviations.Deviation, ...]:
    """The file is made by the first `accept`; until then nothing is accepted, which hides nothing."""
    if not file.exists():
        print(f"{file} is not there yet: nothing is accepted.", file=sys.stderr)
        return ()
    return deviations.load(file)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is a run, as Typer wants it: each option is a parameter of its own."""
    options = signature(Run, eval_str=True).parameters
    _, *own = signature(command, eval_str=True).parameters.values()

    @wraps(command)
    def called(**given: Any) -> None:
        run = Run(**{name: given.pop(name) for name in options})
        command(run, **given)

    together = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*own, *options.values())]
    called.__signature__ = Signature(together)  # type: ignore[attr-defined]
    return called
