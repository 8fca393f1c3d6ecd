"""What only gunicorn and a real socket can show: pacing, cut connections, callers and workers that leave."""

import http.client
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from django.db import connection

from legacy_app.assistant import jobs
from legacy_app.assistant.sse import events
from legacy_app.assistant.tests import servers
from legacy_app.assistant.tests.conftest import DONE, END, ROLE, chunk
from legacy_app.knowledge.models import Article

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="copies the test database as a file"),
]

SECRET_KEY = "for the processes of this test only, " * 2
TOKENS = ["One", " two", " three"]


@pytest.fixture
def stage(lumen, sign_in, settings, tmp_path):
    """The test's data as a file for other processes, and how to run them."""
    settings.SECRET_KEY = SECRET_KEY
    cookies = f"sessionid={sign_in(lumen.agent).cookies['sessionid'].value}; csrftoken={'c' * 32}"
    database = tmp_path / "helpdesk.sqlite3"
    environment = {"DATABASE_URL": f"sqlite:///{database}", "SECRET_KEY": SECRET_KEY}

    def publish():
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(database)])

    return SimpleNamespace(
        publish=publish,
        database=database,
        environment=environment,
        headers={"Cookie": cookies, "X-CSRFToken": "c" * 32},
        reply=f"/api/tickets/{lumen.ticket.pk}/reply",
    )


@contextmanager
def replying(stage, script, **environment):
    """The provider, and the response to a request for a reply."""
    stage.publish()
    with servers.provider(script) as provider:
        environment |= stage.environment | {"LLM_BASE_URL": provider.url}
        with servers.gunicorn(environment) as port:
            caller = http.client.HTTPConnection("127.0.0.1", port, timeout=servers.DEADLINE_SECONDS)
            caller.request("POST", stage.reply, headers=stage.headers)
            try:
                yield provider, caller.getresponse(), caller
            finally:
                caller.close()


def read_events(response):
    return events(iter(response.read1, b""))


def audited(stage):
    return servers.rows(stage.database, "select kind, outcome from assistant_call")


def test_each_token_arrives_before_the_next_one_is_made(stage):
    """The provider waits for the caller to have seen the last token: whoever buffers never ends."""
    seen = threading.Semaphore(0)

    def speak(provider):
        provider.sendall(servers.HEAD + ROLE)
        for token in TOKENS:
            provider.sendall(chunk(token))
            assert seen.acquire(timeout=servers.DEADLINE_SECONDS)
        provider.sendall(END + DONE)

    with replying(stage, speak) as (_, response, _caller):
        names = []
        for event in read_events(response):
            names.append(event.name)
            seen.release()

    assert response.status == 200
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert names == ["delta"] * 3 + ["done"]


def test_a_provider_that_dies_mid_stream_is_a_cut_connection(stage):
    def die(provider):
        provider.sendall(servers.HEAD + ROLE + chunk("Hello"))

    with replying(stage, die) as (_, response, _caller):
        received = b""
        with pytest.raises(http.client.IncompleteRead) as cut:
            received = response.read()

    received += cut.value.partial
    assert [event.name for event in events([received])] == ["delta", "error"]
    assert audited(stage) == [("reply", "failed")]


def test_a_deadline_mid_stream_is_a_cut_connection_too(stage):
    def stall(provider):
        provider.sendall(servers.HEAD + ROLE + chunk("Hello"))
        provider.recv(1)

    with (
        replying(stage, stall, LLM_TIMEOUT_SECONDS="3") as (_, response, _caller),
        pytest.raises(http.client.IncompleteRead) as cut,
    ):
        response.read()

    assert b'"code": "assistant_timeout"' in cut.value.partial
    assert audited(stage) == [("reply", "timeout")]


def test_a_provider_that_dies_before_the_first_token_is_a_status(stage):
    with replying(stage, lambda provider: None) as (_, response, _caller):
        body = response.read()

    assert response.status == 502
    assert body == b'{"detail": "The assistant could not answer.", "code": "assistant_failed"}'


def test_a_caller_who_leaves_is_noticed_at_the_next_token(stage):
    left = threading.Event()

    def speak(provider):
        provider.sendall(servers.HEAD + ROLE + chunk("Hello"))
        assert left.wait(servers.DEADLINE_SECONDS)
        while True:
            provider.sendall(chunk("more"))

    with replying(stage, speak) as (provider, response, caller):
        next(read_events(response))
        response.close()
        caller.close()
        left.set()

        assert provider.hung_up.wait(servers.DEADLINE_SECONDS)
        servers.eventually(lambda: audited(stage) == [("reply", "aborted")])


def test_the_jobs_worker_ends_at_once_and_leaves_its_job_for_another(stage, lumen):
    Article.objects.create(organisation=lumen.organisation, slug="a", title="A", body="One.")
    jobs.queue(lumen.lead)
    stage.publish()

    with servers.provider(lambda provider: provider.recv(1)) as provider:
        environment = stage.environment | {"LLM_BASE_URL": provider.url}
        with servers.process(["legacy_app/manage.py", "jobs"], environment) as worker:
            assert provider.called.wait(servers.DEADLINE_SECONDS)

    assert worker.returncode == 0
    assert servers.rows(stage.database, "select status, started_at from assistant_job") == [("queued", None)]
    assert audited(stage) == [("reindex", "aborted")]
