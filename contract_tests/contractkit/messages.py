"""What is said about a finding: one form, as text, JSON, JUnit or annotations of a pipeline."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True)
class Finding:
    """One way in which somebody does not do what was promised, or not what the other side does."""

    kind: str
    """`promise`, `parity`, `document`, `consumer`, `deviation`, `passing on`, `coverage`."""
    operation: str
    place: str
    """`status`, `header location`, `body /usage/prompt_tokens`, `event 2 done /model`."""
    says: str
    """A sentence."""
    values: dict[str, str] = field(default_factory=dict)
    """What each target answered there; for a target alone, what it is."""
    promised: str = ""
    """The contract's word on it."""
    notices: tuple[str, ...] = ()
    """The consumers that are hurt."""
    curl: str = ""
    pytest: str = ""
    times: int = 1
    """So many requests show it; the line repeats the shortest of them."""

    @property
    def case(self) -> str:
        """Names it, run after run: values do not count, but those of a status, and neither do indices."""
        is_status = self.place == "status"
        values = [f"{name} {value[:3]}" for name, value in self.values.items()] if is_status else self.values
        told = "\n".join((self.kind, self.operation, re.sub(r"(?<=[/ ])\d+", "*", self.place), *values))
        return hashlib.sha256(told.encode()).hexdigest()[:8]

    @property
    def title(self) -> str:
        return f"{self.operation}: {self.place}: {self.says}"


def ways_out(finding: Finding) -> tuple[str, ...]:
    """What may be done about it; a fourth way there is not."""
    match finding.kind:
        case "parity":
            who = list(finding.values)[-1] if finding.values else "one side"
            asked = "--reason … --owner … --consumers … --expires … --deviations …"
            accept = f"python -m contract_tests accept {finding.case} {asked}"
            return f"make {who} answer alike", "change openapi.yaml, if neither is right", f"accept it: {accept}"
        case "promise" | "document":
            return "make it keep its promise", "change openapi.yaml, once every consumer is asked"
        case "consumer":
            return "promise what the consumer needs", "have the consumer need less, in its needs.yaml"
        case "deviation":
            return "remove the entry from deviations.yaml", "or have its owner decide anew"
        case "coverage":
            return ("give it an example",)
        case _:
            return ("repair whoever passes it on",)


def text(findings: Sequence[Finding]) -> str:
    return "\n\n".join(map(_paragraph, findings))


def lines(findings: Sequence[Finding]) -> str:
    """A line for each: what it is, where, and the number that accepts it."""
    return "\n".join(f"{each.case}  {each.kind}  {_printable(each.title)}" for each in findings)


def _paragraph(finding: Finding) -> str:
    times = f"   ({finding.times} requests)" if finding.times > 1 else ""
    lines = [f"{finding.kind.upper()}  {finding.operation}: {finding.place}{times}   [{finding.case}]"]
    lines += [f"  {finding.says}"]
    width = max((len(name) for name in (*finding.values, "contract")), default=0)
    lines += [f"    {name:<{width}}  {value or 'nothing'}" for name, value in finding.values.items()]
    if finding.promised:
        lines += [f"    {'contract':<{width}}  {finding.promised}"]
    if finding.notices:
        lines += [f"  who notices  {'; '.join(finding.notices)}"]
    lines += [f"  repeat it    {line}" for line in (finding.curl, finding.pytest) if line]
    first, *rest = ways_out(finding)
    lines += [f"  choose one   {first}", *(f"               {way}" for way in rest)]
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    told = [{**asdict(each), "case": each.case, "ways_out": ways_out(each)} for each in findings]
    return json.dumps({"findings": told}, indent=2, ensure_ascii=False)


def from_json(document: str) -> list[Finding]:
    """Raises ValueError if it is no such report."""
    try:
        return [
            Finding(**{**each, "notices": tuple(each["notices"])})
            for each in ({k: v for k, v in told.items() if k in _FIELDS} for told in json.loads(document)["findings"])
        ]
    except (KeyError, TypeError, ValueError):
        raise ValueError("this is no report: check and diff write one") from None


_FIELDS = frozenset(Finding.__dataclass_fields__)


def junit(findings: Sequence[Finding]) -> str:
    """A test case for each finding, all failed; one that passed if there is none."""
    cases = [
        f"  <testcase classname={quoteattr(each.kind)} name={quoteattr(f'{each.operation} {each.place}')}>\n"
        f"    <failure message={quoteattr(_printable(each.title))}>{escape(_printable(_paragraph(each)))}</failure>\n"
        "  </testcase>"
        for each in findings
    ] or ['  <testcase classname="contract" name="every promise is kept"/>']
    head = f'<testsuite name="contract" tests="{len(cases)}" failures="{len(findings)}">'
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *cases, "</testsuite>"])


def _printable(told: str) -> str:
    """XML has no way to write most control characters."""
    return "".join(char if char >= " " or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in told)


def workflow_commands(findings: Sequence[Finding]) -> str:
    """Workflow commands, as GitHub shows them beside a change; %, CR and LF are encoded as it wants them."""
    return "\n".join(
        f"::error title={_encoded(f'{each.kind}: {each.operation}').replace(':', '%3A').replace(',', '%2C')}"
        f"::{_encoded(_paragraph(each))}"
        for each in findings
    )


def _encoded(told: str) -> str:
    return told.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "text": text,
    "lines": lines,
    "json": as_json,
    "junit": junit,
    "github": workflow_commands,
}


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """One for each case, with the shortest request that shows it."""
    found: dict[str, Finding] = {}
    for each in findings:
        other = found.get(each.case)
        if other is None:
            found[each.case] = each
            continue
        shorter = each if len(each.curl) < len(other.curl) else other
        found[each.case] = replace(shorter, times=other.times + each.times)
    return list(found.values())
