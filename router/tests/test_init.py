"""The first routes.toml of somebody's own migration."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ..cli import app
from ..reading import load

BOTH = ("--legacy", "http://127.0.0.1:9001", "--extracted", "shop=http://127.0.0.1:9002")


def init(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", "--file", str(file), *arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run that keep evidence, and note moves in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(said: Result) -> str:
    """Without the box that typer draws, and the line ends in it."""
    return " ".join(f"{said.output} {said.exception}".replace("│", " ").split())


def test_the_file_it_writes_can_be_used_and_moves_nothing(tmp_path: Path) -> None:
    said = init(tmp_path / "routes.toml", *BOTH)

    config = load(tmp_path / "routes.toml")
    assert said.exit_code == 0, said.output
    assert {name: upstream.url for name, upstream in config.upstreams.items()} == {
        "legacy": "http://127.0.0.1:9001",
        "shop": "http://127.0.0.1:9002",
    }
    assert config.routes == ()
    assert "survey" in said.output


def test_who_has_not_what_keeps_evidence_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = init(tmp_path / "one.toml", *BOTH)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    without = init(tmp_path / "two.toml", *BOTH)

    assert "pip install sqlalchemy" not in with_it.output
    assert "Before the first copies: pip install sqlalchemy" in without.output


def test_the_example_in_it_is_right_once_its_marks_are_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    init(file, *BOTH)
    before, _, example = file.read_text().partition("#\n# [[routes]]")
    file.write_text(before + "\n[[routes]]" + example.replace("\n# ", "\n"))

    [route] = load(file).routes

    assert (route.name, route.to, route.stage, route.methods) == ("slow-endpoint", "shop", "legacy", ["POST"])


def test_a_route_that_is_named_begins_in_stage_legacy(tmp_path: Path) -> None:
    init(tmp_path / "routes.toml", *BOTH, "--route", "quote=/api/quotes/{id:int}", "--route", "ask=/api/ask")

    routes = load(tmp_path / "routes.toml").routes

    assert [(route.name, route.path, route.stage) for route in routes] == [
        ("quote", "/api/quotes/{id:int}", "legacy"),
        ("ask", "/api/ask", "legacy"),
    ]


def test_a_route_that_reads_is_copied_by_the_first_step(here: Path) -> None:
    file = here / "routes.toml"
    init(file, *BOTH, "--route", "quote=get,head /api/quotes/{id:int}")

    said = CliRunner().invoke(app, ["advance", "quote", "--file", str(file)])

    assert said.exit_code == 0, said.output
    assert "legacy → shadow" in said.output
    assert load(file).routes[0].methods == ["GET", "HEAD"]


def test_of_a_route_that_may_write_it_says_what_is_to_be_said_before_it_is_copied(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    init(file, *BOTH, "--route", "ask=POST /api/ask", "--route", "any=/api/any")
    text = file.read_text()

    file.write_text(text.replace("# shadow =", "shadow =").replace('stage   = "legacy"', 'stage   = "shadow"'))

    assert text.count("# shadow =") == 2
    assert [route.shadow.effects for route in load(file).routes] == ["none", "none"]


def test_the_commands_that_it_says_are_the_ones_to_type(here: Path) -> None:
    file = here / "routes.toml"
    said = init(file, *BOTH, "--route", "quote=GET /api/quotes/{id}").output

    commands = re.findall(r"python -m router (\w+)([^\n]*?)  ", said)
    words = [[name, *rest.split()] for name, rest in commands if name != "serve"]
    statuses = {each[0]: CliRunner().invoke(app, each).exit_code for each in words}

    assert [name for name, _ in commands] == ["check", "serve", "advance", "report", "rollback"]
    assert statuses == {"check": 0, "advance": 0, "report": 3, "rollback": 0}, "nothing is compared yet"


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    file.write_text("mine")

    said = init(file, *BOTH)

    assert said.exit_code == 2
    assert "is there already" in words(said)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--legacy", "127.0.0.1:9001", "--extracted", "shop=http://127.0.0.1:9002"), "must look like"),
        (("--legacy", "http://127.0.0.1:1", "--extracted", "http://127.0.0.1:2"), "has no name and value"),
        (("--legacy", "http://127.0.0.1:1", "--extracted", "A B=http://127.0.0.1:2"), '"A B" is no name: take small'),
        (("--legacy", "http://127.0.0.1:1", "--extracted", "legacy=http://127.0.0.1:2"), "is the monolith"),
        ((*BOTH, "--route", "a=b"), "must begin with a slash"),
        ((*BOTH, "--route", "a=G.T /b"), "routes[0]"),
        ((*BOTH, "--route", "a= "), "has no name and value"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_written(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    said = init(tmp_path / "routes.toml", *arguments)

    assert said.exit_code != 0
    assert sentence in words(said)
    assert not (tmp_path / "routes.toml").exists()
