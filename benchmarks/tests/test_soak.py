"""The soak in small: it finds nothing wrong with a sound router, and says what is not flat."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..soak import Sample, grown, medians
from ..soak_callers import KINDS, Soak

ROOT = Path(__file__).parents[2]
SECONDS = 600  # on a machine that does much else
EARLY = {"pss_kib": 50_000.0, "tasks": 70.0, "descriptors": 140.0}


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_few_seconds_of_every_kind_of_caller_leave_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--smoke", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Sound" in result.stdout
    assert json.loads(file.read_text())["faults"] == []


def test_the_median_of_a_fifth_is_that_of_its_samples() -> None:
    samples = [Sample(requests, requests * 2, 3, 4) for requests in (10, 25, 30, 40, 90)]

    assert medians(samples, 100, 2) == {"pss_kib": 60, "tasks": 3, "descriptors": 4}


def test_a_fifth_without_samples_is_no_proof() -> None:
    late = medians([Sample(10, 1, 1, 1)], 100, 5)

    assert late == {}
    assert grown(EARLY, late, with_memory=True) == ["there are too few samples: ask for more requests"]
    assert grown(EARLY, late, with_memory=False) == []


@pytest.mark.parametrize(
    ("late", "what"),
    [
        ({**EARLY, "pss_kib": 51_600.0}, "pss_kib"),
        ({**EARLY, "tasks": 83.0}, "tasks"),
        ({**EARLY, "descriptors": 160.0}, "descriptors"),
    ],
)
def test_what_has_grown_is_named(late: dict[str, float], what: str) -> None:
    (words,) = grown(EARLY, late, with_memory=True)

    assert words.startswith(f"{what} went from")


def test_what_goes_up_and_down_has_not_grown() -> None:
    late = {"pss_kib": 51_400.0, "tasks": 80.0, "descriptors": 155.0}

    assert grown(EARLY, late, with_memory=True) == []


def test_an_answer_that_was_not_due_is_noted() -> None:
    soak = Soak(0, 10, 1)

    soak._note("read", KINDS["read"], 200, 2)
    soak._note("read", KINDS["read"], 502, 90)
    soak._note("read", KINDS["read"], 200, 1)

    assert dict(soak.wrong) == {"read: 502": 1, "read: 1 bytes of body instead of 2": 1}
