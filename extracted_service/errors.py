"""Everything the service raises on purpose.

ServiceError
├── SettingsError            the service cannot start; the message says why and what to do
├── CallerLeft               the caller closed the connection before the answer: nothing is left to say
├── StreamCut                a stream broke after its first byte: the connection is cut, never ended cleanly
└── Refusal                  an answer that is not the one asked for; each has a status, a code and a sentence
    ├── CsrfFailed           403 csrf
    ├── NotAuthenticated     401 not_authenticated
    ├── PermissionDenied     403 permission_denied
    ├── NotFound             404 not_found
    ├── MethodNotAllowed     405 method_not_allowed
    ├── BodyTooLarge         400 bad_request
    ├── TooManyFields        400 bad_request
    ├── InvalidJson          400 invalid_json
    ├── Invalid              400 invalid, with the messages of each field
    ├── TokenLimit           429 token_limit, with Retry-After
    ├── TooManySockets       429 too_many_sockets
    ├── NotReady             503 not_ready
    ├── ServerError          500 server_error
    │   └── CommandFailed    500 server_error: the monolith did not write what it was asked to
    └── ProviderError        the LLM provider did not answer as it should
        ├── Busy             503 assistant_busy, with Retry-After
        ├── TimedOut         504 assistant_timeout
        └── Failed           502 assistant_failed
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ServiceError(Exception):
    """What the service raises on purpose."""


class SettingsError(ServiceError):
    """The service cannot start."""


class CallerLeft(ServiceError):
    """The caller closed the connection before the answer."""


class StreamCut(ServiceError):
    """A stream broke after its first byte."""


class Refusal(ServiceError):
    """An answer that is not the one asked for."""

    status: ClassVar[int]
    code: ClassVar[str]
    detail: str

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or type(self).detail
        super().__init__(self.detail)

    def body(self) -> dict[str, Any]:
        return {"detail": self.detail, "code": self.code}

    def headers(self) -> dict[str, str]:
        return {}


class CsrfFailed(Refusal):
    status, code = 403, "csrf"
    detail = "CSRF Failed: the identity was issued for a safe method."


class NotAuthenticated(Refusal):
    status, code = 401, "not_authenticated"
    detail = "Authentication credentials were not provided."


class PermissionDenied(Refusal):
    status, code = 403, "permission_denied"
    detail = "You do not have permission to perform this action."


class NotFound(Refusal):
    status, code = 404, "not_found"
    detail = "Not found."


class MethodNotAllowed(Refusal):
    status, code = 405, "method_not_allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        return {"Allow": self.allowed}


class BodyTooLarge(Refusal):
    status, code = 400, "bad_request"
    detail = "Bad request."


class TooManyFields(Refusal):
    """A query with more fields than Django reads."""

    status, code = 400, "bad_request"
    detail = "Bad request."


class InvalidJson(Refusal):
    status, code = 400, "invalid_json"
    detail = "The request body is not valid JSON."


class Invalid(Refusal):
    status, code = 400, "invalid"
    detail = "Invalid input."

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.errors = errors

    def body(self) -> dict[str, Any]:
        return {**super().body(), "errors": self.errors}


class TokenLimit(Refusal):
    """The organisation has used up its tokens of the day."""

    status, code = 429, "token_limit"
    detail = "Your organisation has used up its assistant tokens for today."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class TooManySockets(Refusal):
    status, code = 429, "too_many_sockets"
    detail = "You have too many conversations open. Close one of them."


class NotReady(Refusal):
    status, code = 503, "not_ready"


class ServerError(Refusal):
    """An error nobody thought of; the log has it."""

    status, code = 500, "server_error"
    detail = "Server error."


class CommandFailed(ServerError):
    """The monolith did not write what it was asked to; to the caller that is what it was inside the monolith."""


class ProviderError(Refusal):
    """The LLM provider did not answer as it should; `outcome` is what the audit row says."""

    outcome: ClassVar[str]


class Busy(ProviderError):
    status, code, outcome = 503, "assistant_busy", "busy"
    detail = "The assistant is busy. Try again later."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class TimedOut(ProviderError):
    status, code, outcome = 504, "assistant_timeout", "timeout"
    detail = "The assistant took too long to answer."


class Failed(ProviderError):
    """Any other failure; `reason` is for the log and never reaches the caller."""

    status, code, outcome = 502, "assistant_failed", "failed"
    detail = "The assistant could not answer."

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
