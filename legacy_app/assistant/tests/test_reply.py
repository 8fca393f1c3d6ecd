"""A reply streams as server-sent events, and never ends cleanly unless it is complete."""

import json

import httpx
import pytest

from legacy_app.assistant.errors import Failed, TimedOut
from legacy_app.assistant.models import Call, Summary
from legacy_app.assistant.sse import events
from legacy_app.assistant.tests.conftest import DONE, END, ROLE, WELL, body_sent, chunk, streamed

pytestmark = pytest.mark.django_db
# Django then lets go of old connections, and takes that of a test inside a transaction for one.
CLOSES_CONNECTIONS = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reply(lumen, sign_in, provider):
    provider["chat"].mock(return_value=streamed(*WELL))
    client = sign_in(lumen.agent)

    def post(body=None):
        path = f"/api/tickets/{lumen.ticket.pk}/reply"
        return client.post(path, body or {}, content_type="application/json")

    return post


def read(response):
    return [(event.name, json.loads(event.data)) for event in events(response.streaming_content)]


def test_each_piece_of_text_is_a_delta_and_the_end_is_told(reply):
    assert read(reply()) == [
        ("delta", {"text": "Hello"}),
        ("delta", {"text": " Ida"}),
        (
            "done",
            {
                "finish_reason": "stop",
                "model": "helpdesk-small-2",
                "usage": {"prompt_tokens": 812, "completion_tokens": 64},
            },
        ),
    ]


def test_the_head_keeps_proxies_from_collecting_the_stream(reply):
    response = reply()
    response.close()

    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-cache"
    assert response["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in response


def test_tone_and_instructions_reach_the_model(reply, provider, lumen):
    reply({"tone": "brief", "instructions": "  Offer a new bulb & say sorry. "}).close()

    sent = body_sent(provider["chat"])
    system, user = (message["content"] for message in sent["messages"])
    assert (sent["temperature"], sent["max_tokens"]) == (0.7, 600)
    assert "Tone: brief" in system
    assert "Instructions of the agent:\nOffer a new bulb & say sorry.\n" in user
    assert lumen.ticket.body in user


@pytest.mark.parametrize("body", [{}, {"tone": "", "instructions": None}])
def test_friendly_without_instructions_is_the_default(reply, provider, body):
    reply(body).close()

    system, user = (message["content"] for message in body_sent(provider["chat"])["messages"])
    assert "Tone: friendly" in system
    assert "Instructions of the agent" not in user


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"tone": "rude"}, {"tone": ["Select a valid choice. rude is not one of the available choices."]}),
        (
            {"instructions": "x" * 2001},
            {"instructions": ["Ensure this value has at most 2000 characters (it has 2001)."]},
        ),
        ({"instructions": "a\x00b"}, {"instructions": ["Null characters are not allowed."]}),
    ],
)
def test_wrong_fields_are_named(reply, provider, body, errors):
    response = reply(body)

    assert (response.status_code, response.json()["errors"]) == (400, errors)
    assert not provider["chat"].called


def test_two_thousand_characters_of_instructions_are_taken(reply):
    response = reply({"instructions": " " + "x" * 2000})
    response.close()

    assert response.status_code == 200


def test_nothing_but_the_audit_row_is_kept(reply, lumen):
    read(reply())

    row = Call.objects.get()
    assert (row.kind, row.outcome, row.model, row.ticket) == ("reply", "ok", "helpdesk-small-2", lumen.ticket)
    assert (row.prompt_tokens, row.completion_tokens) == (812, 64)
    assert not Summary.objects.exists()


def test_the_audit_row_is_there_before_the_caller_sees_the_end(reply):
    stream = events(reply().streaming_content)

    while next(stream).name != "done":
        assert not Call.objects.exists()

    assert Call.objects.get().outcome == "ok"


@pytest.mark.parametrize(
    ("end", "error", "code", "outcome"),
    [
        (httpx.ReadError("cut"), Failed, "assistant_failed", "failed"),
        (httpx.ReadTimeout("slow"), TimedOut, "assistant_timeout", "timeout"),
        (None, Failed, "assistant_failed", "failed"),
    ],
    ids=["cut", "slow", "no [DONE]"],
)
def test_a_failure_after_the_first_token_is_an_error_event_and_no_end(reply, provider, end, error, code, outcome):
    provider["chat"].mock(return_value=streamed(ROLE, chunk("Hello"), then=end))
    stream = events(reply().streaming_content)

    assert next(stream).data == '{"text": "Hello"}'
    told = next(stream)
    with pytest.raises(error):
        next(stream)

    assert (told.name, json.loads(told.data)["code"]) == ("error", code)
    assert Call.objects.get().outcome == outcome


def test_a_failure_after_the_first_chunk_comes_too_late_for_a_status(reply, provider):
    """The first chunk only says who speaks; the answer has begun all the same."""
    provider["chat"].mock(return_value=streamed(ROLE, then=httpx.ReadError("cut")))

    response = reply()

    assert response.status_code == 200
    assert next(events(response.streaming_content)).name == "error"


class Endless(httpx.SyncByteStream):
    """A provider that talks until it is hung up on."""

    closed = False

    def __iter__(self):
        while True:
            yield chunk("more")

    def close(self):
        self.closed = True


@CLOSES_CONNECTIONS
def test_a_caller_who_leaves_ends_the_call(reply, provider):
    endless = Endless()
    provider["chat"].mock(return_value=httpx.Response(200, stream=endless))
    response = reply()
    next(events(response.streaming_content))

    response.close()

    assert Call.objects.get().outcome == "aborted"
    assert endless.closed


@CLOSES_CONNECTIONS
def test_a_caller_who_leaves_before_the_first_byte_is_noticed_too(reply):
    reply().close()

    assert Call.objects.get().outcome == "aborted"


def test_a_truncated_reply_says_why_it_ends(reply, provider):
    provider["chat"].mock(return_value=streamed(chunk("Hel"), chunk(finish_reason="length"), DONE))

    assert read(reply())[-1][1]["finish_reason"] == "length"


def test_tokens_with_any_character_arrive_as_they_were_sent(reply, provider):
    token = "a\u2028b\u0085c\r\n🎉"
    provider["chat"].mock(return_value=streamed(chunk(token), END, DONE))

    assert read(reply())[0] == ("delta", {"text": token})
