"""Three endpoints of the promise on Django Ninja, as they should be, and with each of some changes.

Run as a module it prints what Ninja generates of them: documents as JSON, by change. Nobody calls the endpoints.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Body, Field, NinjaAPI, Query, Schema
from pydantic import create_model

Id = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
MILLISECONDS = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{3})?Z$"
Time = Annotated[datetime, Field(json_schema_extra={"pattern": MILLISECONDS})]
Words = Annotated[int, Field(ge=20, le=300)]
Address = Annotated[str, Field(pattern="^/knowledge/[^/]+/$")]
Score = Annotated[float, Field(ge=-1, le=1)]
Said = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
State = Literal["queued", "running", "done", "failed"]


class Problem(Schema):
    detail: Text
    code: Literal["permission_denied", "csrf"]


class Usage(Schema):
    prompt_tokens: Count
    completion_tokens: Count


class Hit(Schema):
    slug: Text
    title: Text
    url: Address
    excerpt: Text
    score: Score


class FarHit(Hit):
    score: float


Fields = dict[str, Any]
"""Types by name, with the default if there is one."""
WANTED: dict[str, Fields] = {
    "Wish": {"max_words": (Words | None, 80)},
    "Summary": {
        "id": Id,
        "ticket": Id,
        "text": Text,
        "model": Text,
        "usage": Usage,
        "created_by": Id,
        "created_at": Time,
    },
    "Search": {
        "q": Annotated[str, Field(min_length=1, max_length=500, pattern=Said)],
        "limit": (Annotated[int, Field(ge=1, le=20)], 5),
    },
    "Found": {"query": Text, "results": Annotated[list[Hit], Field(max_length=20)]},
    "Job": {
        "id": Id,
        "status": State,
        "created_at": Time,
        "finished_at": Time | None,
        "done": Count,
        "total": Count,
        "error": str,
    },
}
CHANGES: dict[str, tuple[str, Fields]] = {
    "a smaller maximum": ("Wish", {"max_words": (Annotated[int, Field(ge=20, le=200)] | None, 80)}),
    "null is refused": ("Wish", {"max_words": (Words, 80)}),
    "a new must": ("Wish", {"language": str}),
    "another name": ("Wish", {"max_words": None, "words": (Words | None, 80)}),
    "a shorter text": ("Search", {"q": Annotated[str, Field(min_length=1, max_length=100, pattern=Said)]}),
    "another default": ("Search", {"limit": (Annotated[int, Field(ge=1, le=20)], 10)}),
    "a lost field": ("Summary", {"model": None}),
    "a field that may be left out": ("Summary", {"usage": (Usage, Usage(prompt_tokens=0, completion_tokens=0))}),
    "null": ("Summary", {"model": Text | None}),
    "null instead of an object": ("Summary", {"usage": Usage | None}),
    "another type": ("Summary", {"created_by": str}),
    "another time format": ("Summary", {"created_at": datetime}),
    "a new choice": ("Job", {"status": Literal["queued", "running", "done", "failed", "paused"]}),
    "a number below": ("Job", {"done": int}),
    "a wider range in a list": ("Found", {"results": Annotated[list[FarHit], Field(max_length=20)]}),
    "a longer list": ("Found", {"results": list[Hit]}),
}
"""What becomes of which fields; None: it is gone."""


def document(changed: str = "", fields: Fields | None = None) -> Any:
    wanted = WANTED | ({changed: WANTED[changed] | fields} if fields else {})
    made: Any = {name: _schema(name, wanted[name]) for name in wanted}
    wish, search = made["Wish"], made["Search"]
    api = NinjaAPI(docs_url=None, openapi_url=None)

    @api.post("/tickets/{ticket_id}/summary", response={200: made["Summary"], 403: Problem})
    def summarise(request: HttpRequest, ticket_id: int, body: Body[wish | None] = None) -> None: ...  # type: ignore[valid-type]

    @api.get("/search", response={200: made["Found"], 403: Problem})
    def find(request: HttpRequest, wanted: Query[search]) -> None: ...  # type: ignore[valid-type]

    @api.get("/articles/reindex/{job_id}", response={200: made["Job"], 403: Problem})
    def look(request: HttpRequest, job_id: int) -> None: ...

    return api.get_openapi_schema(path_prefix="/api")


def _schema(name: str, fields: Fields) -> Any:
    kept = {key: each for key, each in fields.items() if each is not None}
    told: Fields = {key: each if isinstance(each, tuple) else (each, ...) for key, each in kept.items()}
    return create_model(name, __base__=Schema, **told)


if __name__ == "__main__":
    print(json.dumps({"": document()} | {change: document(*told) for change, told in CHANGES.items()}))
