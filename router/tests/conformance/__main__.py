"""Prints what every installed target does in every case: `python -m <package>.tests.conformance [--deep] [WORD…]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from .case import Case, run
from .cases import GROUPS
from .origin import origin
from .targets import PEERS, ROUTERS, Target, serving

Found = dict[tuple[str, str], str]
"""The complaint of a target about a case; empty if it passes."""
BY_DESIGN = {
    ("spooling", "a chunked body goes piece by piece"),
    ("spooling", "an answer reaches a caller who has not begun their chunks"),
    ("spooling", "the origin may have the first word"),
}
"""What a target is there to do differently: a spooling upstream wants to know how long a body is."""


def main() -> int:
    ask = argparse.ArgumentParser(prog="conformance", description=__doc__)
    ask.add_argument("words", nargs="*", help="only the cases whose name holds one of these words")
    ask.add_argument("--deep", action="store_true", help="the slow cases too")
    ask.add_argument("--only", action="append", help="this target (may be said again)")
    ask.add_argument("--why", action="store_true", help="say what was seen where a case fails")
    said = ask.parse_args()
    here = [each for each in (*ROUTERS, *PEERS) if each.path]
    if unknown := set(said.only or ()) - {each.name for each in here}:
        ask.error(f"{', '.join(sorted(unknown))} is not here; here are: {', '.join(each.name for each in here)}")
    targets = [each for each in here if not said.only or each.name in said.only]
    cases = {
        group: [
            case
            for case in of_group
            if (said.deep or not case.is_deep) and (not said.words or any(word in case.name for word in said.words))
        ]
        for group, of_group in GROUPS.items()
    }
    if not any(cases.values()):
        ask.error(f"no case is called anything with {' or '.join(said.words)}")
    found: Found = {}
    for target in targets:
        asyncio.run(_put(target, [case for of_group in cases.values() for case in of_group], found))
    print("\n".join(_matrix(cases, targets, found)))
    alone = _alone(targets, found)
    peers = ", ".join(each.name for each in targets if each in PEERS) or "nobody else"
    print(f"failed by the router and passed by {peers}: {', '.join(alone) or 'none'}")
    if said.why:
        print(*(f"{target}: {name}: {why}" for (target, name), why in found.items() if why), sep="\n")
    absent = [each.name for each in PEERS if not each.path]
    if absent:
        print(f"not installed: {', '.join(absent)}")
    return 1 if alone else 0


async def _put(target: Target, cases: list[Case], found: Found) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with origin() as behind, serving(target, Path(folder), behind.port) as (port, pids):
            for case in cases:
                if not case.is_waiting:
                    found[target.name, case.name] = await run(case, behind, port, pids)
                    print(".", end="", file=sys.stderr, flush=True)
            waiting = [case for case in cases if case.is_waiting]
            complaints = await asyncio.gather(*(run(case, behind, port, pids) for case in waiting))
            found.update({(target.name, case.name): why for case, why in zip(waiting, complaints, strict=True)})
        print(f" {target.name}", file=sys.stderr)


def _matrix(cases: dict[str, list[Case]], targets: list[Target], found: Found) -> list[str]:
    lines = ["| case | " + " | ".join(each.name for each in targets) + " |", "| --- " * (len(targets) + 1) + "|"]
    for group, of_group in cases.items():
        lines += [f"| **{group}** |" + " |" * len(targets)] if of_group else []
        for case in of_group:
            marks = ["**no**" if found[each.name, case.name] else "yes" for each in targets]
            lines.append(f"| {case.name} | " + " | ".join(marks) + " |")
    total = [sum(not why for (target, _), why in found.items() if target == each.name) for each in targets]
    count = sum(len(of_group) for of_group in cases.values())
    lines.append("| passed | " + " | ".join(f"{each} of {count}" for each in total) + " |")
    return lines


def _alone(targets: list[Target], found: Found) -> list[str]:
    """What counts: the cases that every other proxy passes and the router does not."""
    peers = [each.name for each in targets if each in PEERS]
    ours = [each.name for each in targets if each in ROUTERS]
    failed = [case for (name, case), why in found.items() if why and name in ours and (name, case) not in BY_DESIGN]
    return [case for case in dict.fromkeys(failed) if not any(found[name, case] for name in peers)]


if __name__ == "__main__":
    sys.exit(main())
