"""`callers`: plays the callers for a while and shows what they saw, by kind of request."""

import asyncio
from collections import Counter

from rich.console import Console
from rich.table import Table

from .callers import Thinking, crowd
from .claims import milliseconds
from .recording import Recording, figures
from .stack import ROOT, logins


async def people_at_work(
    url: str, readers: int, at_once: int, assistants: int, seconds: float, think_seconds: float, console: Console
) -> int:
    """The exit status: 1 if a request failed."""
    with console.status("Logging in …") as status:
        async with crowd(url, logins(ROOT), readers, assistants, Thinking(reader=think_seconds)) as people:
            status.update(f"At work for {seconds:g} s …")
            async with people.at_work(readers, at_once):
                await asyncio.sleep(seconds)
    console.print(by_kind(people.recording))
    problems = Counter(f"{seen.kind}: {seen.problem}" for seen in people.recording.seen if not seen.ok)
    for problem, count in problems.most_common(10):
        console.print(f"{count} × {problem}", style="red", markup=False)
    return 1 if problems else 0


def by_kind(recording: Recording) -> Table:
    table = Table()
    for heading in ("request", "count", "failed", "median", "p95", "first event", "answered by"):
        table.add_column(heading, justify="left" if heading in ("request", "answered by") else "right")
    for kind in sorted({seen.kind for seen in recording.seen}):
        seen = recording.of({kind})
        taken = figures(seen)
        first = figures(seen, lambda one: one.first_event_seconds)["p50"]
        sides = Counter(one.answered_by or "?" for one in seen)
        table.add_row(
            kind,
            str(taken["count"]),
            str(taken["failed"]),
            milliseconds(taken["p50"]),
            milliseconds(taken["p95"]),
            milliseconds(first),
            ", ".join(f"{side} {count}" for side, count in sides.most_common()),
        )
    return table
