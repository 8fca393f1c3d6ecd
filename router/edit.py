"""Changes a routes.toml in place: whole or not at all, one operator at a time, comments and layout kept.

Editors and other programs take no lock. So what was read is compared with the file once more at the end, and
whoever was quicker keeps what they wrote.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from .config import Config, Route
from .errors import ConfigError, EditError, Problem
from .problems import did_you_mean, in_words, unusable
from .reading import load, parse
from .steps import Place, place_of

LOCK_SECONDS = 5.0
"""How long an edit waits for another one that is under way."""


def read(file: Path) -> tuple[str, Config]:
    """The text and what it says. Raises ConfigError."""
    config = load(file)
    return config.text, config


def find(config: Config, name: str) -> Route:
    """The route of that name. Raises EditError."""
    names = [route.name for route in config.routes]
    if name not in names:
        there_are = f"Routes are: {in_words(names)}" if names else "The file has none yet."
        raise EditError(f'There is no route "{name}".{did_you_mean(name, names)} {there_are}')
    return config.routes[names.index(name)]


def moved(text: str, name: str, place: Place) -> str:
    """The text with one route at another place, everything else as it was. Raises ConfigError or EditError."""
    try:
        document: Any = tomlkit.parse(text)
        route = next(each for each in document["routes"] if each["name"] == name)
        route["stage"] = place.stage
        if place.percent is not None:
            if "split" not in route:
                raise EditError(
                    f'"{name}" has no split to move to: give it one, such as '
                    f'split = {{ percent = {place.percent:g}, by = "cookie:sessionid" }}, or name a stage with --to.'
                )
            whole = place.percent == int(place.percent)
            route["split"]["percent"] = int(place.percent) if whole else place.percent
        after: str = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise EditError(f'"{name}" cannot be moved by a program here ({error}): change its stage by hand.') from None
    changed = [place_of(each) for each in parse(after, "The changed file").routes if each.name == name]
    if changed != [place]:
        raise EditError(f'"{name}" cannot be moved by a program here: change its stage by hand.')
    return after


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else edits a file of this folder meanwhile. Raises EditError if somebody does so for too long, and
    ConfigError if there is no such folder."""
    try:
        folder = os.open(file.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(str(file), (Problem("", f"its folder cannot be used: {unusable(error)}"),)) from None
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _takes(folder):
            if time.monotonic() > deadline:
                raise EditError(f"Somebody else has been changing {file} for {LOCK_SECONDS:g} s: try again.")
            time.sleep(0.02)
        yield
    finally:
        os.close(folder)


def swap(file: Path, before: str, after: str) -> None:
    """Put `after` in the place of `before`, the file's mode kept. Raises EditError, and then nothing has changed."""
    target = file.resolve()  # a link stays a link
    draft = ""
    try:
        stat = target.stat()
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as out:
            out.write(after.encode())
            os.fchmod(out.fileno(), stat.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):
                os.fchown(out.fileno(), stat.st_uid, stat.st_gid)
            out.flush()
            os.fsync(out.fileno())
        if target.read_bytes() != before.encode():
            raise EditError(f"{file} was changed by somebody else just now: look at it, and try again.")
        os.replace(draft, target)
        draft = ""
    except OSError as error:
        raise EditError(f"{file} cannot be changed: {error.strerror}. Nothing was written.") from None
    finally:
        if draft:
            os.unlink(draft)
    _flush(target.parent)


def _takes(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flush(folder: Path) -> None:
    """The new name survives a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
