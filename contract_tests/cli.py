"""The command line: hold whoever answers at an address to a promise, or two of them to each other."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml

from contract_tests.contractkit import consumers, deviations, examples
from contract_tests.contractkit.corpus import corpus
from contract_tests.contractkit.document import Operation, Promise, PromiseError, load
from contract_tests.contractkit.drawing import drawn
from contract_tests.contractkit.holding import Report, Terms, finished, hold, never_seen
from contract_tests.contractkit.learn import Recorded, TrafficError, propose, read_har
from contract_tests.contractkit.messages import FORMATS, Finding, as_json, from_json
from contract_tests.contractkit.recording import recorder
from contract_tests.contractkit.targets import Request, Target, TargetError, named
from contract_tests.contractkit.traffic import broken_in, unmet_in

FOUND, UNUSABLE = 1, 2
SAFE = ("GET", "HEAD", "OPTIONS")
PROBLEMS = (
    PromiseError, TargetError, TrafficError, ValueError, OSError,
    consumers.NeedsError, deviations.DeviationsError, examples.ExamplesError,
)  # fmt: skip

Contract = Annotated[Path, typer.Option(help="The promise: OpenAPI 3.1, YAML or JSON.", dir_okay=False)]
Header = Annotated[
    list[str] | None, typer.Option(help="Sent with every request: who calls. 'Name: value'; may be repeated.")
]
Value = Annotated[
    list[str] | None, typer.Option(help="A value that exists, for a parameter in paths or in examples: id=7.")
]
Each = Annotated[int, typer.Option(min=1, max=10_000, help="Requests drawn of each operation, good ones and bad ones.")]
Seed = Annotated[int | None, typer.Option(help="Draw other requests; the same seed draws the same ones.")]
Below = Annotated[str, typer.Option("--path", help="Only what begins with this, such as /api/.")]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Send what changes something, too: not to production.")]
Examples = Annotated[Path | None, typer.Option("--examples", help="A file of examples, sent as well.", dir_okay=False)]
Deviations = Annotated[Path | None, typer.Option("--deviations", help="The accepted differences.", dir_okay=False)]
Consumers = Annotated[Path | None, typer.Option("--consumers", help="A folder of NAME/needs.yaml.", file_okay=False)]
Format = Annotated[str, typer.Option("--format", help="text, lines, json, junit or github.")]
ReportFile = Annotated[Path, typer.Option("--report", help="Where the findings go, for accept and report.")]
DEFAULT_REPORT = Path("contract-report.json")

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="http://… or NAME=http://…")],
    contract: Contract,
    header: Header = None,
    value: Value = None,
    each: Each = 25,
    seed: Seed = None,
    path: Below = "/",
    unsafe: Unsafe = False,
    examples_file: Examples = None,
    consumers_folder: Consumers = None,
    output: Format = "text",
    report: ReportFile = DEFAULT_REPORT,
) -> None:
    """Whether whoever answers there keeps the promise, and meets its consumers' needs."""
    run = _Run(contract, value, each, seed, path, unsafe, examples_file)
    run.consumers_folder = consumers_folder
    _held(run, [target], header, output, report)


@app.command()
def diff(
    targets: Annotated[list[str], typer.Argument(help="Two or more; the others are compared with the first.")],
    contract: Contract,
    header: Header = None,
    value: Value = None,
    each: Each = 25,
    seed: Seed = None,
    path: Below = "/",
    unsafe: Unsafe = False,
    examples_file: Examples = None,
    deviations_file: Deviations = None,
    consumers_folder: Consumers = None,
    output: Format = "text",
    report: ReportFile = DEFAULT_REPORT,
) -> None:
    """Where the sides answer the same requests differently, and which of them breaks the promise."""
    if len(targets) < 2:
        _stop("diff needs two addresses; to hold one to the promise: check")
    run = _Run(contract, value, each, seed, path, unsafe, examples_file)
    run.deviations_file, run.consumers_folder = deviations_file, consumers_folder
    _held(run, targets, header, output, report)


@app.command()
def learn(
    har: Annotated[Path, typer.Argument(help="An HTTP Archive: from a browser, a proxy, or `record`.")],
    out: Annotated[Path | None, typer.Option(help="Where the proposal goes; else it is printed.")] = None,
    title: Annotated[str, typer.Option(help="Of the document.")] = "Learned",
    path: Below = "/",
    against: Annotated[Path | None, typer.Option(help="A promise: say in what the traffic breaks it.")] = None,
) -> None:
    """Propose a promise from recorded traffic, without a value of anybody's in it."""
    try:
        recorded = [each for each in read_har(har.read_text("utf-8")) if each.path.startswith(path)]
        proposed = propose(recorded, title)
        told = yaml.safe_dump(proposed, sort_keys=False, allow_unicode=True, width=120)
        if out is None:
            print(told, end="")
        else:
            out.write_text(told, "utf-8")
            print(f"{len(proposed['paths'])} paths from {len(recorded)} requests, in {out}. Review it.", flush=True)
        promise = load(against) if against else None
        wrong = broken_in(recorded, promise, proposed) if promise else []
        if promise:
            _show(wrong, "lines")
            print(_unmet(recorded, promise), file=sys.stderr)
    except PROBLEMS as problem:
        _stop(problem)
    raise typer.Exit(FOUND if wrong else 0)


@app.command()
def record(
    to: Annotated[str, typer.Option(help="Who answers.")],
    har: Annotated[Path, typer.Option(help="Where the traffic is written, at the end.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to call instead; 0: a free one.")] = 0,
    path: Below = "/",
) -> None:
    """Pass traffic on and write it down, until Ctrl-C or SIGTERM. Bodies are kept, values of headers mostly not."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with recorder(to, har, port, path) as (url, count):
            print(f"Call {url} instead of {to}. Ctrl-C ends it, and writes {har}.", flush=True)
            stopped.wait()
    except PROBLEMS as problem:
        _stop(problem)
    print(f"{count()} exchanges in {har}.")


@app.command()
def accept(
    case: Annotated[str, typer.Argument(help="The number in brackets behind a finding.")],
    reason: Annotated[str, typer.Option(help="Why this is no fault.")],
    owner: Annotated[str, typer.Option(help="Who decided, and will decide again.")],
    consumers_asked: Annotated[str, typer.Option("--consumers", help="Who was asked whether they mind, with commas.")],
    expires: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Its last day, at most 180 days from now.")],
    file: Annotated[Path, typer.Option("--deviations", help="The file that it is added to.")],
    report: ReportFile = DEFAULT_REPORT,
) -> None:
    """Accept a difference that the last run found, until a day."""
    before = file.read_text("utf-8") if file.exists() else ""
    try:
        found = next((each for each in from_json(report.read_text("utf-8")) if each.case == case), None)
        if found is None or found.kind != "parity":
            _stop(f"{report} has no difference {case}; only differences between sides can be accepted")
        entry = _entry(found, reason, owner, [each.strip() for each in consumers_asked.split(",")], expires.date())
        file.write_text(before + yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=120), "utf-8")
        deviations.load(file)
    except PROBLEMS as problem:
        file.write_text(before, "utf-8")
        _stop(problem)
    print(f"Accepted until {expires.date()}: {found.title}")


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="What check or diff wrote.")] = DEFAULT_REPORT,
    output: Format = "text",
) -> None:
    """Show the findings of the last run again, in another form; status 1 if there are any."""
    try:
        found = from_json(file.read_text("utf-8"))
        _show(found, output)
    except PROBLEMS as problem:
        _stop(problem)
    raise typer.Exit(FOUND if found else 0)


class _Run:
    """What a run sends, and what it holds the answers against."""

    def __init__(
        self, contract: Path, values: Sequence[str] | None, each: int, seed: int | None, path: str, unsafe: bool,
        examples_file: Path | None,
    ) -> None:  # fmt: skip
        self.contract, self.each, self.seed, self.path, self.unsafe = contract, each, seed, path, unsafe
        self.values = _values(values or ())
        self.examples_file = examples_file
        self.deviations_file: Path | None = None
        self.consumers_folder: Path | None = None

    def terms(self) -> Terms:
        return Terms(
            load(self.contract),
            deviations.load(self.deviations_file) if self.deviations_file else (),
            consumers.load_all(self.consumers_folder) if self.consumers_folder else (),
        )

    def requests(self, promise: Promise) -> Iterator[Request]:
        """Examples, then for each operation those that are drawn, then what HTTP allows."""
        known = examples.load(self.examples_file) if self.examples_file else ()
        names = {name: those[0] for name, those in self.values.items()}
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
        found = dict(self.values)
        for parameter in operation.parameters:
            schema = parameter.get("schema", {})
            told = [parameter.get("example"), *schema.get("examples", ()), schema.get("example")]
            if values := [each for each in told if each is not None]:
                found.setdefault(parameter["name"], values)
        return found


def _held(
    run: _Run, addresses: Sequence[str], headers: Sequence[str] | None, output: str, report_file: Path
) -> NoReturn:
    try:
        terms = run.terms()
        with ExitStack() as leaving:
            targets = [leaving.enter_context(each) for each in named(addresses, _caller(headers or ()))]
            found = hold(terms, targets, run.requests(terms.promise))
        needs = [each for consumer in terms.consumers for each in consumers.unmet(consumer, terms.promise)]
        found.findings = [*needs, *found.findings]
        _tried(finished(_only(terms, run), found, datetime.now(UTC).date(), tried_all=False))
        report_file.write_text(as_json(found.findings), "utf-8")
        _show(found.findings, output)
        print(_summary(_only(terms, run), found, targets), file=sys.stderr)
    except PROBLEMS as problem:
        _stop(problem)
    raise typer.Exit(FOUND if found.findings else 0)


def _tried(report: Report) -> None:
    """Nobody can be reached: said once, not once for each request."""
    if report.requests and {status for _, _, status in report.exercised} == {0}:
        raise TargetError("nobody answers there: not one request was answered")


def _only(terms: Terms, run: _Run) -> Terms:
    """Only of what was asked for can be said that it was not answered."""
    promise = Promise(terms.promise.raw)
    promise.operations = run.asked_for(promise)
    return Terms(promise, terms.deviations, terms.consumers)


def _summary(terms: Terms, found: Report, targets: Sequence[Target]) -> str:
    names = ", ".join(each.name for each in targets)
    counts = [_counted(len(each), name) for each, name in (
        (terms.promise.operations, "operation"), (found.findings, "finding")
    )]  # fmt: skip
    lines = [f"{_counted(found.requests, 'request')} to {names}; {'; '.join(counts)}"]
    if unused := [each.id for each in terms.deviations if each.id not in found.used]:
        lines.append(f"Accepted, and shown by no answer: {', '.join(unused)}")
    if unseen := never_seen(terms, found):
        told = "; ".join(f"{name} {', '.join(statuses)}" for name, statuses in unseen.items())
        lines.append(f"Promised, and never answered: {told}")
    return "\n".join(lines)


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _unmet(recorded: Sequence[Recorded], promise: Promise) -> str:
    uncalled, unseen = unmet_in(recorded, promise)
    lines = [f"Promised, and not called: {', '.join(uncalled)}"] if uncalled else []
    if unseen:
        told = "; ".join(f"{name} {', '.join(statuses)}" for name, statuses in unseen.items())
        lines.append(f"Promised, and not answered: {told}")
    return "\n".join(lines)


def _show(found: Sequence[Finding], output: str) -> None:
    if output not in FORMATS:
        raise ValueError(f"{output} is no format; there are {', '.join(FORMATS)}")
    if told := FORMATS[output](found):
        print(told, flush=True)  # before what is said to stderr


def _values(texts: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            _stop(f"{text} is no value: write NAME=VALUE")
        found.setdefault(name, []).append(int(value) if value.isdecimal() else value)
    return found


def _caller(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition(":") for text in texts]
    if wrong := next((pair[0] for pair in pairs if not pair[1]), None):
        raise ValueError(f"{wrong} is no header: write 'Name: value'")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _entry(found: Finding, reason: str, owner: str, asked: Sequence[str], expires: date) -> dict[str, Any]:
    is_status = found.place == "status"
    return {
        "id": found.case,
        "title": found.says,
        "operations": [found.operation],
        "at": "answer" if is_status else found.place,
        "answers": {name: value.split(" ")[0] if is_status else value for name, value in found.values.items()},
        "reason": reason,
        "owner": owner,
        "consumers": list(asked),
        "decided": datetime.now(UTC).date(),
        "expires": expires,
    }


def _stop(problem: object) -> NoReturn:
    print(problem, file=sys.stderr)
    raise typer.Exit(UNUSABLE) from None


def main() -> None:
    app()
