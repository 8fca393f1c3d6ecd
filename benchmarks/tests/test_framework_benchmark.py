"""The framework benchmark in small: every rung answers alike, and what is not installed says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..framework import table
from ..ladder import RUNGS

ROOT = Path(__file__).parents[2]
SECONDS = 600  # on a machine that does much else


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned")
def test_every_rung_that_is_here_is_measured_and_started_cold(tmp_path: Path) -> None:
    file = tmp_path / "framework.json"

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.framework", "--smoke", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads(file.read_text("utf-8"))
    here = {rung.name for rung in RUNGS if rung.is_here}
    assert set(told["requests"]) == here
    assert set(told["cold"]) == here | {"the monolith, gunicorn", "the extracted service", "the router"}
    assert all(row["per_second"][0] > 0 and len(row["cpu_us"]) == 1 for row in told["requests"].values())
    assert set(told["not_installed"]) == {rung.name for rung in RUNGS} - here


def test_what_is_not_installed_is_told() -> None:
    lines = list(table({"a": {"cpu_us": [1.0], "per_second": [2.0]}}, {}, ["Flask, gunicorn"]))

    assert lines[-1].split("  ")[0] == "Flask, gunicorn"
    assert lines[-1].endswith("not installed, not measured")
