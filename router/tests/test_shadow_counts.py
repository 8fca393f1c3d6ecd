"""What became of the copies can be read: as numbers of each route, and as OpenTelemetry measurements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from ..shadow import Counts
from ..shadow.counts import Dropped
from ..shadow.words import Outcome

README = Path(__file__).parents[1] / "README.md"


def shown(counts: Counts) -> dict[str, list[tuple[dict[str, object], float]]]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counts.show(provider.get_meter("test"))
    data = reader.get_metrics_data()
    provider.shutdown()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
    return {
        metric.name: [(dict(point.attributes or {}), point.value) for point in metric.data.data_points]  # type: ignore[union-attr]
        for metric in metrics
    }


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (Outcome(1, sent=True, verdict="match"), {"sent": 1, "matched": 1}),
        (Outcome(1, sent=True, verdict="mismatch", tape_misses=2), {"sent": 1, "mismatched": 1, "tape_misses": 2}),
        (Outcome(1, sent=True, verdict="inconclusive"), {"sent": 1, "inconclusive": 1}),
        (Outcome(1, sent=True, error="AnswerCut"), {"sent": 1, "failed": 1}),
        (Outcome(1, sent=True, error="AnswerTimeout"), {"sent": 1, "failed": 1, "timed_out": 1}),
        (Outcome(1, dropped=Dropped.NOT_COMPARABLE), {}),
    ],
)
def test_what_became_of_a_copy_is_counted(outcome: Outcome, counted: dict[str, int]) -> None:
    counts = Counts()

    counts["r"].add(outcome)

    names = ("sent", "failed", "timed_out", "matched", "mismatched", "inconclusive", "tape_misses")
    assert {name: getattr(counts["r"], name) for name in names if getattr(counts["r"], name)} == counted
    assert sum(counts["r"].dropped.values()) == bool(outcome.dropped)


def test_every_count_is_a_measurement_of_its_route() -> None:
    counts = Counts()
    counts["r"].offered = 3
    counts["r"].dropped[Dropped.QUEUE_FULL] = 2
    counts["r"].is_silent = True

    found = shown(counts)

    assert found["strangler.shadow.offered"] == [({"strangler.route": "r"}, 3)]
    assert found["strangler.shadow.dropped"] == [({"strangler.route": "r", "strangler.reason": "queue full"}, 2)]
    assert found["strangler.shadow.silent"] == [({"strangler.route": "r"}, 1)]
    assert found["strangler.shadow.tape_misses"] == [({"strangler.route": "r"}, 0)]


def test_status_tells_of_what_was_dropped_too() -> None:
    counts = Counts()
    counts["r"].add(Outcome(1, dropped=Dropped.QUEUE_FULL))

    said = json.loads(json.dumps(counts["r"].said()))

    assert (said["dropped"], said["sent"], said["is_silent"]) == ({"queue full": 1}, 0, False)


def test_every_measurement_and_every_reason_is_in_the_readme() -> None:
    counts = Counts()
    counts["r"].dropped["any"] = 1
    readme = README.read_text("utf-8")

    assert [name for name in shown(counts) if f"`{name}`" not in readme] == []
    assert [reason.value for reason in Dropped if f"`{reason}`" not in readme] == []
