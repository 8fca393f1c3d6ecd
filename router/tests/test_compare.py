"""Answers of every form, their heads, and what was asked of others for them."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..evidence.compare import compare
from ..evidence.digests import Values
from ..evidence.observations import Observation
from ..evidence.rules import Rule, Rules, parse_place
from .observing import NO_RULES, answer, call, found, text

PROMPT: dict[str, Any] = {
    "model": "small",
    "temperature": 1,
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "It's <b>"}],
    "tools": [{"name": "a"}, {"name": "b"}],
    "stream_options": {"include_usage": True},
}


def with_headers(*headers: tuple[str, str], status: int = 200) -> Observation:
    return Observation("legacy", status, tuple((name.encode(), value.encode()) for name, value in headers))


def test_another_status_is_found() -> None:
    assert found(answer({}), answer({}, status=201)) == [("status", "value")]


@pytest.mark.parametrize(
    ("control", "candidate", "expected"),
    [
        (("content-type", "application/json"), ("content-type", "Application/JSON"), []),
        (("content-type", "text/html; charset=utf-8"), ("content-type", 'text/html;charset="UTF-8"'), []),
        (("content-type", "a/b"), ("content-type", "a/b; charset=utf-8"), [("header content-type", "value")]),
        (("content-type", "text/event-stream"), ("content-type", "text/event-stream; charset=utf-8"), []),
        (("content-type", "application/json"), ("content-type", 'application/json;charset="UTF-8"'), []),
        (
            ("content-type", "application/json"),
            ("content-type", "application/json; charset=latin-1"),
            [("header content-type", "value")],
        ),
        (("vary", "Accept, Cookie"), ("vary", "cookie,accept"), []),
        (("vary", "Accept, Cookie"), ("vary", "Cookie"), [("header vary", "value")]),
        (("location", "/a"), ("location", "/A"), [("header location", "value")]),
        (("allow", "GET, POST"), ("x-other", ""), [("header allow", "missing")]),
        (("x-other", ""), ("retry-after", "1"), [("header retry-after", "added")]),
        (("date", "today"), ("server", "uvicorn"), []),
        (("set-cookie", "a=1; Path=/"), ("set-cookie", "a=2"), []),
        (
            ("set-cookie", "a=1"),
            ("set-cookie", "b=1"),
            [("header set-cookie a", "missing"), ("header set-cookie b", "added")],
        ),
    ],
)
def test_headers_are_compared_as_they_are_read(
    control: tuple[str, str], candidate: tuple[str, str], expected: list[tuple[str, str]]
) -> None:
    assert found(with_headers(control), with_headers(candidate)) == expected


def test_two_lines_of_a_header_are_one_list() -> None:
    assert found(with_headers(("vary", "a"), ("vary", "b")), with_headers(("vary", "b, a"))) == []


def test_a_header_may_differ_as_a_rule_says() -> None:
    rules = Rules(rules=(Rule(at="header location", pattern="/jobs/[0-9]+", reason="each side numbers its own"),))

    assert found(with_headers(("location", "/jobs/7")), with_headers(("location", "/jobs/12")), rules) == []
    assert found(with_headers(("location", "/jobs/7")), with_headers(("location", "/jobs/x")), rules) == [
        ("header location", "value")
    ]


def test_which_headers_are_compared_is_the_rules_to_say() -> None:
    rules = Rules(headers=("X-Total",))

    assert found(with_headers(("x-total", "1"), ("vary", "a")), with_headers(("x-total", "2")), rules) == [
        ("header x-total", "value")
    ]


def test_texts_are_compared_by_line() -> None:
    control = "a\nb\nc\nd"

    assert found(text(control), text("a\nb\nX\nd")) == [("body line 3", "value")]
    assert found(text(control), text("a\nc\nd")) == [("body line 2", "missing")]
    assert found(text(control), text("a\nb\nc\nd\ne")) == [("body line 5", "added")]
    assert found(text("a\r\nb"), text("a\nb")) == [("body line 1", "value")]
    assert found(text("a\u2028b"), text("a\nb")) == [("body line 1", "value"), ("body line 2", "added")]


def test_other_bytes_are_compared_by_digest_and_length() -> None:
    values = Values(key=b"k")
    control, candidate = (answer(body, "image/png") for body in (b"\x89PNG\x00", b"\x89PNG\x00\x01"))

    [difference] = compare(control, candidate, NO_RULES, values)

    assert (difference.place, difference.kind) == ("body", "value")
    (length, digest), (other_length, other_digest) = (
        side.split(" bytes ") for side in (difference.control, difference.candidate)
    )
    assert (length, other_length) == ("5", "6")
    assert digest != other_digest
    assert found(control, control) == []


def test_without_a_content_type_a_body_is_what_both_can_be_read_as() -> None:
    def bare(body: bytes) -> Observation:
        return Observation("legacy", 200, (), body)

    assert found(bare(b'{"a": 1}'), bare(b'{"a": 2}')) == [("body /a", "value")]
    assert found(bare(b"a\nb"), bare(b"a\nc")) == [("body line 2", "value")]
    assert found(bare(b"\xff"), bare(b"\xfe")) == [("body", "value")]


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
def test_a_packed_body_is_the_same_as_a_plain_one(encoding: str, packed: Any) -> None:
    control = answer(b'{"a": 1}')
    candidate = answer(packed(b'{"a":1}'), headers=[(b"content-encoding", encoding.encode())])
    other = answer(packed(b'{"a":2}'), headers=[(b"content-encoding", encoding.encode())])

    assert found(control, candidate) == []
    assert found(control, other) == [("body /a", "value")]


def test_a_body_that_is_not_packed_as_it_says_or_is_a_bomb_is_compared_as_it_is() -> None:
    packed = [(b"content-encoding", b"gzip")]
    bomb = gzip.compress(bytes(64 * 2**20))

    assert found(answer(b'{"a": 1}'), answer(b"no gzip", headers=packed)) == [("body", "type")]
    assert found(answer(b'{"a": 1}'), answer(bomb, headers=packed)) == [("body", "type")]


def test_an_answer_that_did_not_come_is_a_difference() -> None:
    nothing = Observation("assistant", 0, error="ConnectFailed")

    [difference] = compare(answer({}), nothing, NO_RULES)

    assert (difference.place, difference.kind) == ("answer", "failed")
    assert (difference.control, difference.candidate) == ("200", "ConnectFailed")


def test_an_answer_that_was_cut_is_not_compared_by_what_came_of_it() -> None:
    cut = answer(b'{"a": ', error="AnswerCut")

    assert found(answer({"a": 1}), cut) == [("answer", "failed")]


def test_an_answer_without_end_is_found_though_it_is_not_recorded_whole() -> None:
    endless = answer(b"x" * 1_000, is_cut_off=True)

    assert found(answer({"a": 1}), endless) == [("body", "value")]
    assert found(answer(b"x" * 900), endless) == []


CONTENT = st.binary(max_size=60) | st.sampled_from([b'{"a": [1, {"a": 2}]}', b'{"a": [1]}', b"data: a\n\n", b"a\nb"])
TYPES = st.sampled_from(["application/json", "text/event-stream", "text/html", "image/png", "", "a;;b= /"])
LINES = st.tuples(st.sampled_from([b"set-cookie", b"vary", b"location", b"content-encoding"]), st.binary(max_size=12))
EFFECTS = st.lists(st.builds(call, CONTENT, st.text(max_size=4), method=st.text(max_size=3)), max_size=3)
ANSWERS = st.builds(
    lambda body, kind, lines, effects: answer(body, kind, headers=lines, effects=tuple(effects)),
    CONTENT, TYPES, st.lists(LINES, max_size=3), EFFECTS,
)  # fmt: skip
SHOWN = Values(key=b"k", are_shown=True)


@given(ANSWERS, ANSWERS)
def test_whatever_comes_is_compared_without_fail_and_is_the_same_as_itself(
    control: Observation, candidate: Observation
) -> None:
    rules = Rules(ignore=("/a/*/a", "event * x"), rules=(Rule(at="/a", unordered=True, reason="a test"),))

    for difference in compare(control, candidate, rules, SHOWN):
        assert parse_place(difference.place)
    assert compare(control, control, rules, SHOWN) == ()


def asked(*effects: Any) -> Observation:
    return answer({}, effects=tuple(effects))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": "large"}, [("effect 1 body /model", "value")]),
        ({"temperature": 1.0}, [("effect 1 body /temperature", "type")]),
        ({"top_p": 1}, [("effect 1 body /top_p", "added")]),
        ({"messages": PROMPT["messages"][1:]}, [("effect 1 body /messages/0", "missing")]),
        ({"messages": PROMPT["messages"][::-1]}, [("effect 1 body /messages", "order")]),
        ({"tools": [{"name": "b"}, {"name": "a"}]}, [("effect 1 body /tools", "order")]),
        ({"stream_options": {}}, [("effect 1 body /stream_options/include_usage", "missing")]),
        (
            {"messages": [PROMPT["messages"][0], {"role": "user", "content": "It&#x27;s &lt;b&gt;"}]},
            [("effect 1 body /messages/1/content", "value")],
        ),
        (
            {"messages": [{"role": "system", "content": "Be kind. "}, PROMPT["messages"][1]]},
            [("effect 1 body /messages/0/content", "value")],
        ),
    ],
)
def test_what_was_asked_differently_is_named_by_its_place(change: Any, expected: list[tuple[str, str]]) -> None:
    assert found(asked(call(PROMPT)), asked(call(PROMPT | change))) == expected


def test_calls_side_by_side_may_come_in_any_order() -> None:
    calls = [call({"input": n}, "/v1/embeddings") for n in range(3)]

    assert found(asked(*calls), asked(*calls[::-1])) == []
    assert found(asked(*calls), asked(calls[2], call({"input": 7}, "/v1/embeddings"), calls[0])) == [
        ("effect 2 body /input", "value")
    ]


def test_a_call_too_many_and_a_call_too_few_are_found() -> None:
    one, other = call(PROMPT), call({"input": "x"}, "/v1/embeddings")

    assert found(asked(one), asked(one, other)) == [("effect 2", "added")]
    assert found(asked(one, one), asked(one)) == [("effect 2", "missing")]
    assert found(asked(one, other), asked(one)) == [("effect 2", "missing")]


def test_a_call_to_another_address_is_one_call_that_went_astray() -> None:
    assert found(asked(call(PROMPT)), asked(call(PROMPT, "/v1/responses"))) == [("effect 1 path", "value")]
    assert found(asked(call(PROMPT)), asked(call(PROMPT, method="PUT"))) == [("effect 1 method", "value")]


def test_a_call_that_is_not_on_the_tape_is_explained_by_what_it_asked() -> None:
    off_the_tape = call(PROMPT | {"model": "large"}, is_on_tape=False)

    assert found(asked(call(PROMPT)), asked(off_the_tape)) == [("effect 1 body /model", "value")]
    assert found(asked(call(PROMPT)), asked(call(PROMPT, is_on_tape=False))) == [("effect 1", "failed")]


def test_calls_that_are_no_json_are_compared_by_line_or_byte() -> None:
    assert found(asked(call(b"a=1")), asked(call(b"a=2"))) == [("effect 1 body line 1", "value")]
    assert found(asked(call(b"\xff")), asked(call(b"\xfe"))) == [("effect 1 body", "value")]


NDJSON = "application/x-ndjson"


def test_json_by_line_is_compared_by_the_structure_of_each_line() -> None:
    control = answer(b'{"n": 1, "s": "\\u2713"}\n{"n": 2}\n', NDJSON)
    candidate = answer('{"s":"✓","n":1}\r\n{"n":3}\n'.encode(), NDJSON)

    assert found(control, candidate) == [("body line 2 /n", "value")]


def test_a_line_of_json_too_few_is_one_difference() -> None:
    control = answer(b'{"n": 1}\n{"n": 2, "a": 0}\n{"n": 3}\n', NDJSON)
    candidate = answer(b'{"n":1}\n{"n":3}\n', NDJSON)

    assert found(control, candidate) == [("body line 2", "missing")]


def test_a_line_that_is_no_json_is_a_text() -> None:
    control, candidate = answer(b'{"n": 1}\nend', NDJSON), answer(b"1\nfin", NDJSON)

    assert found(control, candidate) == [("body line 1", "type"), ("body line 2", "value")]


def test_a_rule_may_name_a_place_in_any_line() -> None:
    rules = Rules(rules=(Rule(at="body line * /n", type_only=True, reason="a test"),))

    assert found(answer(b'{"n": 1}\n{"n": 2}', NDJSON), answer(b'{"n": 3}\n{"n": "4"}', NDJSON), rules) == [
        ("body line 2 /n", "type")
    ]


def test_an_array_in_a_line_of_json_may_come_in_any_order() -> None:
    rules = Rules(rules=(Rule(at="body line * /n", unordered=True, reason="a test"),))

    assert found(answer(b'{"n": [1, 2]}', NDJSON), answer(b'{"n": [2, 1]}', NDJSON), rules) == []


def test_no_content_has_no_type() -> None:
    control, candidate = (with_headers(*given, status=204) for given in ([("content-type", "text/html")], []))

    assert found(control, candidate) == []
