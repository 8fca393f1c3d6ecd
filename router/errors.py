"""Everything that can go wrong, as one closed tree: by who has to act, then by phase.

    RouterError
    ├── ConfigError              the operator: routes.toml is wrong; carries every problem at once
    ├── SpansError               the operator: a file of spans cannot be used
    ├── EditError                the operator: routes.toml is not changed, and why
    ├── EvidenceError            the operator: the evidence database cannot be used; a sentence that says what to do
    └── ExchangeError            one request failed; `status` and `code` are what the caller gets
        ├── CallerLeft           nobody is there to be answered
        ├── RequestTooLarge      413  a body without a length is longer than we hold
        ├── NotRoutable          404  a path that only the router itself may use
        ├── ForeignOrigin        403  a page of another site asks for a WebSocket in its visitor's name
        ├── Stopped              503  the router ends, and the time to drain is over
        ├── IdentityUnavailable  503  the monolith could not say who the caller is
        └── UpstreamError
            ├── NotSent               no byte of the request left: whatever its method, it may go elsewhere
            │   ├── Down         503  the upstream fails its health checks
            │   ├── Busy         503  no connection became free in time, or too many requests wait for one
            │   ├── ConnectFailed
            │   │                502  refused, unreachable, unknown name, or closed before the request was sent
            │   └── ConnectTimeout
            │                    504  no connection stood in time
            ├── AnswerCut        502  the connection ended before the answer did
            ├── AnswerMalformed  502  what came is not HTTP/1.1, or ambiguous
            └── AnswerTimeout    504  no first byte, no next byte, or no end, in time

A failure after the answer's first byte has no status any more: the caller's connection is cut.
"""

from __future__ import annotations

from dataclasses import dataclass


class RouterError(Exception):
    """Any failure of ours."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with routes.toml: where, and what to do about it."""

    place: str
    cure: str

    def __str__(self) -> str:
        return f"{self.place}: {self.cure}" if self.place else self.cure


class ConfigError(RouterError):
    """routes.toml cannot be used; `problems` holds every reason, in the order of the file."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{source} has {count}:", *(f"  {problem}" for problem in problems)]))


class SpansError(RouterError):
    """A file of spans that cannot be surveyed; the sentence says why."""


class EditError(RouterError):
    """routes.toml stays as it is; the sentence says why and what to do."""


class EvidenceError(RouterError):
    """The evidence database cannot be used."""


class ExchangeError(RouterError):
    """One request failed."""

    status = 502
    code = "upstream_failed"
    sentence = "The service behind this address failed."
    retry_after_seconds: int | None = None


class CallerLeft(ExchangeError):
    """The caller closed the connection; there is nobody to answer."""


class RequestTooLarge(ExchangeError):
    status = 413
    code = "request_too_large"
    sentence = "The request body is too large to be accepted without a Content-Length."


class NotRoutable(ExchangeError):
    status = 404
    code = "not_found"
    sentence = "Not found."


class ForeignOrigin(ExchangeError):
    status = 403
    code = "foreign_origin"
    sentence = "A page of another site may not open this WebSocket."


class Stopped(ExchangeError):
    status = 503
    code = "router_stopped"
    sentence = "The router in front of this address is being stopped. Try again."
    retry_after_seconds = 1


class IdentityUnavailable(ExchangeError):
    status = 503
    code = "identity_unavailable"
    sentence = "Who you are could not be checked just now. Try again."
    retry_after_seconds = 1


class UpstreamError(ExchangeError):
    """An upstream did not answer as it should."""


class NotSent(UpstreamError):
    """No byte of the request left: the upstream cannot have acted on it."""


class Down(NotSent):
    status = 503
    code = "upstream_down"
    sentence = "The service behind this address is not available just now. Try again."
    retry_after_seconds = 2


class Busy(NotSent):
    status = 503
    code = "upstream_busy"
    sentence = "The service behind this address has too much to do. Try again."
    retry_after_seconds = 1


class ConnectFailed(NotSent):
    code = "upstream_unreachable"
    sentence = "The service behind this address cannot be reached."


class ConnectTimeout(NotSent):
    status = 504
    code = "upstream_connect_timeout"
    sentence = "The service behind this address did not accept a connection in time."


class AnswerCut(UpstreamError):
    code = "upstream_cut"
    sentence = "The service behind this address ended its answer early."


class AnswerMalformed(UpstreamError):
    code = "upstream_malformed"
    sentence = "The service behind this address gave an answer that is not valid HTTP."


class AnswerTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"
    sentence = "The service behind this address did not answer in time."
