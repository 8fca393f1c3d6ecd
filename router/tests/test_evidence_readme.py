"""What the README of the evidence shows is what happens, and every field is in it."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel

from ..evidence.gates import Gate
from ..evidence.observations import Kind
from ..evidence.rules import HEADERS, Rule, Rules
from ..reading import parse

ROUTER = Path(__file__).parents[1]
README = (ROUTER / "evidence" / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_prints_what_is_shown() -> None:
    code = blocks("python")[0].replace("from router.", f"from {ROUTER.name}.")

    run = subprocess.run([sys.executable, "-c", code], cwd=ROUTER.parent, capture_output=True, text=True, timeout=60)

    assert run.stdout == blocks("text")[0], run.stderr


def test_the_rules_that_are_shown_are_rules() -> None:
    upstreams = 'upstreams = { legacy = "http://127.0.0.1:1", new = "http://127.0.0.1:2" }\n'

    [route] = parse(upstreams + blocks("toml")[0]).routes

    same = route.shadow.same
    assert (same.ignore, same.rules[0].until) == (("/generated_at",), date(2027, 3, 31))


@pytest.mark.parametrize("model", [Gate, Rule, Rules])
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("model", [Gate, Rule, Rules])
def test_every_field_is_in_the_readme(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}" not in README] == []


def test_every_file_is_in_the_readme() -> None:
    files = {file.name for file in (ROUTER / "evidence").glob("*.py")} - {"__init__.py"}

    assert [name for name in sorted(files) if f"`{name}`" not in README and f"[{name}]" not in README] == []


def test_every_kind_and_every_header_is_in_the_readme() -> None:
    assert [word for word in (*Kind, *HEADERS) if f"`{word}`" not in README] == []
