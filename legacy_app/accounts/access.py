"""Who may see a page: signed in, in an organisation, with the permission."""

from functools import wraps

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied


def page_for(*permissions):
    """A page that somebody without an organisation, or without these permissions, is refused."""

    def decorate(view):
        @wraps(view)
        def checked(request, *args, **kwargs):
            if not may(request.user, *permissions):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return login_required(checked)

    return decorate


def may(user, *permissions):
    """Whoever belongs to no organisation has no data here, whatever else they are allowed."""
    return user.organisation_id is not None and user.has_perms(permissions)
