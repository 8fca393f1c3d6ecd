"""`python -m migrations_guide.pictures`: takes every picture of the guide anew, on a stack of its own, in minutes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from .bars import page_of_bars
from .beginning import ROOT
from .pages import GUIDE

PICTURES = GUIDE / "pictures"
START_SECONDS, COMMAND_SECONDS = 120, 600
WIDTH, HEIGHT = 1000, 640
OFFLINE = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
UNHURRIED = ("--latency-seconds", "0.5", "--tokens-per-second", "25")
"""So that a draft can be caught in the middle."""
OPERATOR = {"USER": "maya", "LOGNAME": "maya"}  # the report says who moved a route


class Untaken(Exception):
    """The pictures cannot be taken; the sentence says why."""


@dataclass(frozen=True)
class Studio:
    """A stack that runs, and a browser in front of it."""

    page: Page
    router: str
    provider: str
    routes: Path
    data: Path
    demo: Path


def draft(studio: Studio, file: Path) -> None:
    """A ticket, while the assistant is writing a reply to it."""
    page = studio.page
    page.goto(f"{studio.router}/login/")
    page.get_by_label("Username").fill("jonas")
    page.get_by_label("Password").fill("helpdesk")
    page.get_by_role("button", name=re.compile("log in|sign in", re.IGNORECASE)).click()
    page.locator("ol.tickets > li > a").first.click()
    page.wait_for_url(re.compile(r"/tickets/\d+/$"))
    page.locator("[data-action=draft]").click()
    page.wait_for_function("document.querySelector('[data-role=draft]').value.length > 120")
    page.screenshot(path=file)


def survey(studio: Studio, file: Path) -> None:
    """Whom the monolith's workers wait for, as page 01 asks."""
    load = ("--readers", "6", "--assistants", "6", "--at-once", "6", "--seconds", "8")
    _run("sandbox", "callers", "--url", studio.router, *load)
    spans = str(studio.data / "traces.jsonl")
    _run("router", "survey", spans, "--service", "legacy", "--workers", "2", "--plot", str(file))


def report(studio: Studio, file: Path) -> None:
    """What the evidence says of two routes, of which one still has to be excused what must differ."""
    studio.page.request.put(
        f"{studio.provider}/sandbox/settings", data={"latency_seconds": 0.02, "tokens_per_second": 0}
    )
    for route in ("ticket-summary", "ticket-reply"):
        _run("router", "advance", route, "--to", "shadow", "--file", str(studio.routes))
    time.sleep(2)  # a running router takes an edit over within a second
    _run("sandbox", "callers", "--url", studio.router, "--readers", "0", "--assistants", "4", "--at-once", "4",
         "--seconds", "10")  # fmt: skip
    time.sleep(2)  # the last copies are compared
    html = studio.data / "report.html"
    _run("router", "report", str(studio.routes), "--html", str(html), fine=(0, 1, 3))
    studio.page.goto(html.as_uri())
    end = studio.page.locator("h2").nth(1).bounding_box()
    height = end["y"] if end else HEIGHT
    studio.page.screenshot(path=file, clip={"x": 0, "y": 0, "width": WIDTH, "height": height}, full_page=True)


def demo(studio: Studio, file: Path) -> None:
    """What `make demo` measured: reading a ticket alone, beside the assistant, and once that is extracted."""
    measured = json.loads((studio.demo / "demo" / "measured.json").read_text("utf-8"))
    told = {
        "nobody uses the assistant": measured["alone"],
        "six others use it, on Django": measured["on_legacy"],
        "six others use it, extracted": measured["on_extracted"],
    }
    rows = [(says, act["reads"]["p50"] * 1000) for says, act in told.items()]
    studio.page.set_content(page_of_bars("Reading a page of the helpdesk, median in ms", rows))
    studio.page.locator("main").screenshot(path=file)


TAKEN: dict[str, Callable[[Studio, Path], None]] = {
    "demo.png": demo,
    "draft.png": draft,
    "survey.svg": survey,
    "report.png": report,
}
"""In the order in which they are taken."""


def take(folder: Path = PICTURES) -> None:
    """All of them, each under its name. Raises Untaken."""
    chromium = _chromium()
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        demo_data, stage_data = Path(scratch) / "demo", Path(scratch) / "stage"
        print("make demo, in two minutes …", flush=True)
        # Whether what it claims held on this machine just now is its own business.
        _run("sandbox", "demo", "--once", "--port-base", "0", "--data", str(demo_data), fine=(0, 1))
        with _studio(stage_data, demo_data, chromium) as studio:
            for name, picture in TAKEN.items():
                picture(studio, folder / name)
                print(f"{(folder / name).relative_to(folder.parent)}: {picture.__doc__}", flush=True)


def _chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        raise Untaken("There is no browser to take the pictures with: install Debian's package chromium.")
    return found


@contextmanager
def _studio(data: Path, demo_data: Path, chromium: str) -> Iterator[Studio]:
    data.mkdir()
    routes, ready = data / "pictures.toml", data / "ready.json"
    routes.write_text(of_two_routes((ROOT / "routes.toml").read_text("utf-8")), "utf-8")
    options = ("--port-base", "0", "--data", str(data), "--routes", str(routes), "--ready-file", str(ready), "--quiet")
    command = [sys.executable, "-m", "sandbox", "up", *options, *UNHURRIED]
    stack = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _wait(stack, ready)
        told = json.loads(ready.read_text("utf-8"))
        with opened(chromium) as page:
            yield Studio(page, told["router"], told["provider"], routes, data, demo_data)
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait(timeout=60)


@contextmanager
def opened(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OFFLINE)
        yield browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        browser.close()


def of_two_routes(routes: str) -> str:
    """The first two, the first of them as page 06 has it: its rules come with page 07."""
    two = "\n[[routes]]".join(routes.split("\n[[routes]]")[:3])
    return re.sub(r", rules = \[.*?\n\]", "", two, count=1, flags=re.DOTALL)


def _wait(stack: subprocess.Popen[bytes], ready: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if stack.poll() is not None or time.monotonic() > deadline:
            raise Untaken("The stack did not start: python -m sandbox up says why.")
        time.sleep(0.1)


def _run(module: str, *arguments: str, fine: tuple[int, ...] = (0,)) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **OPERATOR},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode not in fine:
        said = (done.stderr or done.stdout)[-2000:]
        raise Untaken(f"python -m {module} {' '.join(arguments)} ended with status {done.returncode}:\n{said}")


def main() -> None:
    try:
        take()
    except Untaken as why:
        print(why, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
