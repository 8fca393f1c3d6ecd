"""What the two processes say to each other arrives as it was said, however the socket cuts it."""

from __future__ import annotations

from typing import Any

import pytest

from ..evidence.observations import Effect, Observation, Piece
from ..shadow.words import Copy, Frames, Outcome, framed

EFFECT = Effect("POST", "/v1/chat", b"{}", 200, 0.3, began_seconds=0.1, is_on_tape=False, is_whole=False)
SEEN = Observation(
    "legacy", 503, ((b"a", b"b"),), b"body", (Piece(0.1, 4),), 0.2, "AnswerCut", is_cut_off=True, effects=(EFFECT,)
)
COPY = Copy(
    7, 1, "r", 2**120, b"01", "service", [(b"x-forwarded-proto", b"http")], "POST", b"/a?b", [(b"host", b"h")],
    b"{}", SEEN, 1e9,
)  # fmt: skip
WORDS: list[Copy | Outcome] = [COPY, Outcome(7, sent=True, error="AnswerCut", verdict="mismatch", tape_misses=2)]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_words_arrive_as_they_were_said(size: int) -> None:
    heard: list[Any] = []
    frames, said = Frames(heard.append), b"".join(map(framed, WORDS))

    for start in range(0, len(said), size):
        frames.feed(said[start : start + size])

    assert heard == WORDS
    assert [type(word) for word in heard] == [Copy, Outcome]
    assert heard[0].control == SEEN
