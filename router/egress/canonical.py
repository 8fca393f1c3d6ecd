"""When two calls to the provider ask the same, and at which places they do not.

The same is: method, path and query, and the body as JSON, in whatever order its keys are and however its numbers and
strings are written. A body that is no JSON is the same if its bytes are.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

PLACES = 20
"""So many are named."""

# Some providers take the key in the query; it is no part of what is asked, and nothing to be kept.
_SECRETS = re.compile(r"(?<=[?&])((?:api[_-]?)?key|access_token|token|sig|signature)=[^&]*", re.IGNORECASE)


def path_of(target: bytes) -> str:
    """Path and query without secrets."""
    return _SECRETS.sub(r"\1=", target.decode("latin-1"))


def key_of(method: str, path: str, body: bytes) -> str:
    """Equal for two calls that ask the same."""
    kind, canonical = b"bytes", body
    with contextlib.suppress(RecursionError):
        if (value := _parsed(body)) is not None:
            kind, canonical = b"json", json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), kind, canonical))).hexdigest()


def places_of(asked: bytes, recorded: bytes) -> list[str]:
    """JSON pointers to where two bodies differ; one without a name if either is no JSON."""
    one, other = _parsed(asked), _parsed(recorded)
    if one is not None and other is not None:
        with contextlib.suppress(RecursionError):
            return list(itertools.islice(_places(one, other, ""), PLACES))
    return [] if asked == recorded else [""]


def _places(one: Any, other: Any, at: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            place = f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
            if (key in one) != (key in other):
                yield place
            else:
                yield from _places(one[key], other[key], place)
    elif isinstance(one, list) and isinstance(other, list):
        for index in range(max(len(one), len(other))):
            if index >= min(len(one), len(other)):
                yield f"{at}/{index}"
            else:
                yield from _places(one[index], other[index], f"{at}/{index}")
    elif json.dumps(one) != json.dumps(other):  # true is not 1
        yield at


def _parsed(body: bytes) -> Any:
    """None of what is no JSON; a bare null counts as none."""
    try:
        return _plain(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    """1.0 is 1: providers cannot tell them apart."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
