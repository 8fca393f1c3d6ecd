"""The tests notice what they are there for: every side is spoiled on purpose, and the place must be named.

A mutant is checked by the functions that the tests use: `hold` for answers, `unfaithful` for the router; those of the
document are in test_generated_document.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract_tests.contractkit.examples import Example, filled
from contract_tests.contractkit.holding import Terms, hold
from contract_tests.contractkit.messages import text
from contract_tests.contractkit.passing_on import Origin, origin, unfaithful
from contract_tests.contractkit.spoiling import Asked, Spoil, between
from contract_tests.contractkit.targets import Request, Target
from contract_tests.mutants import OF_THE_MONOLITH, OF_THE_ROUTER, OF_THE_SERVICE, Mutant
from contract_tests.sides import Sides, running_router
from contract_tests.terms import known_names
from contract_tests.tests.test_generated_document import BREAKS

MUTANTS = [*OF_THE_SERVICE, *OF_THE_MONOLITH]
FEWEST = 40


@pytest.fixture(scope="module")
def names(sides: Sides) -> dict[str, Any]:
    if sides.stack:
        sides.stack.pace(latency_seconds=0.002, tokens_per_second=50_000)
    return known_names(sides.urls["legacy"])


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Origin]]:
    file: Path = tmp_path_factory.mktemp("router") / "routes.toml"
    with origin() as behind:
        file.write_text(f'upstreams = {{ legacy = "{behind.url}" }}\n', "utf-8")
        with running_router(file) as url:
            yield url, behind


def spoiled(sides: Sides, mutant: Mutant, url: str) -> list[Target]:
    """The sides, one of them behind the spoiler."""
    targets = sides.targets(mutant.by or None)
    found = {each.name: each for each in targets if each.name in ("legacy", "extracted")}
    found[mutant.side] = Target(mutant.side, url, found[mutant.side].headers)
    return list(found.values())


def request_of(mutant: Mutant, names: dict[str, Any]) -> Request:
    return Example(mutant.target, mutant.target.partition(" ")[2], mutant.body).request(names)


def with_names(spoil: Spoil, names: dict[str, Any]) -> Spoil:
    def asked(request: Asked) -> Asked:
        changed = spoil.asked(request)
        return replace(changed, target=filled(changed.target, names))

    return replace(spoil, asked=asked)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: f"{each.side}: {each.says}")
def test_a_spoiled_side_is_noticed_and_the_place_is_named(
    terms: Terms, sides: Sides, names: dict[str, Any], mutant: Mutant
) -> None:
    request = request_of(mutant, names)
    before = hold(terms, [each for each in sides.targets(mutant.by or None) if each.name != "router"], [request])

    with between(sides.urls[mutant.side], with_names(mutant.spoil, names)) as url:
        report = hold(terms, spoiled(sides, mutant, url), [request])

    assert before.findings == [], "the request is no proof: without the mutant there is a finding too"
    places = [each.place for each in report.findings]
    assert any(re.fullmatch(mutant.place, place) for place in places), text(report.findings) or "nothing was noticed"
    assert all(mutant.side in each.values for each in report.findings)


@pytest.mark.parametrize("mutant", OF_THE_ROUTER)
def test_a_spoiled_router_is_noticed_and_the_place_is_named(router: tuple[str, Origin], mutant: str) -> None:
    place, spoil = OF_THE_ROUTER[mutant]
    url, behind = router

    with between(url, spoil) as spoiling:
        found = unfaithful(spoiling, behind)

    assert place in [each.place for each in found], text(found) or "nothing was noticed"


def test_a_router_behind_a_proxy_that_spoils_nothing_is_faithful(router: tuple[str, Origin]) -> None:
    """Or every mutant would be noticed for the proxy's own sake."""
    url, behind = router

    with between(url) as passing:
        assert text(unfaithful(passing, behind)) == ""


def test_there_are_enough_mutants_of_everything() -> None:
    """Of answers, of the router, and of the document."""
    assert len(MUTANTS) + len(OF_THE_ROUTER) >= FEWEST
    assert min(len(OF_THE_SERVICE), len(OF_THE_MONOLITH), len(OF_THE_ROUTER), len(BREAKS)) >= 10
