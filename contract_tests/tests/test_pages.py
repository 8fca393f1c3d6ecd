"""The monolith's pages work in a browser through the router, in every stage, with no change to the pages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from contract_tests.caller import PASSWORD
from contract_tests.stack import Stack

CHROMIUM = shutil.which("chromium")
STAGES = ["legacy", "split", "extracted"]
PATIENCE_MILLISECONDS = 60_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's chromium to run these tests")

OFFLINE = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        yield browser
        browser.close()


@pytest.fixture(params=STAGES)
def stage(stack: Stack, request: pytest.FixtureRequest) -> str:
    stack.move(request.param)
    return str(request.param)


@pytest.fixture
def page(stack: Stack, stage: str, browser: Browser) -> Iterator[Page]:
    """A page of somebody who has just logged in, which fails on any script error or answer of 5xx."""
    context = browser.new_context(base_url=stack.router)
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "response", lambda answer: complaints.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None
    )
    page.goto("/login/")
    page.get_by_label("Username").fill("jonas")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name=re.compile("log in|sign in", re.IGNORECASE)).click()
    yield page
    context.close()
    assert complaints == []


def test_the_inbox_filters_and_pages(page: Page) -> None:
    expect(page).to_have_url(re.compile("/tickets/$"))
    rows = page.locator("ol.tickets > li")
    expect(rows.first).to_be_visible()
    first = rows.first.inner_text()

    page.get_by_role("link", name=re.compile("next", re.IGNORECASE)).click()

    expect(page).to_have_url(re.compile("page=2"))
    assert rows.first.inner_text() != first

    page.get_by_label("Status").select_option("solved")
    page.get_by_role("button", name=re.compile("filter|apply", re.IGNORECASE)).click()

    expect(page).to_have_url(re.compile("status=solved"))
    expect(rows.first).to_contain_text(re.compile("solved", re.IGNORECASE))


def test_a_ticket_is_summarised_answered_and_triaged(page: Page) -> None:
    page.locator("ol.tickets > li > a").first.click()
    expect(page).to_have_url(re.compile(r"/tickets/\d+/$"))

    page.locator("[data-action=summarise]").click()
    expect(page.locator("[data-role=summary]")).to_contain_text(re.compile(r"\w+ \w+ \w+"))

    page.locator("[data-action=draft]").click()
    draft = page.locator("[data-role=draft]")
    expect(draft).to_have_value(re.compile(r"\w+"))
    expect(page.locator("[data-action=draft]")).to_be_enabled(timeout=20_000)
    assert len(draft.input_value()) > 80

    page.locator("[data-action=triage]").click()
    expect(page.locator("[data-role=triage-result]")).to_contain_text(re.compile(r"\w+ \w+"))
    expect(page.locator("[data-role=error]:visible")).to_have_count(0)


def test_the_draft_appears_while_it_is_being_written(stack: Stack, page: Page) -> None:
    page.locator("ol.tickets > li > a").first.click()
    page.wait_for_url(re.compile(r"/tickets/\d+/$"))  # loaded, with its script
    draft, button = page.locator("[data-role=draft]"), page.locator("[data-action=draft]")
    stack.fault("held", path="/v1/chat/completions", after=5)

    button.click()
    expect(draft).to_have_value(re.compile(r"\w+"))
    begun = draft.input_value()
    expect(button).to_be_disabled()
    stack.forget_faults()
    expect(button).to_be_enabled()
    whole = draft.input_value()

    assert whole.startswith(begun.rstrip())
    assert len(whole) > 2 * len(begun)


def test_a_question_is_answered_with_links_to_its_articles(page: Page) -> None:
    page.goto("/ask/")
    page.get_by_role("textbox").first.fill("How can a customer return a lamp?")

    page.locator("[data-action=ask]").click()

    expect(page.locator("[data-role=answer]")).to_contain_text(re.compile(r"\w+ \w+ \w+"))
    link = page.locator("[data-role=citations] a").first
    expect(link).to_be_visible()
    link.click()
    expect(page).to_have_url(re.compile("/knowledge/.+/$"))
    expect(page.get_by_role("heading", level=1)).not_to_be_empty()
