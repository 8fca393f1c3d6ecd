"""Commands: what an extracted service asks the monolith to write, on behalf of a caller whom the monolith introduced.

A service brings the very token that it got with the request: the monolith signed it and verifies it again.
The router takes that header away from everybody, so a command cannot be given through it.
"""

import time
from functools import wraps

from django.conf import settings
from django.http import Http404
from django.views.decorators.csrf import csrf_exempt

from legacy_app.api import NOT_AUTHENTICATED, NOT_FOUND, PERMISSION_DENIED, ApiError
from legacy_app.identity import tokens
from legacy_app.shadow import is_shadow

LEEWAY_SECONDS = 2


def command(*permissions):
    """Let a view take a POST from the service, for a caller who has all of these permissions.

    The view is called with that caller's organisation behind its request. Without a token there is nothing here.
    """

    def decorate(view):
        # Exempt: no browser can send the header, and the token says that the caller's own CSRF check was made.
        @csrf_exempt
        @wraps(view)
        def answer(request, *args, **kwargs):
            token = request.headers.get("X-Internal-Identity")
            if request.method != "POST" or not token or not settings.IDENTITY_PRIVATE_KEY_FILE:
                raise Http404
            try:
                return view(request, _organisation_id(request, token, permissions), *args, **kwargs)
            except ApiError as refusal:
                return refusal.response()
            except Http404:
                return ApiError(*NOT_FOUND).response()

        return answer

    return decorate


def _organisation_id(request, token, permissions):
    keys = tokens.believed_keys(settings.IDENTITY_PRIVATE_KEY_FILE)
    # The service checked the token's age when the request came; since then the provider may have taken its whole time.
    late = settings.LLM_TIMEOUT_SECONDS + LEEWAY_SECONDS
    try:
        claims = tokens.verified(token, keys, audience=settings.IDENTITY_AUDIENCE, now=time.time(), late_seconds=late)
    except tokens.NotOurs:
        raise ApiError(*NOT_AUTHENTICATED) from None
    if claims.get("shadow") and not is_shadow(request.headers.get("baggage", "")):
        raise ApiError(*NOT_AUTHENTICATED)  # a copy's identity gives no command that would be kept
    if not claims["csrf_checked"] or claims["org"] is None or not set(permissions) <= set(claims["perms"]):
        raise ApiError(*PERMISSION_DENIED)
    return claims["org"]
