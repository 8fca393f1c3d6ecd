"""The identity exchange: the router asks who a caller is, and Django answers with all it knows to check."""

import secrets
import time

from django.conf import settings
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt

from legacy_app.api import NOT_AUTHENTICATED, PERMISSION_DENIED, ApiError
from legacy_app.identity import csrf, tokens
from legacy_app.shadow import is_shadow


# Exempt, because the request that needs protection is the caller's: csrf.refusal judges that one.
@csrf_exempt
def exchange(request: HttpRequest) -> JsonResponse:
    if not _comes_from_the_router(request):
        raise Http404
    try:
        response = JsonResponse({"token": _token(request), "expires_in": tokens.LIFETIME_SECONDS})
    except ApiError as refusal:
        # The router passes it on to the caller, so it is what any other view would have said.
        return refusal.response()
    add_never_cache_headers(response)
    return response


def _token(request: HttpRequest) -> str:
    if request.method != "POST":
        detail = f'Method "{request.method}" not allowed.'
        raise ApiError(405, "method_not_allowed", detail, headers={"Allow": "POST"})
    audience = request.headers.get("X-Identity-Audience", "")
    if not audience:
        raise ApiError(400, "bad_request", "X-Identity-Audience is missing: name the upstream.")
    # First of all: looking at the user may cycle the session's key, and Django sends no cookie with a 500.
    key = tokens.signing_key(settings.IDENTITY_PRIVATE_KEY_FILE)
    method = request.headers.get("X-Original-Method", "")
    if reason := csrf.refusal(request, method):
        raise ApiError(403, "csrf", f"CSRF Failed: {reason}")
    if not request.user.is_authenticated:
        raise ApiError(*NOT_AUTHENTICATED)
    if request.user.organisation_id is None:
        raise ApiError(*PERMISSION_DENIED)
    claims = tokens.claims(
        request.user,
        request.session,
        audience=audience,
        csrf_checked=method not in csrf.SAFE_METHODS,
        now=int(time.time()),
        shadow=is_shadow(request.headers.get("baggage", "")),
    )
    return tokens.signed(claims, key)


def _comes_from_the_router(request: HttpRequest) -> bool:
    """Without a secret or a key there is no exchange, and nobody can tell that there could be one."""
    if not settings.IDENTITY_SECRET or not settings.IDENTITY_PRIVATE_KEY_FILE:
        return False
    given = request.headers.get("X-Identity-Secret", "")
    # As bytes: compare_digest refuses text that is not ASCII.
    return secrets.compare_digest(given.encode(), settings.IDENTITY_SECRET.encode())
