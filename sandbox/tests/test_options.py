"""What the commands are told and cannot use is said in a sentence."""

import pytest
from typer.testing import CliRunner

from sandbox.cli import app


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [("--fault", "dropped-fields", 'there is no fault "dropped-fields"'), ("--data", __file__, "is a file")],
)
def test_what_a_stack_cannot_use_is_said_before_anything_is_started(option: str, value: str, says: str) -> None:
    result = CliRunner().invoke(app, ["up", option, value], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())
