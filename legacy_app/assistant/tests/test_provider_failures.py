"""Whatever the provider does, callers get one of three answers, and the audit one row."""

import httpx
import pytest
from django.db import connection

from legacy_app.assistant.models import Call
from legacy_app.assistant.tests.conftest import completed, embedded, streamed

pytestmark = pytest.mark.django_db

PATHS = {
    "summary": "/api/tickets/{}/summary",
    "reply": "/api/tickets/{}/reply",
    "triage": "/api/tickets/{}/triage",
    "ask": "/api/ask",
    "search": "/api/search?q=lamp",
}
BUSY = {"detail": "The assistant is busy. Try again later.", "code": "assistant_busy"}
TIMED_OUT = {"detail": "The assistant took too long to answer.", "code": "assistant_timeout"}
FAILED = {"detail": "The assistant could not answer.", "code": "assistant_failed"}


@pytest.fixture
def call(lumen, sign_in):
    client = sign_in(lumen.agent)

    def call(name):
        path = PATHS[name].format(lumen.ticket.pk)
        if name == "search":
            return client.get(path)
        return client.post(path, {"question": "Why?"}, content_type="application/json")

    return call


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("answer", "status", "body", "outcome"),
    [
        (httpx.Response(429, headers={"Retry-After": "7"}), 503, BUSY, "busy"),
        (httpx.ReadTimeout("slow"), 504, TIMED_OUT, "timeout"),
        (httpx.Response(500, text="Traceback: secret"), 502, FAILED, "failed"),
        (httpx.Response(200, html="<h1>Proxy</h1>"), 502, FAILED, "failed"),
        (httpx.ConnectError("refused"), 502, FAILED, "failed"),
    ],
    ids=["429", "slow", "500", "HTML", "unreachable"],
)
def test_each_failure_has_its_answer_and_its_audit_row(call, lumen, provider, name, answer, status, body, outcome):
    how = {"side_effect": answer} if isinstance(answer, Exception) else {"return_value": answer}
    for route in ("chat", "embeddings"):
        provider[route].mock(**how)

    response = call(name)

    assert (response.status_code, response.json()) == (status, body)
    assert response.headers.get("Retry-After") == ("7" if status == 503 else None)
    row = Call.objects.get()
    assert (row.kind, row.outcome, row.user, row.organisation) == (name, outcome, lumen.agent, lumen.organisation)
    assert (row.prompt_tokens, row.completion_tokens) == (0, 0)


def test_a_busy_provider_that_names_no_time_is_asked_again_in_five_seconds(call, provider):
    provider["chat"].mock(return_value=httpx.Response(429))

    assert call("summary")["Retry-After"] == "5"


def test_an_error_of_our_own_is_audited_as_well(call, provider):
    provider["chat"].mock(side_effect=ZeroDivisionError)

    with pytest.raises(ZeroDivisionError):
        call("summary")

    assert Call.objects.get().outcome == "failed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", PATHS)
def test_no_transaction_is_open_while_the_provider_thinks(call, provider, name):
    """Nor may it become so by configuration: a view in a transaction would hold it for seconds."""
    open_ones = []

    def answer(request):
        open_ones.append(connection.in_atomic_block)
        return embedded(request) if request.url.path.endswith("embeddings") else completed("{}")

    provider["chat"].mock(side_effect=answer)
    provider["embeddings"].mock(side_effect=answer)

    call(name)

    assert open_ones
    assert not any(open_ones)


def test_a_reply_that_never_begins_is_a_status_too(call, provider):
    provider["chat"].mock(return_value=streamed())

    response = call("reply")

    assert (response.status_code, response.json()) == (502, FAILED)
