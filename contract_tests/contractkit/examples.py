"""Examples of requests, as files: one of each kind that clients send, with the status that is due."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .document import Json, Operation, Promise
from .files import text_of
from .targets import Request


class ExamplesError(Exception):
    """A file of examples cannot be used; the sentence says where and why."""


@dataclass(frozen=True)
class Example:
    """One request as a client sends it. Names in braces are filled in, in target and body."""

    operation: str
    target: str
    body: Any = None
    by: str = ""
    """Who asks; the reader of the examples knows whom that means."""
    provider_fails: Json = field(default_factory=dict)
    """What the reader has to arrange, for an answer that is not the usual one."""
    status: int | None = None
    """None: that of success."""

    def __str__(self) -> str:
        return f"{self.operation} {self.status or ''} {self.target[-40:]}"

    def of(self, promise: Promise) -> Operation:
        """Raises ExamplesError if there is no such operation."""
        found = next((each for each in promise.operations if each.name == self.operation), None)
        if found is None:
            raise ExamplesError(f"there is no operation {self.operation}, but there is an example of it")
        return found

    def request(self, names: Mapping[str, object]) -> Request:
        method = self.operation.partition(" ")[0]
        if self.body is None:
            return Request(method, filled(self.target, names))
        body = filled(json.dumps(self.body), names).encode()
        return Request(method, filled(self.target, names), (("Content-Type", "application/json"),), body)


def load(file: Path) -> tuple[Example, ...]:
    """Raises ExamplesError."""
    try:
        return tuple(Example(**each) for each in yaml.safe_load(text_of(file)) or ())
    except OSError as error:
        raise ExamplesError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ExamplesError(f"{file} cannot be used: {error}") from None


def filled(text: str, names: Mapping[str, object]) -> str:
    """With the values in place of the names; a name that is a whole JSON text becomes the value itself."""
    for name, value in names.items():
        text = text.replace(f'"{{{name}}}"', json.dumps(value)).replace(f"{{{name}}}", str(value))
    return text
