"""Event streams are read as browsers read them, and their order is held against the promise."""

from __future__ import annotations

import pytest

from contract_tests.contractkit.event_streams import Event, Grammar, parse

ASKED = Grammar("citations delta* (done | error)")


def stream(*names: str) -> list[Event]:
    return [Event(name, "{}") for name in names]


@pytest.mark.parametrize(
    "names", [("citations", "done"), ("citations", "delta", "delta", "error"), ("citations", *["delta"] * 3000, "done")]
)
def test_a_stream_in_the_promised_order_breaks_nothing(names: tuple[str, ...]) -> None:
    assert ASKED.broken_by(stream(*names)) == ""


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "the stream ends too early; allowed next: citations"),
        (("citations", "delta"), "the stream ends too early; allowed next: delta, done, error"),
        (("delta", "done"), "event 0 is 'delta'; allowed there: citations"),
        (("citations", "done", "delta"), "event 2 is 'delta'; allowed there: the end"),
        (("citations", "ping", "done"), "event 1 is 'ping'; allowed there: delta, done, error"),
    ],
)
def test_the_first_event_out_of_order_is_named_with_what_could_have_come(names: tuple[str, ...], said: str) -> None:
    assert ASKED.broken_by(stream(*names)).startswith(said)


@pytest.mark.parametrize(
    ("sequence", "names", "fits"),
    [
        ("meta? delta+ [DONE]", ("delta", "[DONE]"), True),
        ("meta? delta+ [DONE]", ("meta", "[DONE]"), False),
        ("(a b)* c", ("a", "b", "a", "b", "c"), True),
        ("(a b)* c", ("a", "b", "a", "c"), False),
        ("a* a", ("a", "a", "a"), True),
        ("(a?)* b", ("a", "b"), True),
        ("", (), True),
    ],
)
def test_expressions_mean_what_they_mean_everywhere(sequence: str, names: tuple[str, ...], fits: bool) -> None:
    assert (Grammar(sequence).broken_by(stream(*names)) == "") is fits


@pytest.mark.parametrize("sequence", ["a b)", "(a", "* a", "a; b", "a | ) b"])
def test_what_is_no_event_sequence_is_refused(sequence: str) -> None:
    with pytest.raises(ValueError, match="event sequence"):
        Grammar(sequence)


def test_line_ends_comments_and_chunks_are_no_part_of_an_event() -> None:
    body = '\ufeff: hello\r\nevent: delta\r\ndata:{"a":\rdata: 1}\n\ndata: L1\u2028L2\n\nretry: 5\n\n'.encode()

    assert parse(body) == ([Event("delta", '{"a":\n1}'), Event("message", "L1\u2028L2")], "")


@pytest.mark.parametrize("body", [b"data: 1\n\ndata: 2", b"data: 1\n\nevent: done\n", b"data: 1\n\nda"])
def test_an_event_that_was_cut_off_is_no_event(body: bytes) -> None:
    events, rest = parse(body)

    assert events == [Event("message", "1")]
    assert rest
