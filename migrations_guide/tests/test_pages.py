"""Every page of the guide does what it says, and a page that does not is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Stack
from .console import differences, shows, steps

GUIDE = Path(__file__).parents[1]
PAGES = sorted(GUIDE.glob("[0-9][0-9]-*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_prints_what_the_page_shows(page: Path, stack: Stack) -> None:
    text = page.read_text("utf-8")

    found = differences(text, stack.folder, stack.real)

    assert steps(text), f"{page.name} has no commands"
    assert not found, "\n\n".join(found)


def test_a_wrong_output_is_noticed_at_its_command(tmp_path: Path) -> None:
    page = _page("$ answered=legacy\n$ echo 200 $answered\n200 legacy\n$ echo 200 $answered\n200 assistant\n")

    found = differences(page, tmp_path, {})

    assert found == ["$ echo 200 $answered\nthe page shows:\n200 assistant\n\nit printed:\n200 legacy\n"]


@pytest.mark.parametrize("command", ["echo unexpected", "no-such-command", "echo >&2 failed"])
def test_output_that_the_page_does_not_show_is_noticed(command: str, tmp_path: Path) -> None:
    assert len(differences(_page(f"$ {command}\n"), tmp_path, {})) == 1


def test_what_follows_a_sleep_may_be_late(tmp_path: Path) -> None:
    page = _page("$ sleep 0\n$ test -e asked && echo new || { touch asked; echo old; }\nnew\n")

    assert differences(page, tmp_path, {}) == []


def test_a_last_line_without_its_end_is_a_line(tmp_path: Path) -> None:
    page = _page("$ printf '{}'\n{}\n$ echo next\nnext\n")

    assert differences(page, tmp_path, {}) == []


def test_fixed_names_are_replaced_in_commands_and_outputs(tmp_path: Path) -> None:
    page = _page("$ echo to http://127.0.0.1:8000/\nto http://127.0.0.1:8000/\n$ echo http://127.0.0.1:9\n…:9\n")

    assert differences(page, tmp_path, {"http://127.0.0.1:8000": "http://127.0.0.1:9"}) == []


@pytest.mark.parametrize(
    ("expected", "fits"),
    [("a\n…\nd\n", True), ("…\n", True), ("a\nb…c\nd\n", True), ("a\nd\n", False), ("a\n…\nc\n", False), ("", False)],
)
def test_an_ellipsis_stands_for_the_rest_of_a_line_or_for_lines(expected: str, fits: bool) -> None:
    assert shows(expected, "a\nb and c\nd\n") is fits


def test_the_contents_name_every_page() -> None:
    contents = (GUIDE / "README.md").read_text("utf-8")

    assert [page.name for page in PAGES if f"({page.name})" not in contents] == []


def _page(console: str) -> str:
    return f"# A page\n\n```console\n{console}```\n"
