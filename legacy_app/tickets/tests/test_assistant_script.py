"""The pages' script in a real browser: it reads event streams in any pieces and never waits for ever."""

import shutil
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "static" / "helpdesk" / "assistant.js"
# Nothing is listening there: the browser's requests are answered by the test.
PAGE_URL = "http://helpdesk.test/"
PAGE = """<!doctype html><script type="module" src="/assistant.js"></script>
<form data-role="question-form"><textarea data-role="question">Why?</textarea>
<button type="button" data-action="stop" hidden>Stop</button><button data-action="ask">Ask</button></form>
<p data-role="status"></p><p data-role="error" hidden></p>
<section data-role="result" hidden><div data-role="answer"></div><ol data-role="citations"></ol></section>
<section data-ticket-api="/api/tickets/7"><button data-action="draft">Draft</button><p data-role="tone"></p>
<p data-role="instructions"></p><textarea data-role="draft"></textarea></section>"""

# A fetch that answers with a status and a body in pieces of bytes, and notes what it was asked.
ANSWER = """([status, pieces]) => {
  document.cookie = "csrftoken=the-token";
  window.fetch = async (url, options) => {
    window.asked = { url, method: options.method, token: options.headers["X-CSRFToken"], body: options.body };
    const start = (out) => { pieces.forEach((piece) => out.enqueue(new Uint8Array(piece))); out.close(); };
    return new Response(new ReadableStream({ start }), { status });
  };
}"""

BROKE = "The connection broke before the answer was complete. Try again."
CITED = '{"citations": [{"number": 1, "slug": "a", "title": "Lamps & <b>", "url": "/knowledge/a/", "score": 1}]}'


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("No Chromium is installed.")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser):
    opened = browser.new_page()
    opened.route(f"{PAGE_URL}**", _fulfil)
    opened.goto(PAGE_URL)
    yield opened
    opened.close()


def _fulfil(route):
    if route.request.url.endswith(".js"):
        route.fulfill(body=SCRIPT.read_text(encoding="utf-8"), content_type="text/javascript")
        return
    route.fulfill(body=PAGE, content_type="text/html; charset=utf-8")


def event(name, data, end="\n"):
    return f"event: {name}{end}data: {data}{end}{end}"


def whole(text):
    return [list(text.encode())]


def byte_by_byte(text):
    return [[byte] for byte in text.encode()]


def ask(page, pieces, status=200):
    """What the page shows in the end; waiting has a limit, so a page that waits for ever fails the test."""
    page.evaluate(ANSWER, [status, pieces])
    return _pressed(page, "ask")


def _pressed(page, action):
    page.click(f"[data-action={action}]")
    page.wait_for_function("!document.body.dataset.busy", timeout=30_000)
    assert page.is_enabled("[data-action=ask]")
    assert page.is_hidden("[data-action=stop]")
    return {name: page.text_content(f"[data-role={name}]") for name in ("answer", "citations", "error")}


@pytest.mark.parametrize("cut", [whole, byte_by_byte])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_a_stream_is_read_in_whatever_pieces_it_comes(page, end, cut):
    stream = f": hello{end}" + event("citations", CITED, end)
    stream += event("delta", '{"text": "Grüße\u2028[1]"}', end) + event("delta", '{"text": "[2]."}', end)
    stream += event("done", '{"finish_reason": "stop"}', end)

    shown = ask(page, cut(stream))

    assert shown == {"answer": "Grüße\u2028[1][2].", "citations": "Lamps & <b>", "error": ""}
    assert page.locator("[data-role=answer] a").evaluate_all("all => all.map((a) => a.getAttribute('href'))") == [
        "/knowledge/a/"
    ]


def test_the_api_is_called_with_the_token_of_the_cookie(page):
    ask(page, whole(event("done", "{}")))

    assert page.evaluate("window.asked") == {
        "url": "/api/ask",
        "method": "POST",
        "token": "the-token",
        "body": '{"question":"Why?"}',
    }


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (event("delta", '{"text": "Half"}'), BROKE),
        (event("delta", '{"text": "Half"}') + "event: done\ndata: {}\n", BROKE),
        (event("delta", '{"text": "Half"}') + event("delta", "{"), BROKE),
        (
            event("delta", '{"text": "Half"}') + event("error", '{"detail": "It could not answer."}'),
            "It could not answer.",
        ),
    ],
    ids=["no done", "done cut off", "no json", "error"],
)
def test_a_stream_that_does_not_end_well_keeps_its_text_and_tells_so(page, stream, error):
    shown = ask(page, whole(stream))

    assert (shown["answer"], shown["error"]) == ("Half", error)
    assert page.is_visible("[data-role=error]")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, '{"detail": "The assistant is busy. Try again later.", "code": "assistant_busy"}',
         "The assistant is busy. Try again later."),
        (400, '{"detail": "Invalid input.", "errors": {"question": ["Too long."]}}', "Invalid input. Too long."),
        (401, '{"detail": "…"}', "You are signed out. Reload the page and sign in again."),
        (502, "<html>", "The helpdesk answered with status 502."),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_its_own_words(page, status, body, error):
    assert ask(page, whole(body), status)["error"] == error


def test_a_helpdesk_that_cannot_be_reached_is_told(page):
    page.evaluate("() => { window.fetch = async () => { throw new TypeError('Failed to fetch'); }; }")

    assert _pressed(page, "ask")["error"] == "The helpdesk cannot be reached. Try again."


def test_whoever_stops_a_stream_is_free_again(page):
    page.evaluate(
        """() => { window.fetch = (url, { signal }) => new Promise((_, refuse) => {
             signal.addEventListener("abort", () => refuse(signal.reason)); }); }"""
    )
    page.click("[data-action=ask]")

    page.click("[data-action=stop]")

    page.wait_for_function("!document.body.dataset.busy", timeout=30_000)
    assert page.text_content("[data-role=status]") == "Stopped."
    assert page.is_hidden("[data-role=error]")


def test_a_draft_never_replaces_what_the_agent_wrote(page):
    box = "[data-role=draft]"
    page.fill(box, "My own words")

    drafts = []
    for text in ("First.", "Second."):
        page.evaluate(ANSWER, [200, whole(event("delta", f'{{"text": "{text}"}}') + event("done", "{}"))])
        _pressed(page, "draft")
        drafts.append(page.input_value(box))

    assert drafts == ["My own words\n\nFirst.", "My own words\n\nSecond."]
