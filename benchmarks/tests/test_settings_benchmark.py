"""The router beside itself, in small: every setting is asked, and its CPU is told beside that of the others."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from ..settings import SETTINGS, SHIPPED, Figures, main, table


@pytest.mark.timeout(600)  # on a machine that does much else
@pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")
def test_every_setting_answers_and_its_cpu_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"

    status = main(["--smoke", "--json", str(file)])

    told = json.loads(file.read_text("utf-8"))["settings"]
    assert status == 0, capsys.readouterr().out
    assert list(told) == [setting.name for setting in SETTINGS]
    assert all(each["worker"][0] > 0 and not each["failed"] for each in told.values())
    assert [name for name, each in told.items() if each["beside"][0]] == ["all copied"]


def test_each_setting_is_a_file_of_its_own(tmp_path: Path) -> None:
    files = {setting.name: tomllib.loads(setting.text(8001, tmp_path)) for setting in SETTINGS}

    assert [len(file["routes"]) for file in files.values()] == [50, 1, 1000, 50, 50, 50]
    assert {route["stage"] for route in files["all copied"]["routes"]} == {"shadow"}
    assert files["a tenth traced, to a file"]["telemetry"] == {"sample": 0.1}


def test_what_a_setting_costs_is_told_beside_what_is_shipped_and_no_answer_is_told_as_none() -> None:
    lines = table(
        {
            SHIPPED: Figures([90.0, 110.0, 100.0], [0.0, 0.0, 0.0], 30),
            "dear": Figures([150.0], [300.0], 10, failed=1),
            "none": Figures(failed=2),
        }
    ).splitlines()

    assert lines[1].split()[-6:] == ["100.0", "us", "(90.0-110.0)", "+0.0", "none", "30"]
    assert lines[2].split()[1:] == ["150.0", "us", "(150.0-150.0)", "+50.0", "300", "us", "10", "failed:", "1"]
    assert lines[3].split()[1:] == ["no", "answer", "failed:", "2"]
