"""Signing in and out are Django's own views; this is the way to the first page."""

from django.shortcuts import redirect


def home(request):
    """Where signing in leads, too: support staff of the product itself have no inbox."""
    if not request.user.is_authenticated:
        return redirect("login")
    return redirect("admin:index" if request.user.organisation_id is None else "inbox")
