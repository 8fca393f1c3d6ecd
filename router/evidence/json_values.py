"""JSON as it was on the wire: nothing that a caller could see is lost in reading it.

`1` and `1.0` are of different types, an integer of any length is exact, a key that comes twice is known to,
NaN is itself, a lone surrogate stays. Numbers with a point are what a double makes of them, so `1e-07` is `1e-7`.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from .rules import Trees, below, rule_of

MOST_BYTES = 8 * 2**20
DEEPEST = 100
"""Levels. What is deeper, or longer, is compared as bytes."""


class NotJson(ValueError):
    """This is no JSON, or none that is read: too long, too deep."""


class Repeating(dict[str, Any]):
    """An object in which a key came more than once; the last value counts, as everywhere."""

    times: dict[str, int]


class Huge(str):
    """An integer with more digits than Python converts."""

    __slots__ = ()


def parse(body: bytes) -> Any:
    """The value of a body in UTF-8. Raises NotJson."""
    if len(body) > MOST_BYTES:
        raise NotJson("too long")
    try:
        text = body.decode("utf-8")
        try:
            return _decode(text)
        except json.JSONDecodeError:
            raise
        except ValueError:  # an integer of more than 4300 digits
            return _decode_huge(text)
    except RecursionError:
        raise NotJson("too deep") from None
    except ValueError as error:
        raise NotJson(str(error)) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeating = Repeating(value)
    repeating.times = dict.fromkeys(value, 0)
    for key, _ in pairs:
        repeating.times[key] += 1
    return repeating


def _number(text: str) -> float | Decimal:
    value = float(text) + 0.0  # −0.0 is 0.0
    return value if math.isfinite(value) else Decimal(text)


def _integer(text: str) -> int | Huge:
    return int(text) if len(text) <= 4000 else Huge(text)


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number).decode
_decode_huge = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_int=_integer).decode

_TYPES = {
    dict: "object",
    Repeating: "object",
    list: "array",
    str: "string",
    int: "integer",
    Huge: "integer",
    float: "number",
    Decimal: "number",
    bool: "boolean",
    type(None): "null",
}


def type_name(value: Any) -> str:
    """As JSON Schema calls it."""
    return _TYPES.get(type(value), "bytes")


def is_same_scalar(one: Any, other: Any) -> bool:
    """Whether two scalars of one type are equal. NaN is."""
    return bool(one == other or (one != one and other != other))


def canonical(value: Any) -> bytes:
    """One text for all ways to write a value: for digests."""
    if isinstance(value, bytes):
        return b"bytes " + value
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
    except RecursionError:
        return b"too deep"


def fingerprint(value: Any, trees: Trees = (), memory: dict[int, bytes] | None = None, depth: int = 0) -> bytes:
    """Equal for values that the rules may take for the same; unequal only if they certainly do not.
    `memory` holds the fingerprints of arrays and objects that are still alive, by identity."""
    rule = rule_of(trees) if trees else None
    if rule is not None and rule.ignore:
        return b""
    name = type_name(value)
    if rule is not None and not rule.unordered:
        return b"number" if rule.tolerance and name in ("integer", "number") else name.encode()
    if name not in ("object", "array"):
        return f"{name} {value}".encode("utf-8", "surrogatepass")
    if memory is not None and id(value) in memory:
        return memory[id(value)]
    if depth > DEEPEST:
        raise NotJson("too deep")
    if name == "object":
        parts = []
        for key in sorted(value):
            inner = below(trees, key) if trees else ()
            if not (inner and (of_key := rule_of(inner)) and of_key.ignore):
                parts.append(key.encode("utf-8", "surrogatepass"))
                parts.append(fingerprint(value[key], inner, memory, depth + 1))
    else:
        parts = [
            fingerprint(item, below(trees, str(index)) if trees else (), memory, depth + 1)
            for index, item in enumerate(value)
        ]
        if rule is not None:
            parts.sort()
    if isinstance(value, Repeating):
        parts.append(repr(sorted(value.times.items())).encode())
    told = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    digest = blake2b(told, digest_size=16, person=name.encode()).digest()
    if memory is not None:
        memory[id(value)] = digest
    return digest
