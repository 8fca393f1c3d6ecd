"""Pages and jobs ask the extracted service, if one is named, and do not depend on it."""

import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.utils import timezone
from joserfc.jwk import OKPKey
from opentelemetry.sdk.trace import TracerProvider

from legacy_app import telemetry
from legacy_app.api import ApiError
from legacy_app.assistant import remote, summaries
from legacy_app.assistant.errors import Busy, Failed, TimedOut
from legacy_app.assistant.models import Call, Summary
from legacy_app.conftest import organisation, user
from legacy_app.identity import tokens
from legacy_app.tickets.models import Ticket

pytestmark = pytest.mark.django_db

URL = "http://assistant.test"
AWAY = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.Response(502), httpx.Response(503)]


@pytest.fixture
def key(tmp_path, settings):
    key = OKPKey.generate_key("Ed25519", {"kid": "2026-01"})
    (tmp_path / "key.json").write_text(json.dumps(key.as_dict(private=True)))
    settings.IDENTITY_PRIVATE_KEY_FILE = str(tmp_path / "key.json")
    return key


@pytest.fixture
def service(provider, key, settings, lumen):
    """The route to the service's summary."""
    settings.ASSISTANT_URL = URL
    route = provider.post(f"{URL}/api/tickets/{lumen.ticket.pk}/summary").mock(return_value=said(lumen))
    remote._client.cache_clear()
    yield route
    remote._client.cache_clear()


def said(lumen, **changes):
    answer = {
        "id": 12,
        "ticket": lumen.ticket.pk,
        "text": "From the service.",
        "model": "helpdesk-small",
        "usage": {"prompt_tokens": 812, "completion_tokens": 64},
        "created_by": lumen.agent.pk,
        "created_at": "2026-01-05T09:30:12.123Z",
    }
    return httpx.Response(200, json=answer | changes)


def refused(status, code, **headers):
    return httpx.Response(status, json={"detail": "…", "code": code}, headers=headers)


def summarise(lumen, pauses=None):
    """Pauses take no time, but are noted."""
    sleep = [].append if pauses is None else pauses.append
    return remote.summarise(lumen.ticket, lumen.agent, max_words=80, sleep=sleep, draw=lambda: 0.5)


def test_without_a_service_the_monolith_asks_the_provider(lumen, provider):
    assert summarise(lumen) == Summary.objects.get()

    assert provider["chat"].called


def test_the_services_summary_is_the_answer(service, lumen, provider):
    found = summarise(lumen)

    assert (found.pk, found.text, found.created_by, found.ticket) == (
        12,
        "From the service.",
        lumen.agent,
        lumen.ticket,
    )
    assert found.created_at == datetime(2026, 1, 5, 9, 30, 12, 123_000, UTC)
    assert json.loads(service.calls.last.request.content) == {"max_words": 80}
    assert not provider["chat"].called
    assert not Call.objects.exists()  # the service writes it


def test_the_monolith_vouches_for_the_user(service, lumen, key):
    summarise(lumen)

    [token] = service.calls.last.request.headers.get_list("X-Internal-Identity")
    claims = tokens.verified(token, key, audience="assistant", now=time.time(), late_seconds=0)
    assert (claims["sub"], claims["org"], claims["csrf_checked"]) == (
        str(lumen.agent.pk),
        lumen.organisation.pk,
        True,
    )
    assert "assistant.use_assistant" in claims["perms"]
    assert "cookie" not in service.calls.last.request.headers


@pytest.mark.parametrize("away", AWAY, ids=str)
def test_a_service_that_is_back_soon_is_asked_again(service, lumen, provider, away):
    service.mock(side_effect=[away, away, said(lumen)])
    pauses = []

    assert summarise(lumen, pauses).text == "From the service."

    assert pauses == [0.1, 0.2]
    assert not provider["chat"].called


@pytest.mark.parametrize("away", AWAY, ids=str)
def test_without_an_answer_the_monolith_does_it_itself_and_says_so(service, lumen, away, caplog):
    service.mock(side_effect=[away] * 3)

    assert summarise(lumen).text == "All is well."

    assert caplog.messages == [
        f"The assistant at assistant.test cannot be reached: summarising ticket {lumen.ticket.pk} here."
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(502, "assistant_failed"), Failed),
        (refused(504, "assistant_timeout"), TimedOut),
        (refused(401, "not_authenticated"), Failed),
        (refused(404, "not_found"), Failed),
        (refused(500, "server_error"), Failed),
        (httpx.Response(200, html="<h1>Proxy</h1>"), Failed),
        (httpx.Response(200, json=[]), Failed),
        (httpx.Response(200, json={"id": "x"}), Failed),
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.ReadError("cut"), Failed),
        (httpx.RemoteProtocolError("cut"), Failed),
    ],
    ids=str,
)
def test_what_may_have_cost_something_is_neither_repeated_nor_done_here(service, lumen, provider, answer, error):
    service.mock(side_effect=[answer])

    with pytest.raises(error):
        summarise(lumen)

    assert not provider["chat"].called


def test_a_full_service_is_asked_again_when_it_says(service, lumen):
    service.mock(side_effect=[refused(503, "assistant_busy", **{"Retry-After": "2"}), said(lumen)])
    pauses = []

    summarise(lumen, pauses)

    assert pauses == [2.1]


def test_a_long_wait_is_not_slept_in_a_worker(service, lumen, provider):
    service.mock(side_effect=[refused(503, "assistant_busy", **{"Retry-After": "30"})])
    pauses = []

    with pytest.raises(Busy) as busy:
        summarise(lumen, pauses)

    assert (busy.value.retry_after, pauses) == (30, [])
    assert not provider["chat"].called


def test_a_used_up_allowance_is_told_as_the_service_tells_it(service, lumen):
    service.mock(side_effect=[refused(429, "token_limit", **{"Retry-After": "99"})])

    with pytest.raises(ApiError) as refusal:
        summarise(lumen)

    assert (refusal.value.status, refusal.value.headers) == (429, {"Retry-After": "99"})


def test_doing_it_here_counts_against_the_same_allowance(service, lumen, settings):
    settings.LLM_DAILY_TOKENS = 1
    Call.objects.create(organisation=lumen.organisation, kind="reply", outcome="ok", prompt_tokens=1, duration_ms=0)
    service.mock(side_effect=[httpx.ConnectError("refused")] * 3)

    with pytest.raises(ApiError):
        summarise(lumen)


def test_the_trace_goes_on_in_the_service(service, lumen, monkeypatch):
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    monkeypatch.setattr(telemetry, "is_on", lambda *_: True)
    tracer = TracerProvider().get_tracer("test")

    with tracer.start_as_current_span("page") as span:
        summarise(lumen)

    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert trace_id in service.calls.last.request.headers["traceparent"]


@pytest.mark.parametrize("drawn", [0.0, 0.5])
def test_pauses_grow_and_keep_what_is_asked_for(drawn):
    assert [remote.pause_seconds(attempt, None, drawn) for attempt in (1, 2, 3)] == [
        pytest.approx(drawn * seconds) for seconds in (0.2, 0.4, 0.8)
    ]
    assert remote.pause_seconds(1, 3, drawn) >= 3


def test_the_page_works_without_a_script(service, lumen, sign_in):
    client = sign_in(lumen.agent, enforce_csrf_checks=True)
    page = client.get(f"/tickets/{lumen.ticket.pk}/")
    form = {"csrfmiddlewaretoken": page.context["csrf_token"]}

    response = client.post(f"/tickets/{lumen.ticket.pk}/summarise/", form)

    assert f'action="/tickets/{lumen.ticket.pk}/summarise/"' in page.content.decode()
    assert (response.status_code, response["Location"]) == (302, f"/tickets/{lumen.ticket.pk}/#assistant")
    assert service.called


def test_the_page_says_why_there_is_no_summary(service, lumen, sign_in):
    service.mock(side_effect=[refused(502, "assistant_failed")])

    response = sign_in(lumen.agent).post(f"/tickets/{lumen.ticket.pk}/summarise/")

    assert [str(message) for message in get_messages(response.wsgi_request)] == ["The assistant could not answer."]


def test_the_page_is_for_whoever_may_use_the_assistant_on_this_ticket(service, lumen, parcelo, sign_in):
    path = f"/tickets/{lumen.ticket.pk}/summarise/"

    assert sign_in(lumen.viewer).post(path).status_code == 403
    assert sign_in(parcelo.agent).post(path).status_code == 404
    assert sign_in(lumen.agent).get(path).status_code == 405
    assert not service.called


def test_the_nightly_job_leaves_nothing_to_do(lumen, parcelo, provider, capsys):
    call_command("summarise")
    call_command("summarise")

    lines = [f"#{side.ticket.pk}: summarised for {side.lead.username}." for side in (parcelo, lumen)]
    assert capsys.readouterr().out.splitlines() == lines
    assert provider["chat"].call_count == 2


def test_the_nightly_job_takes_what_changed_last_up_to_its_limit(lumen, provider):
    tickets = [
        Ticket.objects.create(organisation=lumen.organisation, customer=lumen.customer, subject=name, status=status)
        for name, status in (("first", "open"), ("solved", "solved"), ("last", "open"))
    ]

    call_command("summarise", limit=2)

    assert set(Summary.objects.values_list("ticket_id", flat=True)) == {tickets[0].pk, tickets[2].pk}


def test_a_ticket_is_summarised_again_once_it_has_changed(lumen, provider):
    call_command("summarise")
    Ticket.objects.filter(pk=lumen.ticket.pk).update(updated_at=timezone.now() + timedelta(seconds=1))

    call_command("summarise")

    assert Summary.objects.count() == 2


def test_a_ticket_is_summarised_in_its_assignees_name(lumen):
    lumen.ticket.assignee = lumen.agent
    assert summaries.asker(lumen.ticket) == lumen.agent

    lumen.ticket.assignee = lumen.viewer
    assert summaries.asker(lumen.ticket) == lumen.lead


def test_nobody_is_made_to_ask_who_may_not(provider, capsys):
    small = organisation("small", "Small & Co")
    small.lead.groups.clear()
    small.agent.is_active = False
    small.agent.save()
    user(None, "staff", is_superuser=True)

    call_command("summarise")

    assert capsys.readouterr().out == f"#{small.ticket.pk}: nobody in Small & Co may use the assistant.\n"
    assert not provider.calls


def test_the_nightly_job_goes_on_after_a_failure_and_ends_with_it(lumen, parcelo, provider):
    answers = [httpx.Response(500), provider["chat"].return_value]
    provider["chat"].mock(side_effect=answers)

    with pytest.raises(CommandError, match="1 tickets could not be summarised"):
        call_command("summarise")

    assert Summary.objects.count() == 1


def test_the_nightly_job_ends_when_the_provider_is_busy(lumen, parcelo, provider):
    provider["chat"].mock(return_value=httpx.Response(429))

    with pytest.raises(CommandError):
        call_command("summarise")

    assert provider["chat"].call_count == 1


def test_the_nightly_job_leaves_out_who_has_used_up_their_tokens(lumen, parcelo, provider, settings, capsys):
    settings.LLM_DAILY_TOKENS = 1
    Call.objects.create(organisation=lumen.organisation, kind="reply", outcome="ok", prompt_tokens=1, duration_ms=0)

    call_command("summarise")

    assert [summary.ticket for summary in Summary.objects.all()] == [parcelo.ticket]
    assert "Lumen Lighting: Your organisation has used up its assistant tokens for today." in capsys.readouterr().out
