"""The genai benchmark in small: every caller is answered; and what it says of its figures."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ..burst import Seen, seen
from ..genai_told import PROVIDER, judged, memory_per_worker_kib, table
from ..reading import UNFINISHED, Stream
from ..servers import routes

ROOT = Path(__file__).parents[2]
SECONDS = 600  # on a machine that does much else
SEEN = Seen(500, 500, {}, 4.0, [2.0] * 500, [2.0] * 500, [0.01] * 50, [0.012] * 50, 50_000, 100_000, 2.0)
SLOW = replace(SEEN, finished=60, within_seconds=60.0, took=[30.0] * 60 + [math.inf] * 440)
FOUND = {
    f"{PROVIDER}|direct|plain": [SEEN],
    "extracted service|direct|plain": [SEEN],
    "Django, 2 sync workers|direct|plain": [replace(SLOW, memory_peak_kib=100_000)],
    "Django, 5 sync workers|direct|plain": [replace(SLOW, memory_peak_kib=190_000)],
    "Django, 500 threads|direct|plain": [replace(SEEN, memory_peak_kib=200_000)],
}


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_few_requests_are_answered_by_the_service_and_by_some_of_the_monoliths_workers(tmp_path: Path) -> None:
    file = tmp_path / "genai.json"
    rows = ["--ways", "plain", "--only", "2 sync", "extracted"]

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.genai", "--smoke", "--json", str(file), *rows],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads(file.read_text("utf-8"))["rows"]
    assert told["extracted service|direct|plain"][0]["finished"] == 8
    assert told["extracted service|router|plain"][0]["finished"] == 8
    assert told["Django, 2 sync workers|direct|plain"][0]["finished"] > 0
    assert told["extracted service|direct|plain"][0]["memory_peak_kib"] > 10_000


def test_claims_hold_or_are_missed_and_what_was_computed_says_so() -> None:
    said = dict(judged(FOUND, 500))

    assert said["plain: 0 requests without an answer, one worker: held"] is True
    assert said["plain: 125 times what two sync workers finish, at least 20: held"] is True
    (memory,) = (words for words in said if "computed" in words)
    assert "500 sync workers at 29.3 MiB for each further one would take 14,648 MiB (computed): 1/150" in memory
    assert said["plain: 500 threads take 195 MiB, 2.00 times the service's"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finished": 499}, "plain: 1 requests without an answer"),
        ({"took": [2.5] * 500}, "plain: p99 2.50 s"),
        ({"reads": [0.016] * 50}, "plain: p95 of unrelated reads 16 ms"),
        ({"within_seconds": 40.0}, "plain: 12 times"),
        ({"memory_peak_kib": 2_000_000}, "plain: 1953 MiB"),
    ],
)
def test_every_claim_can_be_missed(change: dict[str, object], words: str) -> None:
    found = {**FOUND, "extracted service|direct|plain": [replace(SEEN, **change)]}  # type: ignore[arg-type]

    (missed,) = (said for said, held in judged(found, 500) if held is False)

    assert missed.startswith(words)


def test_reads_may_take_what_they_take_beside_a_burst_at_the_provider_itself() -> None:
    late = {"reads": [0.016] * 50}
    own = {f"{PROVIDER}|direct|plain": [replace(SEEN, reads=[0.017] * 50)]}
    found = {**FOUND, "extracted service|direct|plain": [replace(SEEN, **late)], **own}  # type: ignore[arg-type]

    ((said, held),) = ((words, held) for words, held in judged(found, 500) if "unrelated reads" in words)

    assert held is True
    assert said.startswith("plain: p95 of unrelated reads 16 ms, idle 10 ms, ")
    assert "while the same burst went to the provider itself 17 ms" in said


def test_what_was_not_finished_took_longer_than_there_was_time() -> None:
    found = seen([Stream("", 1.0, 2.0, 3.0, "x", [3.0]), Stream(UNFINISHED), Stream("HTTP/1.1 503")], 60.0)

    assert (found.finished, found.errors, found.within_seconds) == (1, {"HTTP/1.1 503": 1}, 60.0)
    assert found.took == [2.0, math.inf, math.inf]
    assert "> 60 s" in table({"Django|direct|plain": [found]})


def test_the_memory_of_a_worker_needs_two_numbers_of_workers() -> None:
    few = {name: rows for name, rows in FOUND.items() if "5 sync" not in name}

    assert memory_per_worker_kib(FOUND, "plain") == 30_000
    assert memory_per_worker_kib(few, "plain") is None


def test_the_measured_router_has_the_repositorys_routes_without_tape_and_evidence() -> None:
    urls = {"legacy": "http://127.0.0.1:1", "identity": "http://127.0.0.1:2", "assistant": "http://127.0.0.1:3"}

    text = routes((ROOT / "routes.toml").read_text("utf-8"), urls, extracted=True)

    assert "[egress]" not in text
    assert "[evidence]" not in text
    assert all(f'"{url}"' in text for url in urls.values())
    assert '"legacy"\n' not in text.split("[[routes]]", 1)[1]
