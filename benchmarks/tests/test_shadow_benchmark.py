"""The shadow benchmark in small: every caller is answered, copies are compared, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from ..shadow_told import Pairs, judge, table

ROOT = Path(__file__).parents[2]
SECONDS = 600  # on a machine that does much else
QUIET = [20.0 + number / 1000 for number in range(100)]
FOUND = {
    "pairs": [Pairs("well", [(QUIET, QUIET)] * 4)],
    "mib_before": 80.0,
    "mib_peak": 90.0,
    "descriptors_before": 30,
    "descriptors_after": 30,
    "copies": {"match": 400},
}


def later(milliseconds: float) -> list[float]:
    return [each + milliseconds for each in QUIET]


def missed(**changed: Any) -> list[str]:
    return [said for said, held in judge(FOUND | changed, 1.05) if not held]


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
def test_a_second_with_a_sound_and_with_a_flooding_candidate(tmp_path: Path) -> None:
    file = tmp_path / "shadow.json"

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.shadow", "--smoke", "--json", str(file), "--behaviours", "well", "floods"],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(file.read_text())
    assert [pair["failed"] for pair in found["pairs"]] == [0, 0]
    assert found["copies"]["match"] > 0
    assert found["copies"]["mismatch"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
def test_whoever_stops_it_stops_what_it_started() -> None:
    words = [sys.executable, "-m", "benchmarks.shadow", "--behaviours", "well"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 60
        found: list[psutil.Process] = []
        while len(found) < 4 and time.monotonic() < deadline:  # provider, candidates, router, shadow process
            found = psutil.Process(running.pid).children(recursive=True)
            time.sleep(0.05)
        running.terminate()
        running.wait(60)

    _, left = psutil.wait_procs(found, timeout=30)
    assert len(found) >= 4
    assert left == []


def test_what_callers_do_not_notice_is_held() -> None:
    assert missed() == []
    assert missed(pairs=[Pairs("well", [(QUIET, later(0.9))] * 4)]) == []


def test_callers_who_wait_longer_are_noticed() -> None:
    (said,) = missed(pairs=[Pairs("well", [(QUIET, QUIET)] * 4), Pairs("hangs", [(QUIET, later(1.1))] * 4)])

    words = "1.055 times as long (1.055–1.055), at most 1.05: MISSED"
    assert said == f"candidate hangs: with copies callers' p99 is {words}"


def test_a_ratio_that_may_as_well_be_too_large_is_missed() -> None:
    (said,) = missed(pairs=[Pairs("well", [(QUIET, later(0.5)), (later(2.0), later(3.0)), (QUIET, later(1.5))] * 2)])

    assert said.startswith("candidate well: with copies callers' p99 is 1.045 times as long (1.0")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            {"pairs": [Pairs("well", [(QUIET, QUIET)], failed=1)]},
            "candidate well: 1 callers had no right answer: MISSED",
        ),
        ({"mib_peak": 999.0}, "router and shadow process take 80 MiB and 919 more, at most 96: MISSED"),
        ({"descriptors_after": 31}, "of 30 descriptors 31 are left: MISSED"),
    ],
)
def test_it_says_what_is_left_and_who_was_not_answered(changed: dict[str, Any], why: str) -> None:
    assert missed(**changed) == [why]


def test_the_table_tells_both_percentiles_without_and_with_copies() -> None:
    lines = table(FOUND | {"pairs": [Pairs("dies", [(QUIET, later(1))] * 4)]}).splitlines()

    assert lines[1].split() == ["dies", "20.05", "ms", "21.05", "20.10", "ms", "21.10", "1.050", "1.050–1.050"]
    assert lines[2] == "copies: {'match': 400}"
