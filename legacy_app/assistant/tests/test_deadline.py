"""However a provider delays, a call ends at its deadline; on real sockets, where each read alone is quick."""

import time

import pytest

from legacy_app.assistant import provider as client
from legacy_app.assistant.deadline import Deadline
from legacy_app.assistant.errors import Failed, TimedOut
from legacy_app.assistant.provider import Delta
from legacy_app.assistant.tests import servers
from legacy_app.assistant.tests.conftest import END, chunk

LIMIT_SECONDS = 0.4
# The delays would never end; generous, as the machine may be busy.
LATEST_SECONDS = 30


def never_answers(connection):
    connection.recv(1)


def drips_its_head(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    drip(connection, b"x")


def drips_comments(connection):
    connection.sendall(servers.HEAD + chunk("Hello"))
    drip(connection, b": keepalive\n\n")


def stalls_after_a_token(connection):
    connection.sendall(servers.HEAD + chunk("Hello"))
    connection.recv(1)


def drip(connection, piece):
    connection.settimeout(0.05)
    while True:
        try:
            if connection.recv(1) == b"":
                raise ConnectionResetError
        except TimeoutError:
            connection.sendall(piece)


@pytest.mark.parametrize("script", [never_answers, drips_its_head, drips_comments, stalls_after_a_token])
def test_a_call_ends_at_its_deadline(settings, script):
    with servers.provider(script) as provider:
        settings.LLM_BASE_URL = provider.url
        started = time.monotonic()

        with pytest.raises(TimedOut):
            list(client.stream([], temperature=0, max_tokens=1, until=Deadline.after(LIMIT_SECONDS)))

        assert LIMIT_SECONDS * 0.9 < time.monotonic() - started < LATEST_SECONDS


def test_what_came_in_time_is_handed_out(settings):
    with servers.provider(stalls_after_a_token) as provider:
        settings.LLM_BASE_URL = provider.url
        items = client.stream([], temperature=0, max_tokens=1, until=Deadline.after(3))

        assert next(items) == Delta("Hello")
        with pytest.raises(TimedOut):
            next(items)


def test_a_deadline_that_has_passed_leaves_no_time_at_all(settings):
    with servers.provider(never_answers) as provider:
        settings.LLM_BASE_URL = provider.url

        with pytest.raises(TimedOut):
            client.embed(["a"], until=Deadline.after(0))


def test_a_connection_that_the_provider_cuts_is_no_matter_of_time(settings):
    with servers.provider(lambda connection: connection.sendall(servers.HEAD + chunk("Hi") + END)) as provider:
        settings.LLM_BASE_URL = provider.url

        with pytest.raises(Failed):
            list(client.stream([], temperature=0, max_tokens=1, until=Deadline.after(LATEST_SECONDS)))


def test_closing_a_stream_hangs_up_on_the_provider(settings):
    with servers.provider(drips_comments) as provider:
        settings.LLM_BASE_URL = provider.url
        items = client.stream([], temperature=0, max_tokens=1, until=Deadline.after(LATEST_SECONDS))
        next(items)

        items.close()

        assert provider.hung_up.wait(servers.DEADLINE_SECONDS)
