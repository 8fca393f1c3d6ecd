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


class Problem(BaseModel):
    """Every answer that is not the one asked for."""

    detail: str
    code: str
    errors: dict[str, list[str]] | None = Field(default=None, description="only with the code `invalid`")


def body(form: type[BaseModel]) -> dict[str, Any]:
    """The optional JSON body; declared by hand because it is read after permission and object are checked."""
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": form.model_json_schema()}}}}


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
