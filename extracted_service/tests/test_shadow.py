"""A request that the router marked as a shadow copy is answered like any other, and leaves nothing behind."""

import httpx
import pytest

from extracted_service.errors import CommandFailed
from extracted_service.monolith import Monolith
from extracted_service.shadow import Writes, is_shadow, report, reported

from .fake_provider import DONE, END, STOP, STREAM_HEAD, Gate, completion, token
from .running import DEADLINE_SECONDS, Running

REPLY, SUMMARY = "/api/tickets/7/reply", "/api/tickets/7/summary"
MARKED = {"Baggage": "strangler.role=shadow"}
ROWS = (
    "SELECT (SELECT count(*) FROM assistant_summary), (SELECT count(*) FROM assistant_call),"
    " (SELECT count(*) FROM assistant_job)"
)
NOTHING = [(0, 0, 0)]


@pytest.mark.parametrize(
    ("baggage", "shadow"),
    [
        ("strangler.role=shadow", True),
        ("a=1, strangler.role = shadow ;p=q,b=2", True),
        ("strangler.role=primary", False),
        ("x.strangler.role=shadow", False),
        ("strangler.role", False),
        ("", False),
    ],
)
def test_the_mark_is_one_entry_of_the_baggage(baggage: str, shadow: bool) -> None:
    assert is_shadow(baggage) is shadow


def test_a_report_can_be_read_again() -> None:
    writes = Writes({"b": 2, "a": 1, "promised_and_failed": 0})

    assert report(writes) == "a=1, b=2"
    assert reported(report(writes)) == Writes({"a": 1, "b": 2})
    assert reported(report(Writes())) == Writes()


def test_a_summary_has_an_id_and_is_not_kept(service: Running) -> None:
    service.provider.will(completion("Short."))
    service.provider.will(completion("Short."))

    copy = service.post(SUMMARY, headers=MARKED)

    assert (copy.status_code, copy.json()["text"]) == (200, "Short.")
    assert copy.headers["x-shadow-writes"] == "assistant_call=1, assistant_summary=1"
    assert service.rows(ROWS) == NOTHING
    assert copy.json()["id"] <= service.post(SUMMARY).json()["id"]
    assert service.rows(ROWS) == [(1, 1, 0)]


def test_an_unmarked_request_reports_nothing(service: Running) -> None:
    service.provider.will(completion("Short."))

    answer = service.post(SUMMARY, headers={"Baggage": "strangler.role=primary"})

    assert "x-shadow-writes" not in answer.headers
    assert service.rows(ROWS) == [(1, 1, 0)]


def test_a_streams_header_tells_of_the_audit_row_that_is_still_to_come(service: Running) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + token("Hi"), gate, STOP + DONE + END)

    with service.client() as client, client.stream("POST", REPLY, headers=MARKED) as copy:
        assert copy.headers["x-shadow-writes"] == "assistant_call=1"
        gate.open()
        body = copy.read()

    assert b"event: done" in body
    assert service.rows(ROWS) == NOTHING


def test_a_copy_whose_sender_leaves_in_the_middle_leaves_nothing_either(service: Running) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + token("Hi"), gate, STOP + DONE + END)
    service.provider.will(completion("After it."))

    with service.client() as client, client.stream("POST", REPLY, headers=MARKED) as copy:
        next(copy.iter_raw())
    assert service.provider.hung_up.wait(DEADLINE_SECONDS)
    service.post(SUMMARY)  # there is one writer: what the copy writes is over

    assert service.outcomes() == ["ok"]


def test_a_provider_that_fails_a_copy_is_not_audited(service: Running) -> None:
    service.provider.will(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    copy = service.post(SUMMARY, headers=MARKED)

    assert (copy.status_code, copy.headers["x-shadow-writes"]) == (502, "assistant_call=1")
    assert service.rows(ROWS) == NOTHING


def test_a_copy_queues_no_job(service: Running) -> None:
    with service.client(perms=["knowledge.reindex"]) as client:
        copy = client.post("/api/articles/reindex", headers=MARKED)

    assert (copy.status_code, copy.headers["x-shadow-writes"]) == (202, "assistant_job=1")
    assert copy.headers["location"] == f"/api/articles/reindex/{copy.json()['id']}"
    assert service.rows(ROWS) == NOTHING


@pytest.mark.parametrize("path", ["/api/tickets/999/summary", "/nowhere", "/health"])
def test_a_copy_that_would_write_nothing_says_so(service: Running, path: str) -> None:
    assert service.post(path, headers=MARKED).headers["x-shadow-writes"] == "none"


@pytest.mark.anyio
async def test_a_command_of_a_copy_is_marked_and_what_it_would_have_written_is_reported() -> None:
    seen: list[httpx.Request] = []

    def monolith(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204, headers={"X-Shadow-Writes": "tickets_ticket=1"})

    writes = Writes(assistant_call=1)
    async with httpx.AsyncClient(transport=httpx.MockTransport(monolith), base_url="http://legacy") as client:
        await Monolith(client, 5, writes).set_triage("token", 7, "billing", "high")

    assert seen[0].headers["baggage"] == "strangler.role=shadow"
    assert report(writes) == "assistant_call=1, tickets_ticket=1"


@pytest.mark.anyio
async def test_a_monolith_that_does_not_know_copies_is_an_error() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(204))

    async with httpx.AsyncClient(transport=transport, base_url="http://legacy") as client:
        with pytest.raises(CommandFailed):
            await Monolith(client, 5, Writes()).set_triage("token", 7, "billing", "high")


@pytest.mark.anyio
async def test_a_command_of_anybody_else_is_not_marked() -> None:
    seen: list[httpx.Request] = []
    transport = httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(204))  # type: ignore[func-returns-value]

    async with httpx.AsyncClient(transport=transport, base_url="http://legacy") as client:
        await Monolith(client, 5).set_triage("token", 7, "billing", "high")

    assert "baggage" not in seen[0].headers
