"""The folder works under any other name, alone, with its tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .serving import routes_file

FOLDER = Path(__file__).parents[1]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that holds nothing but a copy of this package, called `edge`."""
    shutil.copytree(FOLDER, tmp_path / "edge", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=alone, capture_output=True, text=True, timeout=280, check=False
    )


def test_a_copy_checks_a_file(elsewhere: Path) -> None:
    file = routes_file(elsewhere, 'upstreams = { legacy = "http://127.0.0.1:8001" }')

    result = run(elsewhere, "edge", "check", file.name)

    assert (result.returncode, result.stderr) == (0, "")
    assert "routes.toml is right." in result.stdout


def test_a_copy_names_itself_in_what_it_says(elsewhere: Path) -> None:
    both = ("--legacy", "http://127.0.0.1:9001", "--extracted", "shop=http://127.0.0.1:9002")

    result = run(elsewhere, "edge", "init", *both)

    assert "python -m edge check" in result.stdout
    assert "router check" not in result.stdout + (elsewhere / "routes.toml").read_text()


SOME_OF_EACH = """
first_event or byte_for_byte or follows_the_file or the_percentage or readme or unix or manifest
"""
FILES = ("stages", "proxy", "streaming", "cli", "advance", "reach", "readme", "deploy")


@pytest.mark.timeout(300)
def test_a_copy_passes_its_tests(elsewhere: Path) -> None:
    files = [str(elsewhere / "edge" / "tests" / f"test_{name}.py") for name in FILES]

    result = run(elsewhere, "pytest", "-q", "-p", "no:cacheprovider", "-k", SOME_OF_EACH.strip(), *files)

    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: str(file.relative_to(FOLDER)))
def test_no_file_names_the_package_it_is_in(file: Path) -> None:
    text = file.read_text("utf-8")

    assert not re.search(r"^\s*(from|import) router\b", text, re.M)
