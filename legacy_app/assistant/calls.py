"""The audit: one row per provider call, however it ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from legacy_app.assistant.errors import Busy, ProviderError, TimedOut
from legacy_app.assistant.models import Call
from legacy_app.assistant.provider import Completion, Embeddings, Finished, Usage
from legacy_app.shadow import promised


@dataclass
class Record:
    """What is known of a call so far; `model` is the one asked for until the provider names its own."""

    model: str
    usage: Usage = field(default_factory=Usage)

    def keep(self, answer: Completion | Embeddings | Finished) -> None:
        self.model, self.usage = answer.model, answer.usage


@contextmanager
def recorded(kind: str, user, *, model: str, ticket=None) -> Iterator[Record]:
    """Write the row when the block ends, also when the caller has left (GeneratorExit)."""
    record, outcome, started = Record(model), Call.Outcome.OK, time.monotonic()
    with promised(Call):
        try:
            yield record
        except BaseException as error:
            outcome = _outcome(error)
            raise
        finally:
            Call.objects.create(
                organisation_id=user.organisation_id,
                user=user,
                ticket=ticket,
                kind=kind,
                model=record.model,
                outcome=outcome,
                prompt_tokens=record.usage.prompt_tokens,
                completion_tokens=record.usage.completion_tokens,
                duration_ms=round((time.monotonic() - started) * 1000),
            )


def _outcome(error: BaseException) -> Call.Outcome:
    match error:
        case Busy():
            return Call.Outcome.BUSY
        case TimedOut():
            return Call.Outcome.TIMEOUT
        case ProviderError() | Exception():
            return Call.Outcome.FAILED
        case _:  # GeneratorExit, SystemExit: nobody waits for the answer any more
            return Call.Outcome.ABORTED
