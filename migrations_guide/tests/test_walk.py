"""The whole guide is walked on real processes: each page is checked, done, checked, rolled back and done again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from migrations_guide.beginning import ROOT, routes_at_the_beginning
from migrations_guide.journey import Journey
from migrations_guide.pages import Page, all_pages
from migrations_guide.shell import replaced, steps

PAGES = all_pages()
pytestmark = pytest.mark.timeout(900)  # a page is done twice, on a machine that may be busy


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_check_fails_before_its_page_passes_after_it_fails_once_undone_and_passes_again(
    page: Page, journey: Journey
) -> None:
    assert journey.state.done == PAGES.index(page), "a page before this one did not go well"
    hurried = dataclasses.replace(journey, patience_seconds=0)  # what is to fail needs no second chance
    assert hurried.check(page), "passes before the page is done"

    journey.next()
    after = journey.check(page)
    _, while_undone = journey.undo()
    undone = hurried.check(page)
    journey.next()
    again = journey.check(page)

    assert not after, "\n\n".join(after)
    assert not while_undone, "\n\n".join(while_undone)
    assert undone, "passes although the page is undone"
    assert not again, "\n\n".join(again)


def test_whatever_line_of_a_checks_output_is_changed_the_check_fails(journey: Journey) -> None:
    page = next(page for page in PAGES if page.name.startswith("04"))
    lines = [line for block in page.check for step in steps(block.text) for line in step.output.splitlines()]
    shown = [line for line in lines if line != "…" and not line.startswith("stage") and "upstream" not in line]
    assert len(shown) >= 4

    for line in shown:
        wrong = tuple(dataclasses.replace(b, text=b.text.replace(f"\n{line}\n", f"\n{line}!\n")) for b in page.check)
        assert wrong != page.check
        assert journey.check(dataclasses.replace(page, check=wrong)), f"nobody noticed that {line!r} is wrong"


def test_the_whole_way_back_ends_at_the_beginning(journey: Journey) -> None:
    while journey.state.done:
        _, found = journey.undo()
        assert not found, "\n\n".join(found)

    beginning = routes_at_the_beginning((ROOT / "routes.toml").read_text("utf-8"))
    assert (journey.folder / "routes.toml").read_text("utf-8") == replaced(beginning, journey.real)


@pytest.fixture(scope="module")
def front(journey: Journey) -> Iterator[Page]:
    """The router is in front, and nothing else is done."""
    page = next(page for page in PAGES if page.name.startswith("02"))
    only = dataclasses.replace(journey, pages=[page])
    only.next()
    yield page
    only.undo()


@pytest.mark.parametrize("number", ["04", "05"])
def test_a_page_that_lost_its_edit_does_not_pass(number: str, journey: Journey, front: Page) -> None:
    page = next(page for page in PAGES if page.name.startswith(number))
    spoiled = dataclasses.replace(page, do=tuple(block for block in page.do if block.language != "diff"))
    short = dataclasses.replace(journey, pages=[front, spoiled])

    short.next()
    found = short.check(spoiled)
    short.undo()

    assert spoiled != page
    assert found
