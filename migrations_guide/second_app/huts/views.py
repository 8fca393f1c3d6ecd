"""The club's API: read only, for whoever sends a member's token."""

from functools import wraps

from django.http import JsonResponse
from django.views.decorators.http import require_safe

from .models import Hut, Member


def members_only(view):
    """`Authorization: Token …` of a member, or a 401."""

    @wraps(view)
    def answer(request, *args, **kwargs):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Token" or not Member.objects.filter(token=token).exists():
            return JsonResponse(
                {"error": "A member's token, please."}, status=401, headers={"WWW-Authenticate": "Token"}
            )
        return view(request, *args, **kwargs)

    return answer


@require_safe
@members_only
def huts(request):
    return JsonResponse({"huts": list(Hut.objects.order_by("name").values("slug", "name"))})


@require_safe
@members_only
def hut(request, slug):
    found = Hut.objects.filter(slug=slug).values("slug", "name", "altitude", "beds", "price", "checked_at").first()
    if found is None:
        return JsonResponse({"error": "There is no such hut."}, status=404)
    return JsonResponse(found)
