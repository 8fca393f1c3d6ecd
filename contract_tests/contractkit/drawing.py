"""Requests drawn from the promise with Schemathesis: such as must be taken, and such as nobody should send."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import hypothesis
import schemathesis
from schemathesis import GenerationMode

from .document import JSON, Operation, Promise
from .targets import Request

LONGEST_TARGET = 4000
"""Longer ones meet a limit of the server (414) before anybody's code, and prove nothing about it."""


def drawn(
    promise: Promise,
    operations: Sequence[Operation],
    each: int,
    values: Mapping[str, Sequence[Any]] | None = None,
    seed: int | None = None,
) -> Iterator[Request]:
    """So many good and so many bad requests of every operation; the same ones again, unless a seed says otherwise.

    `values` are known values of parameters in paths, of which half of the requests get one: an id that is drawn
    belongs to nothing.
    """
    schema = schemathesis.openapi.from_dict(promise.raw)
    chance = random.Random(seed or 0)  # noqa: S311
    for operation in operations:
        for mode in GenerationMode:
            strategy = schema[operation.path][operation.method].as_strategy(mode)
            requests = (_request(operation, case, values or {}, chance) for case in _cases(strategy, each, seed))
            yield from (request for request in requests if len(request.target) <= LONGEST_TARGET)


def _cases(strategy: Any, most: int, seed: int | None) -> list[Any]:
    """Drawn in full before the first is sent: one case must not depend on what became of another."""
    found: list[Any] = []

    def keep(case: Any) -> None:
        found.append(case)

    settings = hypothesis.settings(
        max_examples=most,
        derandomize=seed is None,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    given: Any = hypothesis.given
    test = given(strategy)(keep)
    if seed is not None:
        test = hypothesis.seed(seed)(test)
    # Where nothing can be sent, nothing can be sent wrong.
    with warnings.catch_warnings(), suppress(hypothesis.errors.Unsatisfiable):
        warnings.simplefilter("ignore")
        settings(test)()
    return found


def _request(operation: Operation, case: Any, values: Mapping[str, Sequence[Any]], chance: random.Random) -> Request:
    told = case.as_transport_kwargs("http://host")
    parameters = {
        name: chance.choice(values[name])
        for name in case.path_parameters or {}
        if values.get(name) and chance.random() < 0.5
    }
    path = told["url"].removeprefix("http://host")
    if parameters:
        path = operation.path
        for name in case.path_parameters:
            path = path.replace(f"{{{name}}}", str(parameters.get(name, case.path_parameters[name])))
    query = urlencode(told.get("params") or {}, doseq=True, errors="surrogatepass")
    headers = {name.lower(): value for name, value in told.get("headers", {}).items()}
    body = told.get("data")
    if "json" in told:
        body = json.dumps(told["json"]).encode()
    sent = (("Content-Type", headers.get("content-type", JSON)),) if body is not None else ()
    body = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return Request(operation.method, _ascii(path + (f"?{query}" if query else "")), sent, body)


def _ascii(target: str) -> str:
    """What may stand in a request line; a path that is drawn may hold anything."""
    return "".join(
        char if "!" <= char <= "~" else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        for char in target
    )
