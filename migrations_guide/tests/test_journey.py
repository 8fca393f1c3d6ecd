"""The runner on small pages: it knows where the reader is, notices what is wrong, and goes back."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrations_guide.beginning import ROOT
from migrations_guide.journey import SITE, Journey, State, Stopped
from migrations_guide.pages import page_of

PAGE = """# A page
## Do
```diff
--- a/word
+++ b/word
@@ -1 +1 @@
-legacy
+extracted
```
```console
$ who=$(cat word)
$ echo 200 $who | tee answered
200 extracted
```
## Check
```console
$ cat answered word
200 extracted
extracted
```
## Roll back
```console
$ rm -f answered
```
"""


@pytest.fixture
def real() -> Iterator[dict[str, str]]:
    with socket.create_server(("127.0.0.1", 0)) as site:
        yield {SITE: f"http://127.0.0.1:{site.getsockname()[1]}"}


@pytest.fixture
def said() -> list[str]:
    return []


def _journey(folder: Path, real: dict[str, str], said: list[str], text: str = PAGE) -> Journey:
    (folder / "word").write_text("legacy\n", "utf-8")
    journey = Journey(folder, [page_of("00-page", text)], said.append, real)
    journey.begin()
    return journey


def test_a_page_is_done_checked_undone_and_done_again(tmp_path: Path, real: dict[str, str], said: list[str]) -> None:
    journey = _journey(tmp_path, real, said)
    page = journey.pages[0]

    before = journey.check(page)
    journey.next()
    after = journey.check(page)
    journey.undo()
    undone = journey.check(page)

    assert (bool(before), after, bool(undone)) == (True, [], True)
    assert (tmp_path / "word").read_text("utf-8") == "legacy\n"
    assert journey.state == State()
    assert "200 extracted" in said


@pytest.mark.parametrize("section", ["Do", "Check"])
def test_one_weakened_output_is_noticed_at_its_command(
    section: str, tmp_path: Path, real: dict[str, str], said: list[str]
) -> None:
    before, heading, after = PAGE.partition(f"## {section}\n")
    journey = _journey(tmp_path, real, said, before + heading + after.replace("200 extracted", "200 legacy", 1))

    if section == "Do":
        with pytest.raises(Stopped, match=r"(?s)the page shows:\n200 legacy\n\nit printed:\n200 extracted"):
            journey.next()
        return
    journey.next()
    found = journey.check(journey.pages[0])

    assert len(found) == 1
    assert found[0].startswith("$ cat answered word\n")


def test_one_removed_edit_is_noticed(tmp_path: Path, real: dict[str, str], said: list[str]) -> None:
    start, end = PAGE.index("```diff"), PAGE.index("```console")
    journey = _journey(tmp_path, real, said, PAGE[:start] + PAGE[end:])

    with pytest.raises(Stopped, match="200 legacy"):
        journey.next()


@pytest.mark.parametrize("command", ["echo unexpected", "no-such-command", "echo >&2 failed"])
def test_output_that_the_page_does_not_show_is_noticed(
    command: str, tmp_path: Path, real: dict[str, str], said: list[str]
) -> None:
    journey = _journey(tmp_path, real, said, PAGE.replace("$ who=", f"$ {command}\n$ who="))

    with pytest.raises(Stopped, match="the page shows"):
        journey.next()


def test_a_page_that_did_not_end_well_is_taken_back_as_far_as_it_went(
    tmp_path: Path, real: dict[str, str], said: list[str]
) -> None:
    journey = _journey(tmp_path, real, said, PAGE.replace("200 extracted\n", "never\n", 1))

    with pytest.raises(Stopped, match="undo takes it back"):
        journey.next()
    with pytest.raises(Stopped, match="was begun and did not end well"):
        journey.next()
    journey.undo()

    assert journey.state == State()
    assert sorted(file.name for file in tmp_path.iterdir()) == [".guide.json", "word"]
    assert (tmp_path / "word").read_text("utf-8") == "legacy\n"


def test_an_edit_that_does_not_fit_says_what_git_says(tmp_path: Path, real: dict[str, str], said: list[str]) -> None:
    journey = _journey(tmp_path, real, said)
    (tmp_path / "word").write_text("something else\n", "utf-8")

    with pytest.raises(Stopped, match=r"(?s)git apply says:.*patch does not apply"):
        journey.next()


@pytest.mark.parametrize("command", ["rm word", "echo legacy > word"])
def test_what_a_roll_backs_commands_have_taken_back_is_not_taken_back_again(
    command: str, tmp_path: Path, real: dict[str, str], said: list[str]
) -> None:
    journey = _journey(tmp_path, real, said, PAGE.replace("$ rm -f answered", f"$ rm -f answered\n$ {command}"))
    journey.next()

    _, found = journey.undo()

    assert found == []
    assert journey.state == State()


def test_an_edit_that_was_changed_by_hand_is_left_to_the_hand(
    tmp_path: Path, real: dict[str, str], said: list[str]
) -> None:
    journey = _journey(tmp_path, real, said)
    journey.next()
    (tmp_path / "word").write_text("mine\n", "utf-8")

    with pytest.raises(Stopped, match="cannot be taken back; put its file right by hand"):
        journey.undo()


def test_a_page_prints_the_same_in_any_terminal(
    tmp_path: Path, real: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    asked = "$ echo ${COLUMNS-80} ${FORCE_COLOR-plain}\n80 plain\n"
    journey = _journey(tmp_path, real, said, PAGE.replace("$ who=", f"{asked}$ who="))

    assert journey.next().title == "A page"


@pytest.mark.parametrize("silent", ["", "$ echo silent > notes\n"])
def test_what_is_shown_after_a_sleep_may_be_late(
    silent: str, tmp_path: Path, real: dict[str, str], said: list[str]
) -> None:
    late = f"$ sleep 0\n{silent}$ test -e asked && echo new || {{ touch asked; echo old; }}\nnew\n"
    journey = _journey(tmp_path, real, said, PAGE.replace("$ who=", f"{late}$ who="))

    assert journey.next().title == "A page"


def test_what_may_be_late_is_looked_at_three_times_however_long_a_look_takes(
    tmp_path: Path, real: dict[str, str], said: list[str]
) -> None:
    third = "$ sleep 0\n$ echo look >> looks; grep -c look looks\n3\n"
    journey = _journey(tmp_path, real, said, PAGE.replace("$ who=", f"{third}$ who="))

    assert dataclasses.replace(journey, patience_seconds=1e-9).next().title == "A page"


def test_every_misuse_gets_a_sentence(tmp_path: Path, real: dict[str, str], said: list[str]) -> None:
    journey = _journey(tmp_path, real, said)

    with pytest.raises(Stopped, match="No page is done yet, so there is nothing to undo"):
        journey.undo()
    with pytest.raises(Stopped, match="No page is done yet: next does the first one"):
        journey.last()
    journey.next()
    with pytest.raises(Stopped, match="That was the last page"):
        journey.next()
    (tmp_path / ".guide.json").write_text("{", "utf-8")
    with pytest.raises(Stopped, match=r"cannot be read\. Begin again in a new folder"):
        journey.next()


def test_without_the_stage_no_page_is_begun(tmp_path: Path, said: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as site:
        nobody = {SITE: f"http://127.0.0.1:{site.getsockname()[1]}"}
    journey = _journey(tmp_path, nobody, said)

    with pytest.raises(Stopped, match=r"Nothing answers at .*In another terminal, in this folder: make up"):
        journey.next()
    assert journey.state == State()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["next"], "is no folder of this guide: make one with start DIR"),
        (["start", str(ROOT / "inside")], "name a folder outside of it"),
        (["start", "."], "is there already: name a new folder"),
        (["start", "file/inside"], "cannot be made (Not a directory): name another folder"),
    ],
)
def test_the_command_line_refuses_in_one_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "migrations_guide", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_start_makes_the_beginning_and_status_shows_the_pages(tmp_path: Path) -> None:
    def run(*arguments: str, cwd: Path) -> str:
        command = [sys.executable, "-m", "migrations_guide", *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout

    said = run("start", str(tmp_path / "copy"), cwd=ROOT)
    status = run("status", cwd=tmp_path / "copy")

    assert "make up ARGS=--no-router" in said
    assert "00  Meet the helpdesk" in status
    assert "[[routes]]" not in (tmp_path / "copy" / "routes.toml").read_text("utf-8")
    assert subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path / "copy", capture_output=True).stdout == b""
