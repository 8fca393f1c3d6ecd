"""The contract benchmark in small: cases are held on every side, and each part of the work has its time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..contract import DRAWING, JUDGING, ROUTERS, Figures, Spent, main, table


@pytest.mark.timeout(600)  # on a machine that does much else
def test_cases_are_held_on_every_side_and_the_time_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"

    status = main(["--smoke", "--json", str(file)])

    said, told = capsys.readouterr().out, json.loads(file.read_text("utf-8"))
    assert status == 0, said
    assert list(told["phases"]) == [DRAWING, "asking legacy", "asking router", "asking extracted", JUDGING]
    assert all(spent["passed"] > 0 for spent in told["phases"].values())
    assert told["cases"] > 10 * told["operations"]
    assert (told["sides"], told["findings"]) == (3, 0)
    assert told["processes_cpu"]["legacy"] > 0
    assert told["processes_cpu"][ROUTERS] > 0


def test_the_table_has_each_part_for_one_case() -> None:
    figures = Figures(
        cases=100,
        phases={DRAWING: Spent(3.0, 2.0), JUDGING: Spent(1.0, 0.5)},
        per_second=[20.0, 30.0, 25.0],
        processes_cpu={"router": 0.1, "legacy": 2.0},
    )

    lines = [line.split() for line in table(figures).splitlines()]

    assert lines[0] == ["100", "cases,", "25", "per", "second", "(20-30),", "0", "findings"]
    assert lines[2][-5:] == ["case", "30.00", "75%", "20.00", "ms"]
    assert lines[3][-4:] == ["10.00", "25%", "5.00", "ms"]
    assert [line[0] for line in lines[-2:]] == ["legacy", "router"]
