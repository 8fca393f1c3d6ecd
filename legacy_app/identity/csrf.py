"""Django's own CSRF check, put to a request on behalf of another one."""

from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def refusal(request: HttpRequest, method: str) -> str | None:
    """Django's reason to refuse this request if it were made with `method`; None if it may pass.

    `request` carries the caller's Cookie, Origin, Referer, X-CSRFToken, Host and scheme.
    An unknown method is unsafe, and the names of methods are case-sensitive (RFC 9110, section 9.1).
    """
    actual, request.method = request.method, method
    try:
        return _CsrfCheck(_no_view).process_view(request, _no_view, (), {})
    finally:
        request.method = actual


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _no_view(request: HttpRequest) -> None:
    return None
