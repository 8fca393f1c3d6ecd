"""Edits a routes.toml in place: keeps its comments, and swaps the file whole so that no reader sees half of it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

Edit = Callable[[Any], None]


class RoutesBroken(Exception):
    """The routes.toml cannot be used."""


def copy_with_urls(source: Path, copy: Path, urls: Mapping[str, str]) -> None:
    """A copy of a routes.toml whose upstreams are at the addresses of this run."""
    document = _parsed(source, source.read_text("utf-8"))
    _set_urls(document, urls)
    _swap(copy, tomlkit.dumps(document))


def set_urls(file: Path, urls: Mapping[str, str]) -> None:
    edit(file, lambda document: _set_urls(document, urls))


def set_stage(file: Path, names: tuple[str, ...], stage: str, percent: float | None = None) -> None:
    """Moves the named routes to a stage, all of them with one swap of the file."""

    def move(document: Any) -> None:
        for route in document["routes"]:
            if route["name"] in names:
                route["stage"] = stage
                if percent is not None:
                    route["split"]["percent"] = percent

    edit(file, move)


def has_egress(file: Path) -> bool:
    """Whether the file describes the face between the applications and their provider."""
    return "egress" in _parsed(file, file.read_text("utf-8"))


def edit(file: Path, change: Edit) -> None:
    before = file.read_text("utf-8")
    document = _parsed(file, before)
    change(document)
    after = tomlkit.dumps(document)
    if after != before:
        _swap(file, after)


def _parsed(file: Path, text: str) -> Any:
    try:
        document = tomlkit.parse(text)
    except ParseError as mistake:
        raise RoutesBroken(f"{file} is not valid TOML: {mistake}.") from None
    if "upstreams" not in document:
        raise RoutesBroken(f"{file} has no [upstreams]: python -m router check {file} says what it needs.")
    return document


def _set_urls(document: Any, urls: Mapping[str, str]) -> None:
    for name, upstream in document["upstreams"].items():
        if name not in urls:
            continue
        if isinstance(upstream, str):
            document["upstreams"][name] = urls[name]
        else:
            upstream["url"] = urls[name]
    for table, field in (("egress", "provider"), ("evidence", "url")):
        if table in document and table in urls:
            document[table][field] = urls[table]


def _swap(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(file)
