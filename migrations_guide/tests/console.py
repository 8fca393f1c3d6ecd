"""Reads the commands of a page, runs them in one bash, and compares what they print with what the page shows."""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TAKE_OVER_SECONDS = 5  # pages say `sleep 1` after an edit; a busy machine gets longer
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One command of a page, and the lines that the page shows below it."""

    command: str
    output: str


def steps(page: str) -> list[Step]:
    """Every command of every console block, in order."""
    found: list[Step] = []
    for block in _BLOCK.findall(page):
        before, *commands = re.split(r"^\$ ", block, flags=re.MULTILINE)
        if before:
            raise ValueError(f"A console block begins with a command after '$ ', not with {before!r}.")
        for text in commands:
            command, _, output = text.partition("\n")
            found.append(Step(command, output))
    return found


def differences(page: str, folder: Path, real: Mapping[str, str]) -> list[str]:
    """What each command printed that the page does not show; `real` says what stands for the page's fixed names."""
    found: list[str] = []
    with _bash(folder) as bash:
        deadline = 0.0
        for step in steps(page):
            command, expected = _replaced(step.command, real), _replaced(step.output, real)
            printed = _run(bash, command)
            # Only what follows a `sleep` may be late, so only that is asked again.
            while not shows(expected, printed) and time.monotonic() < deadline:
                time.sleep(0.1)
                printed = _run(bash, command)
            if not shows(expected, printed):
                found.append(f"$ {step.command}\nthe page shows:\n{expected}\nit printed:\n{printed}")
            deadline = time.monotonic() + TAKE_OVER_SECONDS if command.startswith("sleep ") else 0.0
    return found


def shows(expected: str, printed: str) -> bool:
    """Whether the page's lines fit: `…` is any text in a line, and alone on a line any number of lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"[ ]*\n"
        for line in expected.splitlines()
    )
    return re.fullmatch(pattern, printed) is not None


def _replaced(text: str, real: Mapping[str, str]) -> str:
    for name, value in real.items():
        text = text.replace(name, value)
    return text


@contextmanager
def _bash(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """One shell for the whole page: what a command defines, later ones use."""
    process = subprocess.Popen(
        ["bash", "--norc"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _run(bash: subprocess.Popen[str], command: str) -> str:
    """What the command prints, errors included."""
    assert bash.stdin is not None
    assert bash.stdout is not None
    end = secrets.token_hex(16)
    # Commands must not read what the shell has yet to read.
    bash.stdin.write(f"{{ {command}\n}} </dev/null\necho {end}\n")
    bash.stdin.flush()
    printed = ""
    while not printed.endswith(f"{end}\n"):
        line = bash.stdout.readline()
        if not line:
            raise EOFError(f"bash ended in: {command}\n{printed}")
        printed += line
    printed = printed.removesuffix(f"{end}\n")
    # An answer's body often ends without a line's end, which a page cannot show.
    return printed if not printed or printed.endswith("\n") else f"{printed}\n"
