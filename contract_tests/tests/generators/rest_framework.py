"""As `ninja.py`, on Django REST framework, of which drf-spectacular generates OpenAPI 3.0."""

import json
from typing import Any

import django
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework.serializers import (
    CharField,
    ChoiceField,
    DateTimeField,
    FloatField,
    IntegerField,
    ListField,
    RegexField,
    Serializer,
)
from rest_framework.views import APIView

MILLISECONDS = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{3})?Z$"
SAID = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
STATES = ("queued", "running", "done", "failed")
Fields = dict[str, Any]


def serializer(name: str, fields: Fields) -> Any:
    return type(name, (Serializer,), {key: each for key, each in fields.items() if each is not None})


def of_id() -> Any:
    return IntegerField(min_value=1)


def of_count() -> Any:
    return IntegerField(min_value=0)


def of_text(**more: Any) -> Any:
    return CharField(min_length=1, **more)


Time: Any = extend_schema_field({"type": "string", "format": "date-time", "pattern": MILLISECONDS})(
    type("Time", (DateTimeField,), {})
)


def of_words(most: int = 300, **more: Any) -> Any:
    return IntegerField(min_value=20, max_value=most, default=80, **more)


def of_hit(name: str = "Hit", most: float | None = 1) -> Any:
    told = {key: of_text() for key in ("slug", "title", "excerpt")}
    score = FloatField(min_value=-1, max_value=most)
    return serializer(name, {**told, "url": RegexField("^/knowledge/[^/]+/$"), "score": score})


Problem = serializer("Problem", {"detail": of_text(), "code": ChoiceField(["permission_denied", "csrf"])})
Usage = serializer("Usage", {"prompt_tokens": of_count(), "completion_tokens": of_count()})

WANTED: dict[str, Fields] = {
    "Wish": {"max_words": of_words(allow_null=True)},
    "Summary": {
        "id": of_id(),
        "ticket": of_id(),
        "text": of_text(),
        "model": of_text(),
        "usage": Usage(),
        "created_by": of_id(),
        "created_at": Time(),
    },
    "Search": {
        "q": RegexField(SAID, min_length=1, max_length=500),
        "limit": IntegerField(min_value=1, max_value=20, default=5),
    },
    "Found": {"query": of_text(), "results": ListField(child=of_hit()(), max_length=20)},
    "Job": {
        "id": of_id(),
        "status": ChoiceField(STATES),
        "created_at": Time(),
        "finished_at": Time(allow_null=True),
        "done": of_count(),
        "total": of_count(),
        "error": CharField(),
    },
}
CHANGES: dict[str, tuple[str, Fields]] = {
    "a smaller maximum": ("Wish", {"max_words": of_words(200, allow_null=True)}),
    "null is refused": ("Wish", {"max_words": of_words()}),
    "a new must": ("Wish", {"language": CharField()}),
    "another name": ("Wish", {"max_words": None, "words": of_words(allow_null=True)}),
    "a shorter text": ("Search", {"q": RegexField(SAID, min_length=1, max_length=100)}),
    "another default": ("Search", {"limit": IntegerField(min_value=1, max_value=20, default=10)}),
    "a lost field": ("Summary", {"model": None}),
    "a field that may be left out": ("Summary", {"usage": Usage(required=False)}),
    "null": ("Summary", {"model": of_text(allow_null=True)}),
    "null instead of an object": ("Summary", {"usage": Usage(allow_null=True)}),
    "another type": ("Summary", {"created_by": CharField()}),
    "another time format": ("Summary", {"created_at": DateTimeField()}),
    "a new choice": ("Job", {"status": ChoiceField((*STATES, "paused"))}),
    "a number below": ("Job", {"done": IntegerField()}),
    "a wider range in a list": ("Found", {"results": ListField(child=of_hit("FarHit", most=None)(), max_length=20)}),
    "a longer list": ("Found", {"results": of_hit()(many=True, max_length=20)}),  # it loses `max_length` there
}


def document(changed: str = "", fields: Fields | None = None) -> Any:
    wanted = WANTED | ({changed: WANTED[changed] | fields} if fields else {})
    made = {name: serializer(name, told) for name, told in wanted.items()}

    def view(method: str, answer: str, **told: Any) -> Any:
        responses = {200: made[answer], 403: Problem}
        endpoint = extend_schema(responses=responses, **told)(lambda self, request, **_: None)
        made_of: Any = type(f"Of{answer}", (APIView,), {method: endpoint})
        return made_of.as_view()

    served = [
        path("api/tickets/<int:pk>/summary", view("post", "Summary", request=made["Wish"])),
        path("api/search", view("get", "Found", parameters=[made["Search"]])),
        path("api/articles/reindex/<int:pk>", view("get", "Job")),
    ]
    generator: Any = SchemaGenerator
    return generator(patterns=served).get_schema(public=True)


if __name__ == "__main__":
    django.setup()
    with patched_settings({"OAS_VERSION": "3.1.1"}):
        newer = document()
    print(json.dumps({"": document(), "as 3.1": newer} | {change: document(*told) for change, told in CHANGES.items()}))
