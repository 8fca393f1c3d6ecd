"""What routes.toml may say about failure: deadlines, health checks, and the trip that sends a route back to legacy."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A table of routes.toml: nothing in it goes unread, and it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Deadlines(NamedTuple):
    """How long one request may take an upstream, by phase, in seconds; `inf` for no limit."""

    connect_seconds: float
    first_byte_seconds: float
    idle_seconds: float
    total_seconds: float


class OwnDeadlines(NamedTuple):
    """Those that a route has of its own; None where it leaves them to the upstream."""

    connect_seconds: float | None
    first_byte_seconds: float | None
    idle_seconds: float | None
    total_seconds: float | None

    def over(self, upstream: Deadlines) -> Deadlines:
        return Deadlines(*(theirs if own is None else own for own, theirs in zip(self, upstream, strict=True)))


class Health(Settings):
    """How an upstream is asked whether it is well."""

    path: str = Field(
        default="/healthz", pattern=r"^/[!-~]*$", description="what is asked for; a status from 200 to 399 is well"
    )
    every_seconds: float = Field(default=2.0, ge=0.05, description="between two questions")
    timeout_seconds: float = Field(default=1.0, gt=0, description="no answer in time is a bad one")
    down_after: int = Field(default=3, ge=1, description="so many bad answers in a row, and it counts as down")
    up_after: int = Field(default=2, ge=1, description="so many good answers in a row, and it counts as up again")


class Trip(Settings):
    """When a route goes back to legacy by itself, and how it returns (see `trips.py`)."""

    errors: float = Field(
        default=0.2, ge=0, lt=1, description="trips when a greater share of the answers are failures or a 5xx"
    )
    slow_seconds: float | None = Field(
        default=None, gt=0, description="an answer whose head takes longer is slow; if left out, none is"
    )
    slow: float = Field(default=0.5, ge=0, lt=1, description="trips when a greater share of the answers are slow")
    window_seconds: float = Field(default=10.0, gt=0, description="over which the shares are taken")
    at_least: int = Field(default=20, ge=1, description="answers in the window, or nothing is decided")
    probe_seconds: float = Field(default=5.0, gt=0, description="how long legacy answers alone before the route probes")
