"""What control does not even answer alike to itself is not held against the candidate; what is one finding is one."""

from __future__ import annotations

import pytest

from ..evidence.clusters import MOST_CLUSTERS, OTHER, clusters_of, template
from ..evidence.noise import Noise, decided, learned
from ..evidence.observations import Comparison, Difference, Kind, Verdict

AT_A = Difference("body /items/3/at", Kind.VALUE)
AT_B = Difference("body /b", Kind.MISSING)


def comparison(
    *differences: Difference, verdict: Verdict = Verdict.MISMATCH, number: int = 0, reason: str = ""
) -> Comparison:
    return Comparison(
        f"{number:032x}", "search", "shadow", "e1", float(number), "legacy", "new", verdict, reason, differences
    )


def test_a_place_where_control_differs_from_itself_is_noise_for_all_its_indexes() -> None:
    noise = learned(learned(Noise(), [AT_A]), [Difference("body /items/0/at", Kind.VALUE)])

    assert noise.covers(Difference("body /items/7/at", Kind.VALUE))
    assert noise.asked == 2


def test_a_noisy_value_may_still_not_be_missing() -> None:
    noise = learned(learned(Noise(), [AT_A]), [AT_A])

    assert not noise.covers(Difference("body /items/3/at", Kind.MISSING))


def test_what_differed_once_or_hardly_ever_is_no_noise() -> None:
    once = learned(Noise(), [AT_A])
    rare = Noise(asked=1_000, seen={("body /items/*/at", Kind.VALUE): 5})

    assert not once.covers(AT_A)
    assert not rare.covers(AT_A)


def test_a_mismatch_that_comes_twice_counts() -> None:
    first = comparison(AT_B)

    decision = decided(first, [], comparison(AT_B))

    assert (decision.verdict, decision.differences) == (Verdict.MISMATCH, (AT_B,))


def test_a_candidate_that_is_wrong_somewhere_else_each_time_is_wrong() -> None:
    assert decided(comparison(AT_B), [], comparison(AT_A)).verdict is Verdict.MISMATCH


@pytest.mark.parametrize(
    ("of_control", "second", "reason"),
    [
        ([], comparison(verdict=Verdict.MATCH), "the state moved: asked again, the two sides agree"),
        ([AT_B], comparison(verdict=Verdict.MATCH), "the state moved: control differs from itself"),
        ([AT_B], comparison(AT_B), "the state moved: control differs from itself"),
        ([], comparison(verdict=Verdict.INCONCLUSIVE, reason="both failed"), "both failed"),
    ],
)
def test_a_mismatch_that_does_not_come_twice_says_nothing(
    of_control: list[Difference], second: Comparison, reason: str
) -> None:
    decision = decided(comparison(AT_B), of_control, second)

    assert (decision.verdict, decision.reason) == (Verdict.INCONCLUSIVE, reason)


@pytest.mark.parametrize(
    ("place", "general"),
    [
        ("status", "status"),
        ("body", "body"),
        ("body /items/12/id", "body /items/*/id"),
        ("body /v2/0f8fad5b-d9cb-469f-a165-70867728950e", "body /v2/*"),
        ("body line 12", "body line *"),
        ("event 12 delta /text", "event * delta /text"),
        ("event 12 404", "event * 404"),
        ("effect 2 body /messages/1/content", "effect 2 body /messages/*/content"),
        ("header set-cookie sessionid", "header set-cookie sessionid"),
    ],
)
def test_places_are_one_whatever_the_index(place: str, general: str) -> None:
    assert template(place) == general


def test_differences_become_clusters_with_counts_times_and_exemplars() -> None:
    items = [Difference(f"body /items/{n}/id", Kind.TYPE) for n in range(10)]

    clusters = clusters_of([comparison(*items, number=n) for n in range(1, 6)] + [comparison(AT_B, number=6)])

    ids, other = clusters
    assert (ids.place, ids.kind, ids.count) == ("body /items/*/id", Kind.TYPE, 5)
    assert (ids.first_at, ids.last_at) == (1.0, 5.0)
    assert [int(exemplar, 16) for exemplar in ids.exemplars] == [5, 4, 3]
    assert (other.place, other.count) == ("body /b", 1)


def test_there_are_never_more_clusters_than_the_limit() -> None:
    many = [comparison(Difference(f"body /key-{n}", Kind.VALUE), number=n) for n in range(MOST_CLUSTERS + 50)]

    clusters = clusters_of(many)

    assert len(clusters) == MOST_CLUSTERS + 1
    assert (clusters[0].place, clusters[0].count) == (OTHER, 50)
