"""What can be seen of the pages without doing them: blocks, links, tables, and the beginning that they start from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migrations_guide.beginning import ROOT, START, apply, start_diff
from migrations_guide.pages import GUIDE, RUN, Page, all_pages, blocks, page_of, sections
from migrations_guide.shell import shows, steps

PAGES = all_pages()
WHY_NOT = ("Not run:", "Not compared:")
LAST = "In your own app"
KINDS = ("plain Django", "DRF", "Ninja", "sessions", "tokens", "WSGI", "ASGI", "SQLite", "PostgreSQL")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_every_code_block_is_run_or_says_why_not(page: Page) -> None:
    silent = [b.text for b in blocks(page.text) if b.language not in RUN and not b.after.startswith(WHY_NOT)]

    assert silent == []
    assert page.text.count("\n```") == 2 * len(list(blocks(page.text))), "a fence that nobody reads"


@each_page
def test_every_command_can_be_read(page: Page) -> None:
    for block in (*page.do, *page.check, *page.roll_back):
        assert block.language == "diff" or steps(block.text)


@each_page
def test_every_link_resolves(page: Page) -> None:
    for text, target in re.findall(r"\[([^\]]+)\]\(([^)#\s]+)[^)]*\)", page.text):
        assert target.startswith("http") or (GUIDE / target).exists(), f"[{text}] leads to {target}"


@each_page
def test_every_page_has_the_same_parts_in_the_same_order(page: Page) -> None:
    parts = dict(sections(page.text))

    assert list(parts) == ["", "Do", "Check", "Roll back", LAST]
    assert "| stage | who answers | what happens if it goes wrong | time |" in parts[""]
    assert [kind for kind in KINDS if kind not in parts[LAST]] == []


def test_every_anchor_exists() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s]+)#([^)]+)\)", page.text):
            headings = re.findall(r"^#+ (.+)$", (GUIDE / target).read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings]


def test_the_contents_name_every_page() -> None:
    contents = (GUIDE / "README.md").read_text("utf-8")

    assert [page.name for page in PAGES if f"({page.name}.md)" not in contents] == []


def test_the_beginning_fits_what_is_there_today() -> None:
    expected = start_diff((ROOT / "routes.toml").read_text("utf-8"))

    assert START.read_text("utf-8") == expected, "routes.toml has changed: python -m migrations_guide.beginning"


@pytest.mark.parametrize("edit", [edit for page in PAGES for edit in page.edits if "a/legacy_app/" in edit])
def test_an_edit_of_the_monolith_fits_what_is_there_today(edit: str, tmp_path: Path) -> None:
    for name in re.findall(r"^--- a/(.+)$", edit, re.MULTILINE):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")

    apply(tmp_path, edit)


@pytest.mark.parametrize(
    ("expected", "fits"),
    [("a\n…\nd\n", True), ("…\n", True), ("a\nb…c\nd\n", True), ("a\nd\n", False), ("a\n…\nc\n", False), ("", False)],
)
def test_an_ellipsis_stands_for_the_rest_of_a_line_or_for_lines(expected: str, fits: bool) -> None:
    assert shows(expected, "a\nb and c\nd\n") is fits


@pytest.mark.parametrize(
    ("printed", "fits"),
    [
        ("│ page │  1,234 ms │ 0 │\n", True),
        ("│ page │ 7 ms │ 0 │\n", True),
        ("│ page │ 7 ms │ 3 │\n", False),
        ("│ page │ 7 s │ 0 │\n", False),
    ],
)
def test_where_figures_vary_a_number_is_any_other_but_none_is_not_some(printed: str, fits: bool) -> None:
    assert shows("│ page │ 12.5 ms │ 0 │\n", printed, varies=True) is fits


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# P\n\n## Do\n\n## Check\n", "no section '## Roll back'"),
        ("# P\n```console\n$ ls\n```\n## Do\n## Check\n## Roll back\n", "commands or edits under ''"),
        ("# P\n## Do\n## Check\n```diff\n-a\n```\n## Roll back\n", "an edit outside of '## Do'"),
    ],
)
def test_a_page_that_would_not_be_run_as_a_whole_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        page_of("00-page", text)


def test_pages_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10-last", "02-first"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n## Do\n## Check\n## Roll back\n", "utf-8")

    assert [page.title for page in all_pages(tmp_path)] == ["02-first", "10-last"]
