"""A conversation on a real socket: what is said, in which order, what is kept, and how it ends."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ..telemetry import RefusedHandshakes
from .conftest import _running as running
from .fake_provider import DONE, END, ROLE, STOP, STREAM_HEAD, USAGE, Gate, answer, data, token
from .identities import SigningKey
from .running import DEADLINE_SECONDS, Running, eventually

FINISHED = STOP + USAGE + DONE + END


class Client:
    """Speaks the protocol, and counts nothing as said until it was received."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        first = self.frame()
        assert first["type"] == "history"
        self.conversation: int = first["conversation"]
        self.past: list[dict[str, Any]] = first["messages"]

    def frame(self) -> dict[str, Any]:
        received: dict[str, Any] = json.loads(self.connection.recv(timeout=DEADLINE_SECONDS))
        return received

    def send(self, **frame: Any) -> None:
        self.connection.send(json.dumps(frame))

    def ask(self, text: str, ask_id: str = "a") -> None:
        self.send(type="ask", id=ask_id, text=text)

    def rest(self) -> list[dict[str, Any]]:
        """Frames until an answer ends, the last one included."""
        frames = [self.frame()]
        while frames[-1]["type"] == "delta":
            frames.append(self.frame())
        return frames

    def closed(self) -> tuple[int, str]:
        """How the service closes, after whatever it still says."""
        with pytest.raises(ConnectionClosed) as close:
            self._listen()
        assert close.value.rcvd is not None
        return close.value.rcvd.code, close.value.rcvd.reason

    def _listen(self) -> None:
        while True:
            self.connection.recv(timeout=DEADLINE_SECONDS)


@contextmanager
def connected(service: Running, query: str = "", **identity: Any) -> Iterator[Client]:
    url = service.url.replace("http", "ws", 1) + "/ws/assistant" + query
    headers = {"X-Internal-Identity": service.key.token(**{"csrf_checked": False, **identity})}
    with connect(url, additional_headers=headers, proxy=None, close_timeout=1) as connection:
        yield Client(connection)


def refusal(service: Running, query: str = "", **identity: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as refused, connected(service, query, **identity):
        pass
    response = refused.value.response
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    return response.status_code, json.loads(response.body)


def kept(service: Running, conversation: int) -> list[tuple[str, str, str]]:
    where = f"conversation_id = {conversation}"
    rows = service.rows(f"SELECT role, text, status FROM service_message WHERE {where} ORDER BY id")  # noqa: S608
    return [(role, text, status) for role, text, status in rows]


def test_an_answer_comes_token_by_token_and_then_its_end(service: Running) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + ROLE + token("Hi "), gate, token("the\u2028re") + FINISHED)

    with connected(service) as client:
        client.ask("Hello?", "first")
        assert client.frame() == {"type": "delta", "id": "first", "text": "Hi "}
        gate.open()

        assert client.rest() == [
            {"type": "delta", "id": "first", "text": "the\u2028re"},
            {
                "type": "done",
                "id": "first",
                "finish_reason": "stop",
                "usage": {"prompt_tokens": 12, "completion_tokens": 2},
            },
        ]
    assert kept(service, client.conversation) == [
        ("user", "Hello?", "complete"),
        ("assistant", "Hi the\u2028re", "complete"),
    ]
    columns = "organisation_id, user_id, ticket_id, kind, outcome, prompt_tokens, completion_tokens"
    assert service.rows(f"SELECT {columns} FROM assistant_call") == [(1, 3, None, "chat", "ok", 12, 2)]  # noqa: S608


def test_a_new_connection_continues_the_conversation(service: Running) -> None:
    service.provider.will(STREAM_HEAD + token("A dimmer.") + FINISHED)
    service.provider.will(STREAM_HEAD + token("From the wall.") + FINISHED)

    with connected(service) as before:
        before.ask("What flickers?")
        before.rest()
    with connected(service, f"?conversation={before.conversation}") as client:
        client.ask("  And how is it taken off? ")
        client.rest()

    assert (before.past, client.conversation) == ([], before.conversation)
    said = [(message["role"], message["text"], message["status"]) for message in client.past]
    assert said == [("user", "What flickers?", "complete"), ("assistant", "A dimmer.", "complete")]
    assert datetime.fromisoformat(client.past[0]["created_at"]).tzinfo is UTC
    system, *messages = service.provider.asked[1].body["messages"]
    assert system["role"] == "system"
    assert system["content"].startswith("You help Maya Ortiz, a support agent of Lumen & Söhne,")
    assert messages == [
        {"role": "user", "content": "What flickers?"},
        {"role": "assistant", "content": "A dimmer."},
        {"role": "user", "content": "And how is it taken off?"},
    ]


def test_the_model_is_told_only_the_latest_turns(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extracted_service.sockets.PROMPT_TURNS", 2)
    for number in range(4):
        service.provider.will(STREAM_HEAD + token(f"answer {number}") + FINISHED)

    with connected(service) as client:
        for number in range(4):
            client.ask(f"question {number}")
            client.rest()

    told = [message["content"] for message in service.provider.asked[3].body["messages"][1:]]
    assert told == ["question 1", "answer 1", "question 2", "answer 2", "question 3"]


def test_a_cancelled_answer_ends_at_the_provider_too_and_is_kept_as_far_as_it_came(service: Running) -> None:
    service.provider.will(STREAM_HEAD + token("Once upon"), Gate())
    service.provider.will(STREAM_HEAD + token("Yes.") + FINISHED)

    with connected(service) as client:
        client.ask("A story!", "long")
        assert client.frame()["text"] == "Once upon"
        client.send(type="cancel", id="long")

        assert service.provider.hung_up.wait(DEADLINE_SECONDS)
        assert client.rest() == [{"type": "cancelled", "id": "long"}]
        client.ask("Still there?")
        assert client.rest()[-1]["type"] == "done"
    assert kept(service, client.conversation)[:2] == [
        ("user", "A story!", "complete"),
        ("assistant", "Once upon", "cancelled"),
    ]
    assert service.outcomes() == ["aborted", "ok"]


def test_an_answer_can_be_cancelled_before_its_first_token(service: Running) -> None:
    gate = Gate()
    service.provider.will(gate)

    with connected(service) as client:
        client.ask("Hello?")
        assert gate.reached.wait(DEADLINE_SECONDS)
        client.send(type="cancel", id="a")

        assert client.rest() == [{"type": "cancelled", "id": "a"}]
        assert service.provider.hung_up.wait(DEADLINE_SECONDS)


def test_the_provider_is_left_when_the_caller_leaves(service: Running, caplog: pytest.LogCaptureFixture) -> None:
    service.provider.will(STREAM_HEAD + token("Once upon"), Gate())

    with connected(service) as client:
        client.ask("A story!")
        client.frame()
        client.connection.socket.shutdown(2)

        assert service.provider.hung_up.wait(DEADLINE_SECONDS)
    eventually(lambda: service.outcomes() == ["aborted"])
    eventually(lambda: kept(service, client.conversation)[1:] == [("assistant", "Once upon", "cancelled")])
    assert "Traceback" not in caplog.text


def test_a_second_question_is_refused_and_the_first_goes_on(service: Running) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + token("One"), gate, token(" moment") + FINISHED)

    with connected(service) as client:
        client.ask("First?", "first")
        client.frame()
        client.ask("Second?", "second")
        refused = client.frame()
        gate.open()
        rest = client.rest()

    assert (refused["type"], refused["id"], refused["code"]) == ("error", "second", "busy")
    assert [frame["type"] for frame in rest] == ["delta", "done"]
    assert len(service.provider.asked) == 1


@pytest.mark.parametrize(
    ("frame", "ask_id", "code", "detail"),
    [
        ("{", None, "invalid_json", "The frame is not valid JSON."),
        ("[" * 5000, None, "invalid_json", "The frame is not valid JSON."),
        ("[]", None, "invalid_json", "The frame must be a JSON object."),
        ('{"id": "x"}', "x", "invalid", "type must be ask or cancel."),
        ('{"type": "shout", "id": "x"}', "x", "invalid", "type must be ask or cancel."),
        ('{"type": "ask", "id": 5, "text": "Hi"}', None, "invalid", "id: Input should be a valid string."),
        ('{"type": "ask", "text": "Hi"}', None, "invalid", "id: Field required."),
        ('{"type": "ask", "id": "x", "text": " "}', "x", "invalid", "text: String should have at least 1 character."),
        (
            json.dumps({"type": "ask", "id": "x", "text": "é" * 2001}),
            "x",
            "invalid",
            "text: String should have at most 2000 characters.",
        ),
        ('{"type": "cancel", "id": "x"}', "x", "not_found", "No such question is being answered."),
        (b"\x00", None, "invalid", "Send text frames, not binary ones."),
    ],
    ids=range(11),
)
def test_a_wrong_frame_is_an_error_and_not_a_cut(
    service: Running, frame: str | bytes, ask_id: str | None, code: str, detail: str
) -> None:
    service.provider.will(STREAM_HEAD + token("Hi") + FINISHED)

    with connected(service) as client:
        client.connection.send(frame)
        said = client.frame()
        client.ask("Hello?")

        assert said == {"type": "error", "id": ask_id, "code": code, "detail": detail, "retry_after": None}
        assert client.rest()[-1]["type"] == "done"


def test_the_longest_question_fits_into_a_frame_however_it_is_written(service: Running) -> None:
    service.provider.will(STREAM_HEAD + token("Hi") + FINISHED)

    with connected(service) as client:
        client.ask("\U0001f4a1" * 2000)

        assert client.rest()[-1]["type"] == "done"


def test_a_frame_that_is_too_large_closes_the_socket(service: Running) -> None:
    with connected(service) as client:
        client.connection.send(" " * 32_769)

        assert client.closed() == (1009, "A frame may have 32768 bytes.")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (answer("500 Oops", b""), "assistant_failed"),
        (STREAM_HEAD + token("Once") + STOP + END, "assistant_failed"),
        (STREAM_HEAD + token("Once") + data({"error": {"message": "overloaded"}}) + END, "assistant_failed"),
        (answer("429 Slow down", b"", "Retry-After: 7"), "assistant_busy"),
    ],
    ids=range(4),
)
def test_a_failure_of_the_provider_is_an_error_frame_and_the_socket_goes_on(
    service: Running, script: bytes, code: str
) -> None:
    service.provider.will(script)
    service.provider.will(STREAM_HEAD + token("Now.") + FINISHED)

    with connected(service) as client:
        client.ask("Hello?", "first")
        failed = client.rest()[-1]
        client.ask("And now?", "second")
        last = client.rest()[-1]

    assert (failed["type"], failed["id"], failed["code"]) == ("error", "first", code)
    assert failed["retry_after"] == (7 if code == "assistant_busy" else None)
    assert (last["type"], last["id"]) == ("done", "second")
    assert kept(service, client.conversation)[1][2] == "failed"
    assert service.outcomes()[1] == "ok"


def test_a_provider_that_stalls_is_a_timeout(start: Callable[..., Running]) -> None:
    service = start(llm_idle_seconds=0.2)
    service.provider.will(STREAM_HEAD + token("Once"), Gate())

    with connected(service) as client:
        client.ask("Hello?")

        assert client.rest()[-1]["code"] == "assistant_timeout"


def test_text_that_no_database_stores_is_passed_on_and_kept_as_far_as_possible(service: Running) -> None:
    halves = r'{"choices": [{"index": 0, "delta": {"content": "%s"}}]}'
    script = b"".join(data(halves % half) for half in (r"\ud83d", r"\udca1", r"\u0000", r"\ud800"))
    service.provider.will(STREAM_HEAD + script + FINISHED)

    with connected(service) as client:
        client.ask("A lamp?\x00")
        deltas = [frame["text"] for frame in client.rest()[:-1]]

    assert deltas == ["\ud83d", "\udca1", "\x00", "\ud800"]
    assert [text for _, text, _ in kept(service, client.conversation)] == ["A lamp?\ufffd", "\U0001f4a1\ufffd\ufffd"]


def test_a_used_up_allowance_is_an_error_frame_that_says_until_when(start: Callable[..., Running]) -> None:
    service = start(llm_daily_tokens=10)
    service.provider.will(STREAM_HEAD + token("Hi") + FINISHED)

    with connected(service) as client:
        client.ask("Hello?")
        client.rest()
        client.ask("And now?", "second")
        [refused] = client.rest()

    assert (refused["id"], refused["code"]) == ("second", "token_limit")
    assert 0 < refused["retry_after"] <= 86_400
    assert len(service.provider.asked) == 1
    assert len(kept(service, client.conversation)) == 2


@pytest.mark.parametrize(
    "identity",
    [{"sub": "4"}, {"org": 2}, {"sub": "4", "org": 2}],
    ids=["a colleague", "the same number elsewhere", "another organisation"],
)
def test_nobody_continues_anybody_elses_conversation(service: Running, identity: dict[str, Any]) -> None:
    with connected(service) as client:
        query = f"?conversation={client.conversation}"

        assert refusal(service, query, **identity) == (404, {"detail": "Not found.", "code": "not_found"})


def test_two_organisations_talk_at_once_and_each_hears_its_own(service: Running) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + token("For Lumen"), gate, FINISHED)
    service.provider.will(STREAM_HEAD + token("For Parcelo") + FINISHED)

    with connected(service) as lumen, connected(service, sub="4", org=2) as parcelo:
        lumen.ask("Who am I?")
        first = lumen.frame()
        parcelo.ask("Who am I?")
        theirs = parcelo.rest()
        gate.open()
        lumen.rest()

    assert (first["text"], theirs[0]["text"]) == ("For Lumen", "For Parcelo")
    assert "otto, a support agent of Parcelo" in service.provider.asked[1].body["messages"][0]["content"]
    whose = "SELECT organisation_id, user_id FROM service_message WHERE conversation_id = "
    assert set(service.rows(whose + str(lumen.conversation))) == {(1, 3)}
    assert set(service.rows(whose + str(parcelo.conversation))) == {(2, 4)}
    assert service.rows("SELECT organisation_id, user_id FROM assistant_call ORDER BY id") == [(2, 4), (1, 3)]


@pytest.mark.parametrize(
    ("query", "identity", "status", "code"),
    [
        ("", {"iss": "nobody"}, 401, "not_authenticated"),
        ("", {"perms": ["tickets.view_ticket"]}, 403, "permission_denied"),
        ("", {"org": None}, 401, "not_authenticated"),
        ("?conversation=987654", {}, 404, "not_found"),
        ("?conversation=first", {}, 400, "invalid"),
        ("?conversation=-1", {}, 400, "invalid"),
    ],
)
def test_a_refused_handshake_is_answered_as_any_request(
    service: Running, query: str, identity: dict[str, Any], status: int, code: str
) -> None:
    answered, body = refusal(service, query, **identity)

    assert (answered, body["code"]) == (status, code)


@pytest.fixture
def uvicorn_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """What uvicorn says, whatever other servers of this process made of its loggers."""
    said: list[logging.LogRecord] = []
    logger, handler = logging.getLogger("uvicorn.error"), logging.Handler()
    monkeypatch.setattr(handler, "emit", said.append)
    monkeypatch.setattr(logger, "disabled", False)
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield said
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_a_refused_handshake_is_no_error_in_the_log(service: Running, uvicorn_log: list[logging.LogRecord]) -> None:
    refusal(service, iss="nobody")

    eventually(lambda: any("without completing handshake" in record.getMessage() for record in uvicorn_log))
    assert [
        record for record in uvicorn_log if RefusedHandshakes().filter(record) and record.levelname == "ERROR"
    ] == []


def test_a_user_has_so_many_sockets_and_gets_one_back_for_each_that_is_closed(start: Callable[..., Running]) -> None:
    service = start(sockets_per_user=1)

    with connected(service):
        assert refusal(service)[0] == 429
        with connected(service, sub="4", org=2):
            pass

    eventually(lambda: _can_connect(service))


def _can_connect(service: Running) -> bool:
    try:
        with connected(service):
            return True
    except InvalidStatus:
        return False


def test_no_database_connection_is_held_while_answers_stream(start: Callable[..., Running]) -> None:
    service = start(database_connections=1, database_busy_seconds=DEADLINE_SECONDS)
    gate = Gate()
    service.provider.will(STREAM_HEAD + token("One"), gate, FINISHED)
    service.provider.will(STREAM_HEAD + token("Two"), gate, FINISHED)

    with connected(service) as first, connected(service) as second:
        first.ask("Hello?")
        first.frame()
        second.ask("Hello?")
        second.frame()
        with connected(service) as third:
            assert third.past == []
        gate.open()

        assert first.rest()[-1]["type"] == second.rest()[-1]["type"] == "done"


def test_a_socket_is_closed_when_its_identity_is_too_old(start: Callable[..., Running]) -> None:
    service = start(socket_lifetime_seconds=2)
    service.provider.will(STREAM_HEAD + token("Once upon"), Gate())

    with connected(service) as client:
        client.ask("A story!")
        assert [frame["type"] for frame in client.rest()] == ["delta", "cancelled"]

        assert client.closed() == (4401, "Who you are was checked too long ago: connect again.")
    assert service.provider.hung_up.wait(DEADLINE_SECONDS)
    assert kept(service, client.conversation)[1] == ("assistant", "Once upon", "cancelled")


def test_a_socket_on_which_nothing_is_asked_is_closed(start: Callable[..., Running]) -> None:
    service = start(socket_idle_seconds=0.2)

    with connected(service) as client:
        assert client.closed()[0] == 4408


def test_a_socket_is_not_idle_while_an_answer_streams(start: Callable[..., Running]) -> None:
    service = start(socket_idle_seconds=1, llm_idle_seconds=1.5)
    service.provider.will(STREAM_HEAD + token("Once upon"), Gate())

    with connected(service) as client:
        client.ask("A story!")

        assert client.rest()[-1]["code"] == "assistant_timeout"
        assert client.closed()[0] == 4408


def test_a_service_that_stops_says_so_and_keeps_what_was_said(
    key: SigningKey, jwks_file: Path, database_file: Path
) -> None:
    with ExitStack() as leaving:
        with running(key, jwks_file, database_file) as service:
            service.provider.will(STREAM_HEAD + token("Once upon"), Gate())
            client = leaving.enter_context(connected(service))
            client.ask("A story!")
            client.frame()

        assert client.closed()[0] == 1012
    assert kept(service, client.conversation)[1] == ("assistant", "Once upon", "cancelled")
