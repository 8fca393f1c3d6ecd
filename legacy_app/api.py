"""The plumbing that every API endpoint shares: who may call, what it reads, how refusals look.

An endpoint names the permissions of each method it has, and reads its body last:

    @endpoint(GET=["tickets.view_ticket"], PATCH=["tickets.change_ticket"])
    def ticket(request, pk):
        found = found_or_404(Ticket.objects.visible_to(request.user), pk=pk)
        if request.method == "PATCH":
            valid(TicketForm({**model_to_dict(found), **read_json(request)}, instance=found)).save()
        return JsonResponse(as_json(found))

The order is always: CSRF (Django's middleware) → signed in → method → permission → object → body.
"""

import json
import math
from functools import wraps

from django import forms
from django.core.paginator import EmptyPage, Paginator
from django.http import Http404, JsonResponse
from django.shortcuts import get_object_or_404 as found_or_404
from django.views import defaults
from django.views.csrf import csrf_failure as csrf_failure_page

from legacy_app.accounts.access import may

__all__ = ["ApiError", "endpoint", "found_or_404", "paged", "read_json", "valid"]

NOT_AUTHENTICATED = 401, "not_authenticated", "Authentication credentials were not provided."
PERMISSION_DENIED = 403, "permission_denied", "You do not have permission to perform this action."
NOT_FOUND = 404, "not_found", "Not found."
BAD_REQUEST = 400, "bad_request", "Bad request."
SERVER_ERROR = 500, "server_error", "Server error."

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 100


class ApiError(Exception):
    """An answer other than success: a status, a code for programs, a sentence for people."""

    def __init__(self, status, code, detail, *, errors=None, headers=None):
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers = errors, headers

    def response(self):
        said = {"detail": self.detail, "code": self.code}
        if self.errors is not None:
            said["errors"] = self.errors
        return JsonResponse(said, status=self.status, headers=self.headers)


def endpoint(**permissions_of):
    """Let a view answer the named methods, each for callers who have all of its permissions."""
    if "GET" in permissions_of:
        permissions_of["HEAD"] = permissions_of["GET"]
    allow = ", ".join(sorted(permissions_of))

    def decorate(view):
        @wraps(view)
        def answer(request, *args, **kwargs):
            try:
                if not request.user.is_authenticated:
                    raise ApiError(*NOT_AUTHENTICATED)
                if request.method not in permissions_of:
                    raise _method_not_allowed(request.method, allow)
                if not may(request.user, *permissions_of[request.method]):
                    raise ApiError(*PERMISSION_DENIED)
                return view(request, *args, **kwargs)
            except ApiError as refusal:
                return refusal.response()
            except Http404:
                return ApiError(*NOT_FOUND).response()

        return answer

    return decorate


def _method_not_allowed(method, allow):
    return ApiError(405, "method_not_allowed", f'Method "{method}" not allowed.', headers={"Allow": allow})


def read_json(request):
    """The body as a dictionary; nothing sent counts as an empty object, whatever the Content-Type."""
    if not request.body:
        return {}
    try:
        body = json.loads(request.body.decode(), parse_constant=_no_json_number, parse_float=_number)
        json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair: no database stores that
    except (ValueError, RecursionError):
        raise ApiError(400, "invalid_json", "The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_json", "The request body must be a JSON object.")
    return body


def _no_json_number(name):
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


def _number(written):
    """What is beyond every double would become infinity, which is a number of nothing."""
    if math.isinf(number := float(written)):
        raise ValueError(written)
    return number


def valid(form):
    """The same form, its fields cleaned; or the answer that says what is wrong with each."""
    for name, field in form.fields.items():
        if _is_of_wrong_type(field, form.data.get(name)):
            form.add_error(name, field.error_messages.get("invalid_choice", "Enter a valid value."))
    if not form.is_valid():
        raise ApiError(400, "invalid", "Invalid input.", errors=form.errors)
    return form


def _is_of_wrong_type(field, value):
    """Forms are made for strings: they would store ["a"] as "['a']", true as "True" or as row 1, and 1.5 as row 1."""
    if isinstance(field, forms.ModelChoiceField) and isinstance(value, float):
        return not value.is_integer()
    return isinstance(field, (forms.CharField, forms.ModelChoiceField)) and isinstance(value, (bool, dict, list))


class PageForm(forms.Form):
    page = forms.IntegerField(min_value=1, required=False)
    page_size = forms.IntegerField(min_value=1, max_value=MAX_PAGE_SIZE, required=False)


def paged(request, rows, as_json):
    """One page of rows with the way to its neighbours; a page after the last one is not found."""
    asked = valid(PageForm(request.GET)).cleaned_data
    paginator = Paginator(rows, asked["page_size"] or DEFAULT_PAGE_SIZE)
    try:
        page = paginator.page(asked["page"] or 1)
    except EmptyPage:
        raise ApiError(*NOT_FOUND) from None
    return JsonResponse(
        {
            "count": paginator.count,
            "next": _page_url(request, page.next_page_number()) if page.has_next() else None,
            "previous": _page_url(request, page.previous_page_number()) if page.has_previous() else None,
            "results": [as_json(row) for row in page],
        }
    )


def _page_url(request, number):
    query = request.GET.copy()
    query["page"] = number
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def csrf_failure(request, reason=""):
    if not _under_api(request):
        return csrf_failure_page(request, reason)
    return ApiError(403, "csrf", f"CSRF Failed: {reason}").response()


def bad_request(request, exception):
    return ApiError(*BAD_REQUEST).response() if _under_api(request) else defaults.bad_request(request, exception)


def permission_denied(request, exception):
    if not _under_api(request):
        return defaults.permission_denied(request, exception)
    return ApiError(*PERMISSION_DENIED).response()


def not_found(request, exception):
    return ApiError(*NOT_FOUND).response() if _under_api(request) else defaults.page_not_found(request, exception)


def server_error(request):
    return ApiError(*SERVER_ERROR).response() if _under_api(request) else defaults.server_error(request)


def _under_api(request):
    return request.path_info.startswith("/api/")
