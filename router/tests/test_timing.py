"""When an answer came, and whether the candidate holds back what the control streamed."""

from __future__ import annotations

import pytest

from ..evidence.observations import Kind, Piece
from ..evidence.timing import first_seconds, longest_gap_seconds, own_seconds
from .observing import answer, call, found, paced, stream

WORDS = ["Hel", "lo", " you", " there", "!"]
EVENTS = "".join(f'event: delta\ndata: {{"text": "{word}"}}\n\n' for word in WORDS)
STEADY = [0.5, 0.6, 0.7, 0.8, 0.9]
BUFFERED = [("body", str(Kind.BUFFERED))]
PROMPT = {"model": "m"}


def test_own_time_is_what_is_left_without_the_calls() -> None:
    assert own_seconds(answer({}, seconds=1.0)) == 1.0
    one_after_another = (call(PROMPT, seconds=0.25), call(PROMPT, seconds=0.5))
    assert own_seconds(answer({}, seconds=1.0, effects=one_after_another)) == 0.25
    side_by_side = (call(PROMPT, seconds=0.5, began_seconds=0.25), call(PROMPT, seconds=0.25, began_seconds=0.375))
    assert own_seconds(answer({}, seconds=1.0, effects=side_by_side)) == 0.5
    assert own_seconds(answer({}, seconds=0.1, effects=one_after_another)) == 0.0


def test_the_first_token_is_the_first_event_and_not_the_first_byte() -> None:
    body = b": ping\n\n" + EVENTS.encode()
    pieces = (Piece(0.01, 0), Piece(0.1, 8), Piece(0.5, 20), Piece(0.7, len(body)))

    assert first_seconds(stream(body, pieces=pieces)) == 0.7
    assert first_seconds(answer(body, pieces=pieces)) == 0.1
    assert first_seconds(answer(b"")) is None


def test_the_longest_gap_is_one_between_events() -> None:
    assert longest_gap_seconds(paced(EVENTS, [0.5, 0.5, 0.75, 1.0, 2.0])) == 1.0
    assert longest_gap_seconds(answer(b"")) is None


@pytest.mark.parametrize("burst", [[0.9] * 5, [0.9, 0.901, 0.902, 0.903, 0.905]])
def test_a_candidate_that_delivers_in_one_burst_is_found(burst: list[float]) -> None:
    assert found(paced(EVENTS, STEADY), paced(EVENTS, burst)) == BUFFERED


def test_a_stream_that_is_only_cut_otherwise_or_later_is_not_buffered() -> None:
    joined = 'event: delta\ndata: {"text": "Hello"}\n\nevent: delta\ndata: {"text": " you there!"}\n\n'

    assert found(paced(EVENTS, STEADY), paced(joined, [1.0, 1.3])) == []
    assert found(paced(EVENTS, STEADY), paced(EVENTS, [at + 3 for at in STEADY])) == []


def test_an_early_first_line_does_not_hide_a_burst() -> None:
    body = "event: start\ndata: {}\n\n" + EVENTS * 3
    times = [0.1 + 0.1 * n for n in range(16)]

    assert found(paced(body, times), paced(body, [0.1, *[1.6] * 15])) == BUFFERED


def test_where_control_did_not_stream_nothing_is_held_back() -> None:
    assert found(paced(EVENTS, [0.5] * 5), paced(EVENTS, [0.9] * 5)) == []
    assert found(paced(EVENTS, [0.5, 0.51, 0.52, 0.53, 0.54]), paced(EVENTS, [0.9] * 5)) == []


def test_a_tape_that_is_replayed_at_once_makes_no_candidate_look_as_if_it_held_back() -> None:
    control = paced(EVENTS, STEADY, effects=(call(PROMPT, seconds=0.8),))

    at_once = paced(EVENTS, [0.05] * 5, effects=(call(PROMPT, seconds=0.01),))
    at_recorded_pace = paced(EVENTS, [0.9] * 5, effects=(call(PROMPT, seconds=0.8),))

    assert found(control, at_once) == []
    assert found(control, at_recorded_pace) == BUFFERED


def test_other_bodies_are_judged_by_their_pieces() -> None:
    body = b"abcdefgh"
    streamed = tuple(Piece(0.1 * n, n) for n in range(1, 9))

    control = answer(body, "text/plain", pieces=streamed)

    assert found(control, answer(body, "text/plain", pieces=(Piece(0.8, 8),))) == BUFFERED
    assert found(control, control) == []


def test_a_long_answer_may_have_waited_for_its_caller() -> None:
    body = b"x" * 300_000
    slowly = tuple(Piece(float(n), n * 30_000) for n in range(1, 11))

    assert (
        found(answer(body, "text/plain", pieces=slowly), answer(body, "text/plain", pieces=(Piece(0.1, 300_000),)))
        == []
    )
