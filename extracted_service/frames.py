"""What goes over the socket: each frame is one JSON object, and its `type` says which of these it is."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from .answers import dumps
from .documents import Usage
from .errors import Invalid, InvalidJson, Refusal

LARGEST_FRAME_BYTES = 32_768  # 2000 characters, all of them escaped as surrogate pairs, and what stands around them
LONGEST_ID_CHARACTERS = 64

Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID_CHARACTERS)]


class _Frame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Ask(_Frame):
    """A question; the client chooses the id, and every frame about the answer carries it."""

    type: Literal["ask"]
    id: Id
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Cancel(_Frame):
    """Enough of the answer to this question."""

    type: Literal["cancel"]
    id: Id


class PastMessage(_Frame):
    id: int
    role: Literal["user", "assistant"]
    text: str
    status: Literal["complete", "cancelled", "failed"]
    created_at: datetime


class History(_Frame):
    """The first frame: the conversation's number, and its latest messages, the oldest first."""

    type: Literal["history"] = "history"
    conversation: int
    messages: list[PastMessage]


class Delta(_Frame):
    """The next piece of the answer."""

    type: Literal["delta"] = "delta"
    id: str
    text: str


class Done(_Frame):
    """The answer is complete."""

    type: Literal["done"] = "done"
    id: str
    finish_reason: str
    usage: Usage


class Cancelled(_Frame):
    """The answer ended because the client, or the socket's time, wanted it; what was said is kept."""

    type: Literal["cancelled"] = "cancelled"
    id: str


class Problem(_Frame):
    """A frame that was refused, or an answer that failed. The socket goes on."""

    type: Literal["error"] = "error"
    id: str | None
    code: str
    detail: str
    retry_after: int | None = None  # seconds

    @classmethod
    def of(cls, refusal: Refusal, id: str | None) -> "Problem":  # noqa: A002
        return cls(id=id, code=refusal.code, detail=refusal.detail, retry_after=getattr(refusal, "retry_after", None))


FromServer = History | Delta | Done | Cancelled | Problem
FromClient: TypeAdapter[Ask | Cancel] = TypeAdapter(Annotated[Ask | Cancel, Field(discriminator="type")])


def written(frame: FromServer) -> str:
    """ASCII, as every other answer: a piece of text may end in half a surrogate pair, which has no UTF-8 form."""
    return dumps(frame.model_dump())


def read(text: str) -> Ask | Cancel | Problem:
    """What the client wants, or what is wrong with it."""
    try:
        return FromClient.validate_json(text)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
    if wrong["type"] == "json_invalid":
        return Problem(id=None, code=InvalidJson.code, detail="The frame is not valid JSON.")
    value = from_json(text)
    if not isinstance(value, dict):
        return Problem(id=None, code=InvalidJson.code, detail="The frame must be a JSON object.")
    said = value.get("id")
    known = said if isinstance(said, str) and len(said) <= LONGEST_ID_CHARACTERS else None
    return Problem(id=known, code=Invalid.code, detail=_sentence(wrong))


def _sentence(wrong: ErrorDetails) -> str:
    if wrong["type"].startswith("union_tag"):
        return "type must be ask or cancel."
    return f"{wrong['loc'][-1]}: {wrong['msg']}."
