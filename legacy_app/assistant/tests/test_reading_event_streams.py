"""The parser of server-sent events, against everything a stream may legally look like."""

import json

import pytest

from legacy_app.assistant.sse import MAX_EVENT_CHARACTERS, Event, EventTooLongError, events, frame


def read(*chunks):
    return list(events(chunks))


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_all_three_line_ends_end_lines(end):
    text = end.join([b"event: a", b"data: 1", b"data: 2", b"", b"data: 3", b"", b""])

    assert read(text) == [Event("a", "1\n2"), Event("message", "3")]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_bytes_may_be_cut_anywhere(end):
    whole = end.join(["data: grüße 🎉\u2028x".encode(), b"data: 2", b"", b"data: 3", b"", b""])
    read_whole = [Event("message", "grüße 🎉\u2028x\n2"), Event("message", "3")]

    for at in range(len(whole)):
        assert read(whole[:at], whole[at:]) == read_whole
    assert read(*(whole[i : i + 1] for i in range(len(whole)))) == read_whole


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_other_separators_are_ordinary_text(character):
    assert read(f"data: a{character}b\n\n".encode()) == [Event("message", f"a{character}b")]


def test_one_space_after_the_colon_is_not_part_of_the_value():
    assert read(b"data:x\n\ndata: x\n\ndata:  x\n\n") == [
        Event("message", "x"),
        Event("message", "x"),
        Event("message", " x"),
    ]


def test_comments_and_unknown_fields_say_nothing():
    assert read(b": keepalive\n\nid: 7\nretry: 3\ndata: x\n: y\n\n") == [Event("message", "x")]


def test_a_byte_order_mark_is_skipped():
    assert read(b"\xef\xbb", b"\xbfdata: x\n\n") == [Event("message", "x")]


def test_an_event_without_data_is_none():
    assert read(b"event: ping\n\ndata: x\n\n") == [Event("message", "x")]


def test_a_broken_off_event_is_dropped():
    assert read(b"data: x\n\ndata: y\n") == [Event("message", "x")]


def test_events_come_out_as_soon_as_they_are_complete():
    def chunks():
        yield b"data: 1\r\n\r"
        pytest.fail("the event was complete already")

    assert next(events(chunks())) == Event("message", "1")


@pytest.mark.parametrize(
    "line", [b"x" * (MAX_EVENT_CHARACTERS + 1), b"data: xxxxxxxxx\n" * (MAX_EVENT_CHARACTERS // 9 + 1)]
)
def test_an_endless_event_is_refused(line):
    with pytest.raises(EventTooLongError):
        read(line)


def test_what_is_written_can_be_read():
    text = 'line\nbreak \u2028 "quoted" 🎉'

    written = frame("delta", {"text": text})

    assert written.isascii()
    assert [(event.name, json.loads(event.data)) for event in read(written)] == [("delta", {"text": text})]


def test_the_framing_is_the_agreed_one():
    assert frame("delta", {"text": "Hi"}) == b'event: delta\ndata: {"text": "Hi"}\n\n'
