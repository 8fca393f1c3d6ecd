"""Whatever is lost in the middle of an assistant request, the caller gets the documented answer, and nothing hangs.

Each table says what the caller of each endpoint sees: the status and the code of a refusal, or how a stream ended.
The stack is one of this module's own, on PostgreSQL, whose connections can be killed, and with a provider that can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from contract_tests.browser import (
    ASKED,
    SEARCHED,
    Browser,
    browser_of,
    conversation,
    frame,
    last_frame,
    leave,
    question,
    results,
)
from contract_tests.faults import OwnProvider, database_gone, frozen, held_by, locked, pids, service_of, until
from contract_tests.loopback import asking
from contract_tests.stack import Stack, StackError, stack_on_postgresql

FINE = {
    "summary": "200",
    "reply": "200, done",
    "triage": "200",
    "search": "200",
    "ask": "200, done",
    "reindex": "202",
    "reindex-status": "200",
}
ASK_THE_PROVIDER = ("summary", "reply", "triage", "search", "ask")
CUT = "200, error assistant_failed, cut"
LATE = "200, error assistant_timeout, cut"

REFUSED = {
    "500": "502 assistant_failed",
    "429": "503 assistant_busy, retry after 5",
    "timeout": "504 assistant_timeout",
}
"""The provider before its first byte, on each endpoint that asks it."""

BROKEN = {
    "cut": dict.fromkeys(("summary", "triage", "search"), "502 assistant_failed") | {"reply": CUT, "ask": CUT},
    "stall": dict.fromkeys(("summary", "triage", "search"), "504 assistant_timeout") | {"reply": LATE, "ask": LATE},
    "no_done": {"reply": CUT, "ask": CUT},
}
"""The provider in the middle of its answer."""

DATABASE_GONE = {
    "summary": "500 server_error",  # the summary has no place
    "reply": "200, done",  # it needed the database only before; the log has the audit row
    "triage": "500 server_error",  # the monolith cannot write the verdict
    "search": "500 server_error",  # the question is embedded, and there is nothing to compare it with
    "ask": "500 server_error",
    "reindex": "500 server_error",
    "reindex-status": "500 server_error",
}
"""Gone while the request waits for the provider, or for the database itself."""

EXCHANGE_GONE = dict.fromkeys(FINE, "503 identity_unavailable, retry after 1")
"""Nobody can say who the caller is: because the listener hangs, or because the monolith has no database either."""

EXCHANGE_GONE_MEANWHILE = FINE | {"triage": "500 server_error"}
"""Gone while the provider answers: only a verdict still needs the monolith."""

SETTINGS = {
    "LLM_CONNECT_SECONDS": "1",
    "LLM_TIMEOUT_SECONDS": "4",  # long enough for callers to leave before, on a busy machine too
    "LLM_ATTEMPTS": "1",  # one fault, one failure; retries have their own tests
    "LLM_DAILY_TOKENS": "0",
    "LEGACY_TIMEOUT_SECONDS": "1",
    "DATABASE_CONNECTIONS": "1",  # one that is not given back stops everything
    "DATABASE_BUSY_SECONDS": "5",
}
IDENTITY_SECONDS = 3
"""For the exchange, which is lost as well."""


@pytest.fixture(scope="module")
def provider() -> Iterator[OwnProvider]:
    with OwnProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def stack(provider: OwnProvider) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (SETTINGS | {"LLM_BASE_URL": f"{provider.url}/v1"}).items():
            environment.setenv(name, value)
        with stack_on_postgresql(IDENTITY_SECONDS) as stack:
            stack.move("extracted")
            yield stack


@pytest.fixture(scope="module")
def held_before(stack: Stack) -> dict[str, Counter[str]]:
    """Router and service, warm and idle."""
    with browser_of(stack) as browser:
        assert browser.outcomes(*FINE) == FINE
    return wait_until_idle(stack)


@pytest.fixture
def browser(stack: Stack, held_before: object) -> Iterator[Browser]:
    """One whose session nobody remembers, and a provider that is told nothing yet; afterwards all is fine again."""
    stack.forget_faults()
    stack.forget_calls()
    with browser_of(stack) as browser:
        yield browser
        stack.forget_faults()
        assert browser.outcomes(*FINE) == FINE


def wait_until_idle(stack: Stack) -> dict[str, Counter[str]]:
    """What they hold when nobody asks anything: the router no connection, the service its two to the database."""
    processes = {name: pids(stack)[name] for name in ("router", "extracted")}

    def is_idle() -> bool:
        connections = {name: held_by(pid)["established connections"] for name, pid in processes.items()}
        return connections == {"router": 0, "extracted": 2}

    until(is_idle, "router and service are idle")
    return {name: held_by(pid) for name, pid in processes.items()}


def calls(stack: Stack) -> list[dict[str, Any]]:
    """What the endpoints asked the provider; the background jobs ask, too, whenever they like."""
    return [
        call
        for call in stack.calls()
        if call["path"] == "/v1/chat/completions" or call["body"]["input"] in ([SEARCHED], [ASKED])
    ]


def held_up(stack: Stack) -> int:
    """How many of them a fault holds up just now."""
    return sum(call["fault"] is not None and call["seconds"] is None for call in calls(stack))


def break_every_answer(stack: Stack, kind: str) -> None:
    """The call that each endpoint cannot do without; what the background jobs ask is left alone."""
    stack.fault(kind, path="/v1/chat/completions", count=4)
    stack.fault(kind, path="/v1/embeddings", contains=SEARCHED)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_provider_that_fails_before_its_first_byte_makes_a_real_status(
    stack: Stack, browser: Browser, kind: str
) -> None:
    break_every_answer(stack, kind)

    assert browser.outcomes(*ASK_THE_PROVIDER) == dict.fromkeys(ASK_THE_PROVIDER, REFUSED[kind])


@pytest.mark.parametrize("kind", BROKEN)
def test_a_provider_that_fails_in_the_middle_makes_no_whole_answer(stack: Stack, browser: Browser, kind: str) -> None:
    break_every_answer(stack, kind)

    assert browser.outcomes(*BROKEN[kind]) == BROKEN[kind]


def test_a_killed_provider_is_one_that_cuts_its_answers(stack: Stack, browser: Browser, provider: OwnProvider) -> None:
    break_every_answer(stack, "stall")

    with browser.under_way(*ASK_THE_PROVIDER) as outcomes:
        until(lambda: held_up(stack) == 5, "all calls are under way")
        until(lambda: sum(call["tokens_sent"] > 0 for call in calls(stack)) == 4, "all answers have begun")
        provider.kill()
        seen = results(outcomes)
    while_away = browser.outcomes(*ASK_THE_PROVIDER)
    provider.start()

    assert seen == BROKEN["cut"]
    assert while_away == dict.fromkeys(ASK_THE_PROVIDER, "502 assistant_failed")


def test_a_frozen_provider_is_one_that_takes_too_long(browser: Browser, provider: OwnProvider) -> None:
    with provider.frozen():
        seen = browser.outcomes(*FINE)

    assert seen == FINE | dict.fromkeys(ASK_THE_PROVIDER, "504 assistant_timeout")


def test_a_database_that_goes_meanwhile_costs_what_was_to_be_read_or_written(stack: Stack, browser: Browser) -> None:
    browser.outcome("reindex-status")  # whose caller is remembered for as long as this takes
    stack.fault("held", path="/v1/chat/completions", count=3, after=0)
    for text in (SEARCHED, ASKED):
        stack.fault("held", path="/v1/embeddings", contains=text)

    with browser_of(stack) as newcomer, browser.under_way(*ASK_THE_PROVIDER) as outcomes:
        until(lambda: held_up(stack) == 5, "all calls are under way")
        with locked(stack.database_url, "assistant_job") as waiting, browser.under_way("reindex") as queueing:
            until(lambda: waiting() == 1, "a job waits to be queued")
            with browser.under_way("reindex-status") as looking:
                until(lambda: waiting() == 2, "somebody waits to see a job")
                with database_gone(stack.database_url):
                    stack.forget_faults()
                    seen = results({**outcomes, **queueing, **looking})
                    afterwards = newcomer.outcomes(*FINE)
                    ready = asking().get(f"{service_of(stack)}/ready")

    assert seen == DATABASE_GONE
    assert afterwards == EXCHANGE_GONE
    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")


def test_a_frozen_exchange_lets_nobody_through(stack: Stack, browser: Browser) -> None:
    with frozen(pids(stack)["identity"]):
        seen = browser.outcomes(*FINE)

    assert seen == EXCHANGE_GONE
    assert calls(stack) == []


def test_an_exchange_that_freezes_meanwhile_costs_a_verdict_alone(stack: Stack, browser: Browser) -> None:
    stack.fault("held", path="/v1/chat/completions", count=3, after=0)

    with browser.under_way("summary", "reply", "triage") as outcomes:
        until(lambda: held_up(stack) == 3, "all calls are under way")
        with frozen(pids(stack)["identity"]):
            stack.forget_faults()
            seen = results(outcomes)

    assert seen == {name: EXCHANGE_GONE_MEANWHILE[name] for name in outcomes}


@pytest.mark.parametrize("name", ASK_THE_PROVIDER)
def test_the_provider_is_hung_up_on_when_the_caller_leaves(stack: Stack, browser: Browser, name: str) -> None:
    break_every_answer(stack, "timeout")
    aborted = aborted_calls(stack, name)

    leave(browser, name, lambda: held_up(stack) == 1)

    until(lambda: calls(stack)[-1]["left_early"], "the provider sees the caller leave")
    assert_one_more_is_aborted(stack, name, aborted)


@pytest.mark.parametrize("name", ["reply", "ask"])
def test_the_provider_is_hung_up_on_when_the_caller_leaves_in_the_middle(
    stack: Stack, browser: Browser, name: str
) -> None:
    break_every_answer(stack, "stall")
    aborted = aborted_calls(stack, name)

    with browser.stream(name) as answer:
        next(piece for piece in answer.iter_raw() if b"event: delta" in piece)

    until(lambda: calls(stack)[-1]["left_early"], "the provider sees the caller leave")
    assert_one_more_is_aborted(stack, name, aborted)


def test_a_conversation_outlives_a_killed_provider(stack: Stack, browser: Browser, provider: OwnProvider) -> None:
    stack.fault("stall", path="/v1/chat/completions")

    with conversation(stack, browser) as connection:
        connection.send(question("first"))
        assert frame(connection)["type"] == "delta"
        provider.kill()
        failed = last_frame(connection)
        provider.start()
        connection.send(question("second"))
        done = last_frame(connection)

    assert (failed["id"], failed["type"], failed["code"]) == ("first", "error", "assistant_failed")
    assert (done["id"], done["type"]) == ("second", "done")


def test_the_provider_is_hung_up_on_when_the_caller_leaves_a_conversation(stack: Stack, browser: Browser) -> None:
    stack.fault("stall", path="/v1/chat/completions")
    aborted = aborted_calls(stack, "chat")

    with conversation(stack, browser) as connection:
        connection.send(question("first"))
        assert frame(connection)["type"] == "delta"

    until(lambda: calls(stack)[-1]["left_early"], "the provider sees the caller leave")
    assert_one_more_is_aborted(stack, "chat", aborted)


@pytest.mark.parametrize("name", ["reindex", "reindex-status"])
def test_nobody_waits_for_the_database_in_vain(stack: Stack, browser: Browser, name: str) -> None:
    """What a caller who left was waiting for ends by itself, and the connection goes back."""
    with locked(stack.database_url, "assistant_job") as waiting:
        leave(browser, name, lambda: waiting() == 1)

    until(lambda: browser.outcome(name) == FINE[name], "the connection is back")


def test_nothing_is_left_behind(stack: Stack, held_before: dict[str, Counter[str]]) -> None:
    """Descriptors, connections and threads after all that is above; on its own, after a round of each endpoint."""
    with browser_of(stack) as browser:
        assert browser.outcomes(*FINE) == FINE

    assert wait_until_idle(stack) == held_before
    assert [call for call in calls(stack) if call["seconds"] is None] == []


def aborted_calls(stack: Stack, kind: str) -> int:
    return outcomes(stack, kind).count("aborted")


def outcomes(stack: Stack, kind: str) -> list[str]:
    """How the calls of this kind ended, in the order of their audit rows."""
    return [
        str(outcome) for (outcome,) in stack.rows("SELECT outcome FROM assistant_call WHERE kind = ? ORDER BY id", kind)
    ]


def assert_one_more_is_aborted(stack: Stack, kind: str, before: int) -> None:
    try:
        until(lambda: aborted_calls(stack, kind) == before + 1, "the audit row is written")
    except StackError as error:
        raise AssertionError(f"{error}; the last calls ended so: {outcomes(stack, kind)[-4:]}") from None
