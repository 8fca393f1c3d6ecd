"""The benchmark measures what it says, on a small scale: that it works is tested, how fast anything is is not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ..proxy import Figures, judged, main, table, wrk_said


@pytest.mark.timeout(600)  # on a machine that does much else
def test_the_router_is_measured_and_the_figures_are_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"

    status = main(["--smoke", "--only", "router", "--json", str(file)])

    told = json.loads(file.read_text("utf-8"))
    (router,) = told["proxies"]
    assert status == 0
    assert capsys.readouterr().out.startswith("proxy ")
    assert router["failed"] == 0
    assert router["cpu_per_request"][0] > 0
    assert router["p50_alone"][0] > 0
    assert router["events_per_second"][0] > 0
    assert told["machine"]["cores"]
    assert "uvicorn" in router["version"]


def test_the_output_of_wrk_is_read() -> None:
    said = wrk_said(
        """
  Latency Distribution
     50%    1.06ms
     75%    1.40ms
  34567 requests in 3.00s, 10.00MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 4
"""
    )

    assert said == {"requests": 34567, "failed": 7, "p50_seconds": pytest.approx(0.00106)}


def test_a_target_is_met_missed_or_not_measured() -> None:
    router = Figures("router", "", cpu_per_request=[40.0, 60.0, 50.0], cpu_per_event=[25.0])
    envoy = Figures("envoy", "", cpu_per_request=[30.0, 40.0, 20.0], cpu_per_event=[20.0])

    said = dict(judged([router, envoy]))

    assert said == {
        "cpu per request: 1.67 x envoy, at most 1.5: MISSED": False,
        "cpu per request against caddy: not measured": None,
        "cpu per event: 1.25 x envoy, at most 1.2: MISSED": False,
        "p50 alone against nginx: not measured": None,
    }


def test_the_leanest_proxy_comes_first_and_what_was_not_measured_says_so() -> None:
    lines = table([Figures("slow", "", cpu_per_request=[9.0]), Figures("fast", "", cpu_per_request=[1.0])]).splitlines()

    assert [line.split()[0] for line in lines] == ["proxy", "fast", "slow"]
    assert "none" in lines[1]
    assert math.isnan(float(lines[1].split()[-1]))
