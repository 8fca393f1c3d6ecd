"""Stacks that start at the same time take ports of their own."""

import random

import pytest

from sandbox.ports import OFFSETS, ports_from


def test_a_port_that_one_stack_has_taken_is_not_taken_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while nobody listens there yet: the processes are still to be started."""
    monkeypatch.setattr(random, "sample", lambda several, number: list(several)[:number])

    first, second = (set(ports_from(0).values()) for _ in range(2))

    assert len(first) == len(second) == len(OFFSETS)
    assert first & second == set()
