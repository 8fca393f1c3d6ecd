"""The README names every command, every option, every file of tests and every field of the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from contract_tests.cli import app
from contract_tests.contractkit.deviations import REWRITES
from contract_tests.contractkit.messages import FORMATS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_every_command_and_option_is_named() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {
        option for each in commands.values() for parameter in each.params for option in parameter.opts
        if option.startswith("--")
    }  # fmt: skip

    assert [name for name in commands if f"python -m contract_tests {name}" not in README] == []
    assert [name for name in sorted(options) if f"`{name}`" not in README] == []


def test_every_file_of_tests_is_named() -> None:
    files = {each.name for each in (ROOT / "tests").glob("test_*.py")} - {"test_readme.py"}

    assert [name for name in sorted(files) if f"`{name}`" not in README] == []


@pytest.mark.parametrize("word", [*REWRITES, *FORMATS, "--deep", "--seed", "--target"])
def test_a_word_that_one_may_write_is_named(word: str) -> None:
    assert re.search(rf"{re.escape(word)}", README)


def test_every_word_that_the_promise_adds_to_openapi_is_named() -> None:
    used = set(re.findall(r"\bx-[a-z-]+(?=:)", (ROOT / "contract" / "openapi.yaml").read_text("utf-8")))

    assert [word for word in sorted(used) if f"`{word}`" not in README] == []
