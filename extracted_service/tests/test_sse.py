"""Server-sent events are read the same however their bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extracted_service.sse import LARGEST_EVENT_BYTES, Event, EventParser, written


def parsed(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event("message", "a")]),
        (b"data:a\r\n\r\n", [Event("message", "a")]),
        (b"data: a\r\r", [Event("message", "a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("message", "a")]),
        (b"event: delta\ndata: a\ndata:  b\n\n", [Event("delta", "a\n b")]),
        (b": comment\nid: 7\nretry: 1\ndata\n\n", [Event("message", "")]),
        (b"event: lonely\n\ndata: a\n\n", [Event("message", "a")]),
        ("data: \u2028\u0085\x0b\x0c\x1c\n\n".encode(), [Event("message", "\u2028\u0085\x0b\x0c\x1c")]),
        (b"data: \xff\n\n", [Event("message", "\ufffd")]),
        (b"data: unfinished\n", []),
    ],
)
def test_events_are_read_by_the_standards_rules(stream: bytes, events: list[Event]) -> None:
    assert parsed(stream) == events


LINES = st.lists(
    st.tuples(
        st.sampled_from(["data: ", "data:", "event: ", ": ", "", "data: é\u2028\U0001f4a1", "nonsense"]),
        st.text("aé:\u2028 ", max_size=4),
        st.sampled_from(["\n", "\r\n", "\r"]),
    )
)


@given(LINES.map(lambda lines: "".join(map("".join, lines)).encode()), st.data())
@example(b"data: a\r\ndata: b\r\n\r\n", None)
def test_the_cuts_of_the_network_change_nothing(stream: bytes, data: st.DataObject | None) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)))) if data else range(len(stream))
    edges = [0, *sorted(cuts), len(stream)]

    pieces = [stream[start:end] for start, end in pairwise(edges)]

    assert parsed(*pieces) == parsed(stream)


def test_an_event_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        parsed(b"data: " + b"x" * LARGEST_EVENT_BYTES)


def test_an_event_of_endless_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        parsed((b"data: " + b"x" * 1000 + b"\n") * 1100)


def test_an_event_is_written_on_one_line() -> None:
    frame = written("delta", {"text": "a\n\u2028é"})

    assert frame == b'event: delta\ndata: {"text": "a\\n\\u2028\\u00e9"}\n\n'
