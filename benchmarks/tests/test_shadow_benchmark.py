"""The shadow benchmark in small: every caller is answered, copies are compared, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..shadow import Pair, told

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
def test_a_second_with_a_sound_and_with_a_flooding_candidate(tmp_path: Path) -> None:
    file = tmp_path / "shadow.json"

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.shadow", "--smoke", "--json", str(file), "--behaviours", "well", "floods"],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(file.read_text())
    assert [pair["failed"] for pair in found["pairs"]] == [0, 0]
    assert found["copies"]["match"] > 0
    assert found["copies"]["mismatch"] > 0


@pytest.mark.parametrize(
    ("with_ms", "failed", "peak", "left", "held"),
    [
        ([20.9], 0, 90.0, 30, True),
        ([21.1], 0, 90.0, 30, False),
        ([20.0], 1, 90.0, 30, False),
        ([20.0], 0, 999.0, 30, False),
        ([20.0], 0, 90.0, 31, False),
    ],
)
def test_it_says_when_callers_notice_or_something_is_left(
    with_ms: list[float], failed: int, peak: float, left: int, held: bool
) -> None:
    pair = Pair("well", [20.0], with_ms, failed)
    found = {
        "pairs": [pair], "mib_before": 80.0, "mib_peak": peak, "descriptors_before": 30, "descriptors_after": left,
        "copies": {},
    }  # fmt: skip

    assert told(found, 1.05) is held
