"""A request that the router marked as a shadow copy is answered like any other, and leaves nothing behind."""

import json

import httpx
import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from legacy_app.assistant.models import Call, Job, Summary
from legacy_app.assistant.tests.conftest import WELL, completed, streamed
from legacy_app.shadow import ShadowMiddleware, is_shadow
from legacy_app.tickets.models import Comment, Ticket

pytestmark = pytest.mark.django_db
# Real transactions, and streams that are closed before their end.
TRANSACTIONS = pytest.mark.django_db(transaction=True)
MARKED = {"baggage": "strangler.role=shadow"}


def rows():
    return [list(model.objects.order_by("pk").values_list()) for model in (Ticket, Comment, Summary, Call, Job)]


@pytest.fixture
def copy(lumen, sign_in, provider):
    """`copy(path, body)` is what a marked request of the lead gets."""
    client = sign_in(lumen.lead)

    def post(path, body=None, headers=MARKED):
        path = path.format(ticket=lumen.ticket.pk)
        return client.post(path, body or {}, content_type="application/json", headers=headers)

    return post


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
def test_the_mark_is_one_entry_of_the_baggage(baggage, shadow):
    assert is_shadow(baggage) is shadow


@TRANSACTIONS
def test_a_summary_has_an_id_and_is_not_kept(copy):
    before = rows()

    answer = copy("/api/tickets/{ticket}/summary")

    assert (answer.status_code, answer.json()["text"]) == (200, "All is well.")
    assert answer.json()["id"] > 0
    assert answer["X-Shadow-Writes"] == "assistant_call=1, assistant_summary=1"
    assert rows() == before


@TRANSACTIONS
def test_the_next_request_writes_again(copy):
    copy("/api/tickets/{ticket}/summary")

    answer = copy("/api/tickets/{ticket}/summary", headers={"baggage": "strangler.role=primary"})

    assert "X-Shadow-Writes" not in answer
    assert (Summary.objects.count(), Call.objects.count()) == (1, 1)
    assert connection.execute_wrappers == []


@TRANSACTIONS
def test_a_verdict_is_not_written_to_the_ticket(copy, provider):
    provider["chat"].mock(
        side_effect=[
            completed("not JSON"),
            completed(json.dumps({"category": "bug", "priority": "high", "reason": "It is broken."})),
        ]
    )
    before = rows()

    answer = copy("/api/tickets/{ticket}/triage")

    assert (answer.status_code, answer.json()["category"]) == (200, "bug")
    assert answer["X-Shadow-Writes"] == "assistant_call=2, tickets_ticket=1"
    assert rows() == before


@TRANSACTIONS
def test_a_job_is_not_queued(copy):
    answer = copy("/api/articles/reindex")

    assert (answer.status_code, answer["X-Shadow-Writes"]) == (202, "assistant_job=1")
    assert Job.objects.count() == 0


@TRANSACTIONS
def test_a_streams_header_tells_of_the_audit_row_that_is_still_to_come(copy, provider):
    provider["chat"].mock(return_value=streamed(*WELL))

    answer = copy("/api/tickets/{ticket}/reply")
    told = answer["X-Shadow-Writes"]
    body = b"".join(answer.streaming_content)
    answer.close()

    assert told == "assistant_call=1"
    assert b"event: done" in body
    assert Call.objects.count() == 0
    assert not connection.in_atomic_block


@TRANSACTIONS
def test_an_answer_from_the_knowledge_base_makes_two_calls(copy, provider):
    provider["chat"].mock(return_value=streamed(*WELL))

    answer = copy("/api/ask", {"question": "How?"})
    answer.close()

    assert answer["X-Shadow-Writes"] == "assistant_call=2"
    assert Call.objects.count() == 0


@TRANSACTIONS
def test_a_stream_that_is_left_in_the_middle_leaves_nothing_either(copy, provider):
    provider["chat"].mock(return_value=streamed(*WELL))

    answer = copy("/api/tickets/{ticket}/reply")
    next(iter(answer.streaming_content))
    answer.close()

    assert Call.objects.count() == 0
    assert not connection.in_atomic_block
    assert connection.execute_wrappers == []


@TRANSACTIONS
def test_a_call_that_failed_is_not_audited(copy, provider):
    provider["chat"].mock(return_value=httpx.Response(500))

    answer = copy("/api/tickets/{ticket}/summary")

    assert (answer.status_code, answer["X-Shadow-Writes"]) == (502, "assistant_call=1")
    assert Call.objects.count() == 0


def test_a_copy_that_would_write_nothing_says_so(copy):
    assert copy("/api/tickets/999/summary")["X-Shadow-Writes"] == "none"


@TRANSACTIONS
def test_what_waits_for_the_commit_never_happens():
    sent = []

    def view(_request):
        transaction.on_commit(lambda: sent.append("mail"))
        return HttpResponse()

    ShadowMiddleware(view)(RequestFactory().get("/", headers=MARKED))

    assert sent == []


@TRANSACTIONS
def test_an_error_leaves_no_transaction_open():
    def view(_request):
        raise KeyError

    with pytest.raises(KeyError):
        ShadowMiddleware(view)(RequestFactory().get("/", headers=MARKED))

    assert not connection.in_atomic_block
    assert connection.execute_wrappers == []


def test_the_middleware_is_the_first_of_all(settings):
    assert settings.MIDDLEWARE[0] == "legacy_app.shadow.ShadowMiddleware"
