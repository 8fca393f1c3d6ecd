"""The README keeps up: commands, options, errors, metrics, packages and files."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import typer

from .. import errors
from ..cli import app
from ..errors import ExchangeError
from ..measurements import METRICS

FOLDER = Path(__file__).parents[1]
README = (FOLDER / "README.md").read_text("utf-8")
PARTS = {"pydantic_core": "pydantic", "yaml": "pyyaml"}
"""Modules whose package is called otherwise."""
NEVER_NAMED = {"psycopg"}
"""Chosen by a URL, and imported by SQLAlchemy."""


def commands() -> Iterator[tuple[str, list[str]]]:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        yield name, [option for each in command.params for option in each.opts if option.startswith("--")]


@pytest.mark.parametrize(("name", "options"), list(commands()))
def test_every_command_is_in_the_readme_with_its_options(name: str, options: list[str]) -> None:
    row = next((line for line in README.splitlines() if line.startswith((f"| `{name} ", f"| `{name}`"))), "")

    assert row, f"no row for {name}"
    assert [option for option in options if option not in row and option != "--help"] == []


def test_every_metric_is_in_the_readme() -> None:
    as_opentelemetry = [name.replace(".", "_") for name in re.findall(r"`(strangler\.[a-z_.]+)`", README)]
    named = {
        *re.findall(r"`(strangler_\w+)`", README),
        *as_opentelemetry,
        *(f"{each}_total" for each in as_opentelemetry),
    }

    assert METRICS.keys() - named == set()


def test_every_answer_of_the_routers_own_is_in_the_readme() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ExchangeError)]
    told = [(kind.status, kind.code) for kind in kinds if "code" in vars(kind)]

    assert len(told) > 10
    assert [
        pair for pair in told if f"| {pair[0]} | `{pair[1]}` |" not in README and pair[1] != ExchangeError.code
    ] == []


def imported(files: Iterable[Path]) -> set[str]:
    """The packages that these files import, under the names that they are installed by."""
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    found = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    return {PARTS.get(name, name) for name in found}


def installed(words: str) -> set[str]:
    """The packages among some words."""
    names = set(re.findall(r"[a-z][\w-]+", words.lower())) - {"and", "for", "postgresql", "pip", "install"}
    return {"opentelemetry" if name.startswith("opentelemetry") else name.replace("-", "_") for name in names}


def test_the_readme_names_every_package_that_is_imported_and_no_other() -> None:
    section = README.partition("## Copy it")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!package|---)([^|]+) \|", section, re.M)

    files = [file for file in FOLDER.rglob("*.py") if "tests" not in file.relative_to(FOLDER).parts]

    assert installed(" ".join(rows)) - NEVER_NAMED == imported(files)


def test_the_packages_that_the_tests_need_are_in_the_readme() -> None:
    command = re.search(r"\(`(pip install [^;]+);", README)
    assert command

    others = imported(file for file in FOLDER.rglob("*.py") if "tests" not in file.relative_to(FOLDER).parts)

    assert installed(command[1]) == imported((FOLDER / "tests").rglob("*.py")) - others | {"anyio", "opentelemetry"}


def test_every_module_is_in_the_readmes_list_of_files() -> None:
    section = README.partition("## Read it")[2]
    names = [each.name for each in FOLDER.iterdir() if each.suffix == ".py" and not each.name.startswith("__")]
    names += [f"{each.name}/" for each in FOLDER.iterdir() if (each / "__init__.py").exists() and each.name != "tests"]

    assert [name for name in names if f"`{name}`" not in section] == []
