"""The README names every option, every setting and every fault."""

import pytest
import typer.main

from sandbox.cli import app
from sandbox.faults import KINDS, Fault
from sandbox.provider import Settings
from sandbox.stack import ROOT

README = (ROOT / "sandbox" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("word", [*KINDS, *Fault.__dataclass_fields__, *Settings.__dataclass_fields__])
def test_every_fault_field_and_setting_is_explained(word: str) -> None:
    assert f"`{word}`" in README


def test_every_command_and_option_is_explained() -> None:
    commands = typer.main.get_command(app)
    options = {
        name
        for command in commands.commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("--") and name != "--help"
    }

    assert {name for name in options if f"`{name}`" not in README} == set()
    assert all(f"python -m sandbox {name}" in README for name in commands.commands)  # type: ignore[attr-defined]
