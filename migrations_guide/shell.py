"""Runs the commands of a page in one bash, and compares what they print with what the page shows."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TAKE_OVER_SECONDS = 8.0  # pages say `sleep 1` after an edit; a busy machine gets longer
OF_A_TERMINAL = ("COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "TTY_COMPATIBLE")
"""What a reader's or a pipeline's environment may say of its terminal: the pages know of none, so nobody hears it."""
LEAST_LOOKS = 3  # at what may be late, however long each takes
_NUMBER = re.compile(r"\d[\d,.]*")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One command of a page, and the lines that the page shows below it."""

    command: str
    output: str
    varies: bool = False


def steps(console: str, *, varies: bool = False) -> list[Step]:
    """Every command of a console block, in order."""
    found: list[Step] = []
    before, *commands = re.split(r"^\$ ", console, flags=re.MULTILINE)
    if before:
        raise ValueError(f"A console block begins with a command after '$ ', not with {before!r}.")
    for text in commands:
        command, _, output = text.partition("\n")
        found.append(Step(command, output, varies))
    return found


@dataclass
class Shell:
    """A bash that lives as long as a section of a page: what a command defines, later ones use."""

    bash: subprocess.Popen[str]
    real: Mapping[str, str]
    """What stands for the page's fixed names."""
    say: Say
    patience_seconds: float
    """How long after a `sleep` what is shown next may be late."""
    late_until: float = 0.0

    def difference(self, step: Step) -> str | None:
        """What the command printed that the page does not show."""
        command, expected = replaced(step.command, self.real), replaced(step.output, self.real)
        self.say(f"$ {command}")
        printed = _run(self.bash, command)
        # Only what is shown next after a `sleep` may be late, so only that is asked again.
        looks = 1
        while not shows(expected, printed, varies=step.varies) and self._may_be_late(looks):
            time.sleep(0.2)
            printed = _run(self.bash, command)
            looks += 1
        self.say(printed.rstrip("\n"))
        if command.startswith("sleep "):
            self.late_until = time.monotonic() + self.patience_seconds if self.patience_seconds else 0.0
        elif expected:
            self.late_until = 0.0
        if shows(expected, printed, varies=step.varies):
            return None
        return f"$ {step.command}\nthe page shows:\n{expected}\nit printed:\n{printed}"

    def _may_be_late(self, looks: int) -> bool:
        return bool(self.late_until) and (looks < LEAST_LOOKS or time.monotonic() < self.late_until)


def shows(expected: str, printed: str, *, varies: bool = False) -> bool:
    """Whether the page's lines fit: `…` is any text in a line, and alone on a line any number of lines."""
    if varies:
        expected, printed = _without_figures(expected), _without_figures(printed)
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"[ ]*\n"
        for line in expected.splitlines()
    )
    return re.fullmatch(pattern, printed) is not None


def _without_figures(text: str) -> str:
    """Any number is any other, but nothing is not something: 0 stays 0. A table is as wide as its numbers make it."""
    text = _NUMBER.sub(lambda number: "#" if re.search("[1-9]", number[0]) else "0", text)
    return re.sub(r"([━─ ])\1+", r"\1", text)


def replaced(text: str, real: Mapping[str, str]) -> str:
    for name, value in real.items():
        text = text.replace(name, value)
    return text


@contextmanager
def shell(folder: Path, real: Mapping[str, str], say: Say, patience_seconds: float) -> Iterator[Shell]:
    process = subprocess.Popen(
        ["bash", "--norc"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in OF_A_TERMINAL},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C ends the runner, and not what a page left running
    )
    with process:
        try:
            yield Shell(process, real, say, patience_seconds)
        finally:
            process.kill()


def _run(bash: subprocess.Popen[str], command: str) -> str:
    """What the command prints, errors included."""
    if bash.stdin is None or bash.stdout is None:
        raise RuntimeError("bash was started without pipes")
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
