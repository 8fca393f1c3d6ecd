"""The README names every environment variable, every command with its options, and every address."""

import ast
import re
from pathlib import Path

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class
from django.urls import URLPattern, URLResolver, get_resolver

from legacy_app import telemetry

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text("utf-8")
READ_THE_ENVIRONMENT = ("settings.py", "telemetry.py", "gunicorn.conf.py")
COMMANDS = sorted(path.stem for path in PROJECT.glob("*/management/commands/[!_]*.py"))


def variables(source):
    """The names that a module asks the environment for, itself or by a function that takes the name first."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func, args=[ast.Constant(value=str(name)), *_]) if re.fullmatch("[A-Z][A-Z0-9_]+", name):
                if isinstance(func, ast.Name) or "environ" in ast.unparse(func):
                    yield name
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))):
                yield name


def addresses(patterns, above="/"):
    for pattern in patterns:
        address = above + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern)).replace("{pk}", "{id}")
        match pattern:
            case URLPattern():
                yield address
            case URLResolver(app_name="admin"):
                yield address  # what is below it is Django's
            case URLResolver():
                yield from addresses(pattern.url_patterns, address)


class Asked(dict):
    """An environment without any variables, which keeps the names that it was asked for."""

    def get(self, name, default=None):
        self[name] = default
        return default


def options(command):
    return {name for action in command.create_parser("manage.py", "")._actions for name in action.option_strings}


VARIABLES = sorted({name for file in READ_THE_ENVIRONMENT for name in variables((PROJECT / file).read_text("utf-8"))})


def test_the_ways_to_read_the_environment_are_recognised():
    """One that is read by each of them; a test that finds no names would pass for nothing."""
    assert {"DEBUG", "DATABASE_URL", "ALLOWED_HOSTS", "LLM_TIMEOUT_SECONDS", "ASSISTANT_URL"} <= set(VARIABLES)
    assert set(variables('os.environ["ONE"]; on("OTHER"); found["NONE"]; found.get("NONE")')) == {"ONE", "OTHER"}


@pytest.mark.parametrize("name", VARIABLES)
def test_an_environment_variable_is_in_the_readme(name):
    assert f"`{name}`" in README


def test_the_variables_that_switch_tracing_on_are_in_the_readme():
    asked = Asked()
    telemetry.is_on(asked)

    assert "OTEL_TRACES_EXPORTER" in asked
    assert {name for name in asked if f"`{name}`" not in README} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_readme_with_its_options(name):
    command = load_command_class(get_commands()[name], name)
    [row] = [line for line in README.splitlines() if re.match(rf"\| `manage\.py {name}\b", line)]

    assert {option for option in options(command) - options(BaseCommand()) if f"`{option}`" not in row} == set()


@pytest.mark.parametrize("address", list(addresses(get_resolver().url_patterns)))
def test_an_address_is_in_the_readme(address):
    assert f"| `{address}` |" in README
