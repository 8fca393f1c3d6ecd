"""Where figures go: with date, machine and versions, into var/benchmarks/, or into results/ if they are to be kept."""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .processes import ROOT
from .stack import machine

RESULTS = ROOT / "benchmarks" / "results"


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """What every measurement can be told about its figures."""
    parser.set_defaults(load_average_before=os.getloadavg())
    parser.add_argument("--json", type=Path, default=Path(f"var/benchmarks/{name}.json"), help="where figures go")
    parser.add_argument("--keep", action="store_true", help="into benchmarks/results/ as well")
    parser.add_argument("--smoke", action="store_true", help="seconds of each: whether it works, not how fast it is")


def at_least_one(text: str) -> int:
    """A number of an option of which there cannot be none."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too few: say 1 or more")
    return number


def write_down(chosen: argparse.Namespace, name: str, found: dict[str, Any]) -> None:
    told = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {name: value for name, value in machine().items() if name != "load before"},
        "load_average_before": chosen.load_average_before,
        "load_average_after": os.getloadavg(),
        "nice": os.nice(0),
        **found,
    }
    for file in [chosen.json, *([RESULTS / f"{name}.json"] if chosen.keep else [])]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
