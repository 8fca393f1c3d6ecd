"""The one filter of headers, on any headers: what it drops, what it keeps, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..headers import answer_headers, first, forwarded, request_head

DROPPED = [
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect",
    b"content-length", b"proxy-authorization", b"via", b"forwarded", b"x-real-ip", b"traceparent", b"tracestate",
    b"baggage", b"x-internal-identity", b"x-identity-secret", b"x-forwarded-for", b"x-forwarded-anything",
]  # fmt: skip
KEPT = [b"host", b"cookie", b"accept", b"x-mine", b"x_mine", b"te-x", b"x-forwarded", b"authorization", b"_"]
VALUES = st.binary(max_size=8).map(lambda value: value.translate(None, b"\r\n\0").strip(b" \t"))


@st.composite
def disguised(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(DROPPED))
    return bytes(draw(st.sampled_from(b"-_")) if letter == ord("-") else letter for letter in name)


HEADERS = st.lists(st.tuples(disguised() | st.sampled_from(KEPT), VALUES), max_size=12)


@given(HEADERS)
def test_what_is_kept_is_kept_in_order_and_nothing_else_is_there(headers: list[tuple[bytes, bytes]]) -> None:
    named = {
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    } - {b"host"}

    head = request_head("GET", b"/", headers, length=None, ours=[(b"x-ours", b"1")])

    line, *lines = head.split(b"\r\n")
    kept = [name + b": " + value for name, value in headers if name in KEPT and name not in named]
    via = b", ".join([*(value for name, value in headers if name == b"via"), b"1.1 strangler"])
    assert line == b"GET / HTTP/1.1"
    assert lines == [*kept, b"via: " + via, b"x-ours: 1", b"", b""]


@pytest.mark.parametrize(
    ("length", "line"),
    [(None, None), (0, b"content-length: 0"), (7, b"content-length: 7"), (-1, b"transfer-encoding: chunked")],
)
def test_the_length_is_said_as_asked(length: int | None, line: bytes | None) -> None:
    head = request_head("POST", b"/", [(b"content-length", b"99")], length=length, ours=[])

    assert [each for each in head.split(b"\r\n") if b"length" in each or b"chunked" in each] == [line] * (
        line is not None
    )


@given(HEADERS)
def test_an_answers_headers_are_kept_in_order_but_for_those_of_the_hop(headers: list[tuple[bytes, bytes]]) -> None:
    hop = DROPPED[:7]
    named = {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}

    assert answer_headers(200, headers) == [
        (name, value) for name, value in headers if name not in hop and name not in named - {b"host"}
    ]


@pytest.mark.parametrize(("status", "is_kept"), [(200, True), (206, True), (404, True), (204, False), (304, False)])
def test_an_answer_without_a_body_has_no_length(status: int, is_kept: bool) -> None:
    assert bool(answer_headers(status, [(b"content-length", b"5")])) == is_kept


def test_what_the_router_says_of_the_caller_is_its_own_knowledge() -> None:
    headers = [(b"host", b"shop.example"), (b"x-forwarded-for", b"spoofed"), (b"host", b"second")]

    assert forwarded("https", "192.0.2.7", headers) == [
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"shop.example"),
    ]


def test_the_first_of_repeated_headers_is_found() -> None:
    assert first([(b"a", b"1"), (b"b", b"2"), (b"b", b"3")], b"b") == b"2"
    assert first([], b"b") is None
