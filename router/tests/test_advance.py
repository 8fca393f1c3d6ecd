"""`advance` and `rollback` change one word or number of routes.toml, whole or not at all, and nothing else in it."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from .. import edit
from ..cli import app
from ..cli.advance import advance
from ..config import Config, Route
from ..edit import moved, read, swap
from ..errors import ConfigError, EditError
from ..steps import PERCENTS, STAGES, Place, is_forward, named_place, next_place
from .serving import routes_file
from .test_cli import command, ended, environment

TEXT = """# who answers what
upstreams = { legacy = "http://127.0.0.1:8001", assistant = "http://127.0.0.1:8002" }

[[routes]]
name   = "reply"                # the first to go
path   = "/api/tickets/{id}/reply"
stage  = "legacy"               # see the plan
split  = { percent = 10, by = "cookie:sessionid" }   # sticky
shadow = { percent = 25, effects = "none" }

# reads only
[[routes]]
name  = "search"
path  = "/api/search"
stage = "extracted"
"""


def run(file: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--file", str(file)])


def refused(file: Path, *words: str) -> str:
    """Why, with the file as it was."""
    before = file.read_bytes()

    result = run(file, *words)

    assert isinstance(result.exception, (EditError, ConfigError)), result.output
    assert file.read_bytes() == before
    assert sorted(each.name for each in file.parent.iterdir()) == [file.name]
    return str(result.exception)


@pytest.fixture(autouse=True)
def _evidence_that_allows_everything(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What it takes is `test_gate.py`'s; the journal is written where the command runs."""
    monkeypatch.setattr(sys.modules[advance.__module__], "gated", lambda config, route, then: (None, None))
    monkeypatch.chdir(tmp_path_factory.mktemp("journal"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return routes_file(tmp_path, TEXT)


def test_every_step_leads_on_until_the_last_stage() -> None:
    place: Place | None = Place("legacy")
    walk = []
    while place is not None:
        walk.append(place)
        following = next_place(place)
        assert following is None or is_forward(place, following)
        place = following

    assert list(dict.fromkeys(place.stage for place in walk)) == list(STAGES)
    assert [place.percent for place in walk if place.stage == "split"] == list(PERCENTS)
    assert [place for place in walk if place.stage != "split" and place.percent is not None] == []


@pytest.mark.parametrize(("percent", "following"), [(0.0, 1.0), (0.5, 1.0), (7.25, 10.0), (50.0, 100.0)])
def test_a_percentage_between_two_steps_goes_to_the_nearest_above(percent: float, following: float) -> None:
    assert next_place(Place("split", percent)) == Place("split", following)


def test_a_named_stage_or_percentage_is_gone_to_from_anywhere() -> None:
    now = Place("legacy")

    assert named_place(now, "extracted", None) == Place("extracted")
    assert named_place(now, "split", None) == Place("split", 1)
    assert named_place(now, None, 33.5) == Place("split", 33.5)


def test_advance_changes_the_stage_and_the_percentage_and_nothing_else(file: Path) -> None:
    result = run(file, "advance", "reply", "--to", "split")

    assert result.exit_code == 0
    assert file.read_text("utf-8") == TEXT.replace('stage  = "legacy" ', 'stage  = "split" ').replace(
        "percent = 10", "percent = 1"
    )
    assert result.output.splitlines() == [
        f"reply: legacy → split 1 %, in {file}. Running routers take it over within a second.",
        "Next is split 5 %: advance reply",
        "Back to legacy at once: rollback reply",
    ]


def test_advance_walks_through_the_split_and_out_of_it(file: Path) -> None:
    run(file, "advance", "reply", "--to", "split")
    for _ in PERCENTS[1:]:
        run(file, "advance", "reply")
    assert read(file)[1].routes[0].split.percent == 100

    run(file, "advance", "reply")

    after = STAGES[STAGES.index("split") + 1]
    assert read(file)[1].routes[0].stage == after


def test_a_percentage_with_decimals_is_written_as_it_was_said(file: Path) -> None:
    run(file, "advance", "reply", "--percent", "2.5")

    assert "percent = 2.5," in file.read_text("utf-8")


def test_rollback_goes_to_legacy_from_anywhere(file: Path) -> None:
    run(file, "advance", "reply", "--percent", "50")

    result = run(file, "rollback", "reply")

    assert result.exit_code == 0
    assert file.read_text("utf-8") == TEXT.replace("percent = 10", "percent = 50")
    assert result.output.splitlines()[0].startswith("reply: split 50 % → legacy")


def test_a_route_without_a_way_back_stays_until_its_sentence_is_taken_out(tmp_path: Path) -> None:
    line = 'no_way_back = "the view is deleted: deploy release 41 first"\n'
    file = routes_file(tmp_path, TEXT + line)

    for words in (("rollback", "search"), ("advance", "search", "--to", "reverse")):
        assert "the view is deleted: deploy release 41 first" in refused(file, *words)
    file.write_text(TEXT)

    assert run(file, "rollback", "search").exit_code == 0


def test_a_route_that_is_there_already_leaves_the_file_alone(file: Path) -> None:
    before = file.stat()

    result = run(file, "rollback", "reply")

    assert result.exit_code == 0
    assert "is in legacy already" in result.output
    assert file.stat() == before


def test_a_step_that_needs_a_table_says_which_and_leaves_the_file_alone(tmp_path: Path) -> None:
    file = routes_file(tmp_path, TEXT.replace('shadow = { percent = 25, effects = "none" }\n', ""))

    assert "stage shadow needs it: shadow = {" in refused(file, "advance", "reply")


def test_line_ends_tables_of_their_own_and_inline_lists_survive(tmp_path: Path) -> None:
    text = (
        '[upstreams]\r\nlegacy = "http://h"  # it\r\nnew = "http://n"\r\n'
        '[[routes]]\r\nname = "a"\r\npath = "/a"\r\nstage = "legacy"\r\n\r\n'
        '[routes.split]\r\npercent = 3.5 # few\r\nby = "address"\r\n'
    )
    after = moved(text, "a", Place("split", 5))

    assert after == text.replace('"legacy"\r', '"split"\r').replace("3.5", "5")
    inline = 'upstreams = {legacy="http://h",new="http://n"}\nroutes = [{name="a",path="/a",stage="legacy"}] # all\n'
    assert moved(inline, "a", Place("extracted")) == inline.replace('e="legacy"', 'e="extracted"')


def test_the_mode_survives_and_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file.name)

    run(link, "advance", "reply", "--to", "extracted")

    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert read(file)[1].routes[0].stage == "extracted"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["advance", "replay"], 'There is no route "replay". Did you mean "reply"? Routes are: reply, search'),
        (["advance", "search"], '"search" is extracted: there is no step after that. rollback search takes it back.'),
        (["advance", "reply", "--to", "extacted"], '"extacted" is no stage. Did you mean "extracted"?'),
        (["advance", "reply", "--to", "extracted", "--percent", "5"], "Only stage split has a percentage"),
        (["advance", "reply", "--percent", "101"], "101 is no percentage: say 0 to 100"),
        (["advance", "reply", "--force"], "Say why it is moved by force: --reason TEXT."),
        (["advance", "reply", "--hold-seconds", "3"], "--hold-seconds is for --auto: add that, or leave it out."),
        (["advance", "reply", "--auto", "--reason", "late"], "leave out --force, --reason and --percent."),
        (["advance", "search", "--percent", "5"], '"search" has no split to move to: give it one, such as split = {'),
        (["rollback", "replay"], 'There is no route "replay".'),
    ],
)
def test_a_move_that_cannot_be_is_refused_with_its_cure(file: Path, words: list[str], sentence: str) -> None:
    assert sentence in refused(file, *words)


def test_a_file_without_routes_says_so(file: Path) -> None:
    file.write_text('upstreams = { legacy = "http://127.0.0.1:8001" }\n', "utf-8")

    assert 'There is no route "reply". The file has none yet' in refused(file, "advance", "reply")


def test_a_file_that_is_wrong_already_is_not_touched(tmp_path: Path) -> None:
    file = routes_file(tmp_path, TEXT.replace('"extracted"', '"extacted"'))

    assert 'Did you mean "extracted"?' in refused(file, "rollback", "reply")


def test_a_gate_that_objects_stops_an_advance_unless_it_is_forced_and_never_a_way_back(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def objects(config: Config, route: Route, place: Place) -> tuple[str, None]:
        return f"{route.name} failed 3 % of the time on its way to {place}.", None

    monkeypatch.setattr(sys.modules[advance.__module__], "gated", objects)

    assert '"reply" stays in legacy: reply failed 3 %' in refused(file, "advance", "reply", "--to", "extracted")
    forced = run(file, "advance", "reply", "--to", "extracted", "--force", "--reason", "a  fire")
    assert "By force, although: reply failed 3 %" in forced.output
    assert "The reason given: a  fire" in forced.output
    assert run(file, "advance", "reply", "--to", "split").exit_code == 0
    assert run(file, "rollback", "reply").exit_code == 0


def test_what_another_program_wrote_meanwhile_is_not_overwritten(file: Path) -> None:
    text, _ = read(file)
    file.write_text(text + "# mine\n", "utf-8")

    with pytest.raises(EditError, match="was changed by somebody else just now: look at it, and try again"):
        swap(file, text, moved(text, "reply", Place("extracted")))

    assert file.read_text("utf-8") == text + "# mine\n"
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_an_edit_waits_for_another_one_and_says_so_when_it_waits_in_vain(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edit, "LOCK_SECONDS", 0.1)
    folder = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        assert "Somebody else has been changing" in refused(file, "rollback", "reply")
    finally:
        os.close(folder)

    assert run(file, "rollback", "reply").exit_code == 0


def test_of_many_operators_at_once_none_undoes_what_another_did(tmp_path: Path) -> None:
    routes = "".join(f'[[routes]]\nname = "r{n}"\npath = "/{n}"\nstage = "legacy"\n' for n in range(4))
    file = routes_file(tmp_path, f'[upstreams]\nlegacy = "http://h"\nnew = "http://n"\n{routes}')

    forced = ("--force", "--reason", "a drill")
    operators = [started("advance", f"r{n}", "--to", "extracted", *forced, "--file", str(file)) for n in range(4)]
    for operator in operators:
        assert operator.wait(100) == 0

    assert {route.stage for route in read(file)[1].routes} == {"extracted"}


def started(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(*words), env=environment(), stdout=subprocess.DEVNULL)


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> tuple[int, str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)

    assert "cannot be changed: No space left on device. Nothing was written." in refused(file, "rollback", "search")


@pytest.mark.parametrize("name", ["none.toml", "none/routes.toml"])
def test_a_file_that_is_not_there_ends_with_status_2_as_everywhere(tmp_path: Path, name: str) -> None:
    result = ended("rollback", "reply", "--file", str(tmp_path / name))

    assert result.returncode == 2
    assert "no such file" in result.stderr.lower()


def test_a_refused_edit_ends_with_status_1_and_one_sentence(file: Path) -> None:
    result = ended("advance", "replay", "--file", str(file))

    assert result.returncode == 1
    assert re.fullmatch(r"There is no route .*\n", result.stderr)
