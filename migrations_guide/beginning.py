"""The beginning of the story: a copy of the repository, with the one difference that `start.diff` makes.

HEAD is the finished state. `python -m migrations_guide.beginning` writes start.diff anew after a change of routes.toml.
"""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
from pathlib import Path

from .pages import GUIDE

ROOT = GUIDE.parent
START = GUIDE / "start.diff"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "var", "build", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis"
)


class Unfit(Exception):
    """An edit cannot be made, with the reason that git gives."""


def routes_at_the_beginning(routes: str) -> str:
    """No route leaves the monolith yet, and nobody turns its sessions into tokens."""
    without_identity = re.sub(r"^\[identity\].*\n(?:.+\n)*\n", "", routes, count=1, flags=re.MULTILINE)
    return without_identity.partition("\n[[routes]]")[0]


def start_diff(routes: str) -> str:
    lines = difflib.unified_diff(
        routes.splitlines(keepends=True),
        routes_at_the_beginning(routes).splitlines(keepends=True),
        "a/routes.toml",
        "b/routes.toml",
    )
    return "".join(lines)


def make_copy(folder: Path) -> None:
    """A repository of its own, so that a reader sees with `git diff` what was edited. Modification times stay: make
    would install everything again."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    _git(folder, "init", "--quiet")
    apply(folder, START.read_text("utf-8"))
    (folder / ".git" / "info" / "exclude").write_text(".venv\n.guide.json\n", "utf-8")
    _git(folder, "add", "--all")
    who = ("-c", "user.name=guide", "-c", "user.email=guide@localhost", "-c", "commit.gpgsign=false")
    _git(folder, *who, "commit", "--quiet", "--message", "The beginning of the story")


def apply(folder: Path, edit: str, *, back: bool = False) -> None:
    """Makes an edit, or takes it back. Raises Unfit if the files are not as it expects them."""
    arguments = ["apply", "--recount", *(["--reverse"] if back else []), "-"]
    _git(folder, *arguments, given=edit)


def is_gone(folder: Path, edit: str) -> bool:
    """Whether there is nothing to take back: its files do not exist any more, or are as they were before it."""
    names = re.findall(r"^--- a/(.+)$", edit, re.MULTILINE)
    if not any((folder / name).exists() for name in names):
        return True
    try:
        _git(folder, "apply", "--recount", "--check", "-", given=edit)
    except Unfit:
        return False
    return True


def _git(folder: Path, *arguments: str, given: str = "") -> None:
    done = subprocess.run(["git", *arguments], cwd=folder, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unfit(done.stderr.strip())


if __name__ == "__main__":
    START.write_text(start_diff((ROOT / "routes.toml").read_text("utf-8")), "utf-8")
