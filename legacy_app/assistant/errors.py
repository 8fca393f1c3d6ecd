"""How a provider call can end other than well. The tree is closed:

ProviderError
├── Busy        the provider is at its limit; `retry_after` says for how many seconds
├── TimedOut    the deadline passed
└── Failed      everything else: an error status, a malformed or unfinished answer, a broken connection
"""


class ProviderError(Exception):
    pass


class Busy(ProviderError):  # noqa: N818
    def __init__(self, retry_after: int) -> None:
        super().__init__(f"The provider is at its limit for {retry_after} s.")
        self.retry_after = retry_after


class TimedOut(ProviderError):  # noqa: N818
    pass


class Failed(ProviderError):  # noqa: N818
    pass
