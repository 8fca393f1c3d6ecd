"""Sessions that a shadow copy may read but never change.

A copy runs with the caller's own cookie. If it cycled the session's key, its new cookie would be thrown
away with its answer and the caller would be logged out; if it saved, it would extend a visit nobody made.
"""

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from legacy_app.shadow import is_shadow


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's session middleware, with frozen sessions for shadow copies."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        if is_shadow(request.headers.get("baggage", "")):
            request.session = frozen(self.SessionStore)(request.session.session_key)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not getattr(request.session, "is_frozen", False):
            return super().process_response(request, response)
        if request.session.accessed:
            patch_vary_headers(response, ("Cookie",))
        return response


def frozen(store: type[SessionBase]) -> type[SessionBase]:
    """The same store without the two writes that all others come down to.

    What is put into the session lives as long as the request.
    """

    class Frozen(store):
        is_frozen = True

        def save(self, must_create: bool = False) -> None: ...

        def delete(self, session_key: str | None = None) -> None: ...

    Frozen.__qualname__ = store.__qualname__  # Django salts the signature of a session with it
    return Frozen
