"""What goes in and out of each endpoint, and how OpenAPI describes it."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, Field

from .forms import choice, text, whole_number
from .prompts import CATEGORIES, PRIORITIES, TONES

Documentation = dict[int | str, dict[str, Any]]


# As in the monolith's forms, null is the same as nothing.
NULLABLE_NUMBER = Field(json_schema_extra={"type": ["integer", "null"]})
NULLABLE_TEXT = Field(json_schema_extra={"type": ["string", "null"]})
TONE = Field(json_schema_extra={"type": ["string", "null"], "enum": [*TONES, None]})


class SummaryForm(BaseModel):
    max_words: Annotated[int, NULLABLE_NUMBER, Field(ge=20, le=300), whole_number(20, 300, default=80)] = 80


class ReplyForm(BaseModel):
    tone: Annotated[str, TONE, choice(TONES, default="friendly")] = "friendly"
    instructions: Annotated[str, NULLABLE_TEXT, Field(max_length=2000), text(2000)] = ""


class SearchForm(BaseModel):
    q: Annotated[str, Field(min_length=1, max_length=500), text(500, required=True)]
    limit: Annotated[int, Field(ge=1, le=20), whole_number(1, 20, default=5)] = 5


class AskForm(BaseModel):
    question: Annotated[str, Field(min_length=1, max_length=2000), text(2000, required=True)]


Id = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Words = Annotated[str, Field(min_length=1)]
# As `answers.dumps` writes it.
TIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{3})?Z$"
Time = Annotated[datetime, Field(json_schema_extra={"pattern": TIME})]


class Usage(BaseModel):
    prompt_tokens: Count
    completion_tokens: Count


class SummaryAnswer(BaseModel):
    id: Id
    ticket: Id
    text: Words
    model: Words
    usage: Usage
    created_by: Id
    created_at: Time


class TriageAnswer(BaseModel):
    ticket: Id
    category: Annotated[str, Field(json_schema_extra={"enum": [*CATEGORIES]})]
    priority: Annotated[str, Field(json_schema_extra={"enum": [*PRIORITIES]})]
    reason: Words


class Result(BaseModel):
    slug: Words
    title: Words
    url: Annotated[str, Field(pattern="^/knowledge/[^/]+/$")]
    excerpt: Words
    score: Annotated[float, Field(ge=-1, le=1)]


class SearchAnswer(BaseModel):
    query: Words
    results: Annotated[list[Result], Field(max_length=20)]


class JobAnswer(BaseModel):
    id: Id
    status: Annotated[str, Field(json_schema_extra={"enum": ["queued", "running", "done", "failed"]})]
    created_at: Time
    finished_at: Time | None
    done: Count
    total: Count
    error: str


class Problem(BaseModel):
    """Every answer that is not the one asked for."""

    detail: Words
    code: str
    errors: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        default={}, description="only with the code `invalid`"
    )


def body(form: type[BaseModel]) -> dict[str, Any]:
    """The JSON body; declared by hand because it is read after permission and object are checked."""
    schema = form.model_json_schema()
    return {"requestBody": {"required": "required" in schema, "content": {"application/json": {"schema": schema}}}}


def query(form: type[BaseModel]) -> dict[str, Any]:
    """The query's parameters; declared by hand for the same reason."""
    schema = form.model_json_schema()
    required = schema.get("required", [])
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema["properties"].items()
        ]
    }


CODES = {
    400: ("bad_request", "invalid_json", "invalid"),
    401: ("not_authenticated",),
    403: ("permission_denied", "csrf"),
    404: ("not_found",),
    429: ("token_limit",),
    502: ("assistant_failed",),
    503: ("assistant_busy",),
    504: ("assistant_timeout",),
}


def problems(*statuses: int) -> Documentation:
    """`default` stands for what may happen to any request, and keeps FastAPI from promising its own 422."""
    named: Documentation = {
        status: {"description": HTTPStatus(status).phrase, "content": _problem(*CODES[status])} for status in statuses
    }
    return {**named, "default": {"description": "Unexpected", "content": _problem()}}


def _problem(*codes: str) -> dict[str, Any]:
    schema = Problem.model_json_schema()
    if codes:
        schema["properties"]["code"]["enum"] = [*codes]
    return {"application/json": {"schema": schema}}


def event_stream(*events: str) -> Documentation:
    return {
        200: {
            "description": f"Server-sent events: {', '.join(events)}",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    }
