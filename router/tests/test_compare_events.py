"""Two event streams are the same if they say the same, however they were cut; each difference is named by its event."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..evidence.event_streams import events
from ..evidence.rules import Rules
from .observing import found, stream

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=30)


def event(data: Any, kind: str = "", **fields: str) -> str:
    lines = [f"event: {kind}"] if kind else []
    lines += [f"{name}: {value}" for name, value in fields.items()]
    content = data if isinstance(data, str) else json.dumps(data)
    return "\n".join([*lines, *(f"data: {line}" for line in content.split("\n"))]) + "\n\n"


def reply(pieces: list[str], sources: Any = ("a", "b"), usage: int = 7) -> str:
    """A stream as the assistant sends it."""
    told = [event({"sources": sources}, "sources"), *(event({"text": piece}, "delta") for piece in pieces)]
    return "".join([*told, event({"usage": usage}, "done")])


def completion(pieces: list[str], finish: str = "stop") -> str:
    """A stream as OpenAI's wire format has it."""
    frame = {"id": "c-1", "object": "chat.completion.chunk", "model": "m"}
    deltas: list[Any] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    frames = [{**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    frames.append({**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return "".join(event(one) for one in frames) + event("[DONE]")


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces."""
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)] or [text]


@pytest.mark.parametrize("written", [reply, completion])
@given(text=WORDS, one=st.lists(st.integers(0, 40)), other=st.lists(st.integers(0, 40)))
def test_how_a_text_was_cut_into_events_never_matters(
    written: Any, text: str, one: list[int], other: list[int]
) -> None:
    assert found(stream(written(cut(text, one))), stream(written(cut(text, other)))) == []


@given(WORDS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
def test_how_lines_end_and_what_is_a_comment_never_matters(text: str, end: str, has_mark: bool, pings: bool) -> None:
    plain = reply(cut(text, [3, 7]))
    written = plain.replace("\n", end)
    if pings:
        written = f": keepalive{end}{end}".join(["", *(block + end * 2 for block in written.split(end * 2)[:-1])])

    assert found(stream(plain), stream(("\ufeff" if has_mark else "") + written)) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: a\n\n", [("message", "a")]),
        (b"data:a\n\n", [("message", "a")]),
        (b"data:  a\n\n", [("message", " a")]),
        (b"data: a\ndata: b\n\n", [("message", "a\nb")]),
        (b"data\n\n", [("message", "")]),
        (b"event: x\n\ndata: a\n\n", [("message", "a")]),
        (b"event: x\rdata: a\r\rdata: b\r\r", [("x", "a"), ("message", "b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("message", "a"), ("message", "b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("message", "a")]),
        ("data: a\u2028b\u0085c\n\n".encode(), [("message", "a\u2028b\u0085c")]),
        (b": comment\nfoo: bar\ndata: a\n\n", [("message", "a")]),
        (b"data: a\n\ndata: unfinished", [("message", "a")]),
        (b"data: a\n\ndata: unfinished\n", [("message", "a")]),
    ],
)
def test_a_stream_is_read_as_a_browser_reads_it(body: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(one.type, one.data) for one in events(body)] == expected


ANSWER = ["Hel", "lo ", "you"]


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (reply(["Hello me"]), [("event 2 delta /text", "value")]),
        (reply(ANSWER, usage=8), [("event 3 done /usage", "value")]),
        (reply(ANSWER).removesuffix(event({"usage": 7}, "done")), [("event 3 done", "missing")]),
        (reply(ANSWER).removesuffix("\n"), [("event 3 done", "missing")]),
        (reply(ANSWER) + event({"late": 1}, "more"), [("event 4 more", "added")]),
        (reply(ANSWER).removeprefix(event({"sources": ("a", "b")}, "sources")), [("event 1 sources", "missing")]),
        (reply(ANSWER, sources=("b", "a")), [("event 1 sources /sources", "order")]),
        (
            reply(ANSWER).replace('"text"', '"token"'),
            [("event 2 delta /text", "missing"), ("event 2 delta /token", "added")],
        ),
        (
            "".join(event({"text": piece}, "delta") for piece in ANSWER)
            + event({"sources": ("a", "b")}, "sources")
            + event({"usage": 7}, "done"),
            [("event 2 delta", "order")],
        ),
        (reply(ANSWER).replace("event: done", "event: end"), [("event 3 done", "missing"), ("event 3 end", "added")]),
        (reply(ANSWER).replace("event: done\ndata", "event: done\nid: 5\ndata"), [("event 3 done id", "value")]),
        ("", [("event 1 sources", "missing"), ("event 2 delta", "missing"), ("event 3 done", "missing")]),
    ],
)
def test_what_another_stream_says_differently_is_named_by_its_event(
    candidate: str, expected: list[tuple[str, str]]
) -> None:
    assert found(stream(reply(ANSWER)), stream(candidate)) == expected


def test_a_missing_terminal_marker_and_another_finish_are_found() -> None:
    whole = completion(ANSWER)

    assert found(stream(whole), stream(whole.replace(event("[DONE]"), ""))) == [("event 4 message", "missing")]
    assert found(stream(whole), stream(completion(ANSWER, "length"))) == [
        ("event 3 message /choices/0/finish_reason", "value")
    ]


def test_an_error_in_the_middle_splits_nothing_that_belongs_together() -> None:
    failed = event({"text": "Hel"}, "delta") + event({"code": "cut"}, "error")

    assert found(stream(failed), stream(failed.replace("cut", "slow"))) == [("event 2 error /code", "value")]


def test_fragments_of_a_tool_call_are_joined_by_its_index() -> None:
    def calls(*fragments: tuple[int, str]) -> str:
        return "".join(
            event({"choices": [{"delta": {"tool_calls": [{"index": index, "function": {"arguments": text}}]}}]})
            for index, text in fragments
        )

    control = calls((0, '{"a"'), (0, ": 1}"), (1, "{}"))

    assert found(stream(control), stream(calls((0, '{"a": 1}'), (1, "{"), (1, "}")))) == []
    assert found(stream(control), stream(calls((0, '{"a": 2}'), (1, "{}")))) == [
        ("event 1 message /choices/0/delta/tool_calls/0/function/arguments", "value")
    ]


def test_raw_texts_are_joined_too_but_not_with_the_terminal_marker() -> None:
    control = event("I have") + event(" 5") + event(" apples") + event("[DONE]")

    assert found(stream(control), stream(event("I have 5") + event(" apples") + event("[DONE]"))) == []
    assert found(stream(control), stream(event("I have 5 apples[DONE]"))) == [
        ("event 1 message", "value"),
        ("event 2 message", "missing"),
    ]


def test_events_that_the_rules_ignore_are_not_there() -> None:
    rules = Rules(ignore=("event * ping",))

    assert found(stream(reply(ANSWER)), stream(event({}, "ping").join(["", reply(ANSWER), ""])), rules) == []


def test_a_rule_for_an_event_is_for_every_event_of_its_type() -> None:
    rules = Rules(ignore=("event * done /usage",))

    assert found(stream(reply(ANSWER)), stream(reply(ANSWER, usage=9)), rules) == []


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_bytes_of_any_kind_are_compared_without_fail(one: bytes, other: bytes) -> None:
    assert found(stream(one), stream(one)) == []
    found(stream(b"data: " + one + b"\n\n"), stream(b"data: " + other + b"\n\n"))
