"""A completion as server-sent events, token by token, that never pretends to be complete.

The provider's first chunk is awaited before the response starts, so a failure until then is a real status.
A failure later is an `error` event and a cut connection; only a proven end sends `done`.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import chain

from django.conf import settings
from django.http import StreamingHttpResponse

from legacy_app.assistant import provider, sse
from legacy_app.assistant.calls import recorded
from legacy_app.assistant.deadline import Deadline
from legacy_app.assistant.errors import ProviderError
from legacy_app.assistant.provider import Delta, Finished

# What a body yields when its first chunk is there; `response` takes it off again.
STARTED = b""


def response(body: Iterator[bytes]) -> StreamingHttpResponse:
    """Raises what goes wrong before the first chunk.

    The body is running from here on, so closing it always hangs up on the provider and writes the audit row.
    """
    next(body)
    streamed = StreamingHttpResponse(body, content_type="text/event-stream")
    streamed["Cache-Control"] = "no-cache"
    streamed["X-Accel-Buffering"] = "no"  # nginx would collect the tokens
    return streamed


def completion(
    kind: str,
    user,
    messages: provider.Messages,
    *,
    temperature: float,
    max_tokens: int,
    until: Deadline,
    ticket=None,
    heading: bytes = b"",
) -> Iterator[bytes]:
    """STARTED, the heading, a frame per piece of text, and the `done` frame."""
    started = False
    try:
        with (
            recorded(kind, user, ticket=ticket, model=settings.LLM_MODEL) as record,
            closing(provider.stream(messages, temperature=temperature, max_tokens=max_tokens, until=until)) as items,
        ):
            first = next(items)
            started = True
            yield STARTED
            if heading:
                yield heading
            for item in chain([first], items):
                match item:
                    case Delta(text="") | None:
                        continue
                    case Delta(text=text):
                        yield sse.frame("delta", {"text": text})
                    case Finished():
                        finished = item
                        record.keep(finished)
    except ProviderError as error:
        if started:
            yield sse.frame("error", {"detail": error.detail, "code": error.code})
        raise  # past the first byte this makes the server cut the connection
    yield sse.frame("done", asdict(finished))
