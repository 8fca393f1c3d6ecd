"""What goes in and out of each endpoint, and how OpenAPI describes it."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, Field

from .forms import choice, text, whole_number
from .prompts import TONES

Documentation = dict[int | str, dict[str, Any]]


class SummaryForm(BaseModel):
    max_words: Annotated[int, Field(ge=20, le=300), whole_number(20, 300, default=80)] = 80


class ReplyForm(BaseModel):
    tone: Annotated[str, choice(TONES, default="friendly"), Field(json_schema_extra={"enum": [*TONES]})] = "friendly"
    instructions: Annotated[str, Field(max_length=2000), text(2000)] = ""


class SearchForm(BaseModel):
    q: Annotated[str, Field(min_length=1, max_length=500), text(500, required=True)]
    limit: Annotated[int, Field(ge=1, le=20), whole_number(1, 20, default=5)] = 5


class AskForm(BaseModel):
    question: Annotated[str, Field(min_length=1, max_length=2000), text(2000, required=True)]


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class SummaryAnswer(BaseModel):
    id: int
    ticket: int
    text: str
    model: str
    usage: Usage
    created_by: int
    created_at: datetime


class TriageAnswer(BaseModel):
    ticket: int
    category: str
    priority: str
    reason: str


class Result(BaseModel):
    slug: str
    title: str
    url: str
    excerpt: str
    score: float


class SearchAnswer(BaseModel):
    query: str
    results: list[Result]


class JobAnswer(BaseModel):
    id: int
    status: Annotated[str, Field(json_schema_extra={"enum": ["queued", "running", "done", "failed"]})]
    created_at: datetime
    finished_at: datetime | None
    done: int
    total: int
    error: str


class Problem(BaseModel):
    """Every answer that is not the one asked for."""

    detail: str
    code: str
    errors: dict[str, list[str]] | None = Field(default=None, description="only with the code `invalid`")


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


def problems(*statuses: int) -> Documentation:
    """`default` stands for what may happen to any request, and keeps FastAPI from promising its own 422."""
    content = {"application/json": {"schema": Problem.model_json_schema()}}
    named: Documentation = {
        status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses
    }
    return {**named, "default": {"description": "Unexpected", "content": content}}


def event_stream(*events: str) -> Documentation:
    return {
        200: {
            "description": f"Server-sent events: {', '.join(events)}",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    }
