"""How a provider call can end other than well, and what the caller is told. The tree is closed:

ProviderError
├── Busy        the provider is at its limit; `retry_after` says for how many seconds
├── TimedOut    the deadline passed
└── Failed      everything else: an error status, a malformed or unfinished answer, a broken connection
"""

from legacy_app.api import ApiError


class ProviderError(Exception):
    """The message is for the log; callers get `refusal`, which tells nothing about the provider."""

    status, code, detail = 502, "assistant_failed", "The assistant could not answer."

    def refusal(self) -> ApiError:
        return ApiError(self.status, self.code, self.detail)


class Busy(ProviderError):
    status, code, detail = 503, "assistant_busy", "The assistant is busy. Try again later."

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"The provider is at its limit for {retry_after} s.")
        self.retry_after = retry_after

    def refusal(self) -> ApiError:
        return ApiError(self.status, self.code, self.detail, headers={"Retry-After": str(self.retry_after)})


class TimedOut(ProviderError):
    status, code, detail = 504, "assistant_timeout", "The assistant took too long to answer."


class Failed(ProviderError):
    pass
