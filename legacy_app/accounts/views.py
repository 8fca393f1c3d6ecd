"""Signing in and out are Django's own views; this is the way to the first page."""

from django.shortcuts import redirect


def home(request):
    """Support staff of the product itself have no inbox."""
    if request.user.is_authenticated and request.user.organisation is None:
        return redirect("admin:index")
    return redirect("inbox")
