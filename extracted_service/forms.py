"""What Django's form fields make of a JSON value: the same results, the same messages.

The monolith reads bodies and queries with Django forms, and callers have come to rely on what those accept ("80",
80.0 and " 80 " are 80; null and "" mean the default; text is stripped).
Each function here returns a pydantic validator that behaves like one form field.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ValidationError
from starlette.requests import HTTPConnection, Request

from .errors import BodyTooLarge, Invalid, InvalidJson, TooManyFields

LARGEST_BODY_BYTES = 2_621_440  # Django's DATA_UPLOAD_MAX_MEMORY_SIZE
MOST_QUERY_FIELDS = 1000  # Django's DATA_UPLOAD_MAX_NUMBER_FIELDS
REQUIRED = "This field is required."
EMPTY: tuple[Any, ...] = (None, "", [], (), {})  # Django's EMPTY_VALUES

Form = TypeVar("Form", bound=BaseModel)


class _Wrong(ValueError):
    """All that a field has to say against a value."""

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)
        self.messages = list(messages)


async def filled(form: type[Form], request: Request) -> Form:
    """The request's body as the form."""
    return cleaned(form, await json_object(request))


async def json_object(request: Request) -> dict[str, Any]:
    """The request's body; an empty one counts as `{}`, and its Content-Type is not looked at."""
    return _decoded(await _body(request))


def filled_by_query(form: type[Form], request: HTTPConnection) -> Form:
    """The request's query as the form; of a field that is there twice the last one counts."""
    return cleaned(form, query_fields(request.scope["query_string"]))


def query_fields(query: bytes) -> dict[str, str]:
    """What Django's QueryDict reads in the raw bytes of a query."""
    try:
        text = query.decode()
    except UnicodeDecodeError:  # a client that did not encode its Latin-1
        text = query.decode("latin-1")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS))
    except ValueError:
        raise TooManyFields from None


def cleaned(form: type[Form], values: dict[str, Any]) -> Form:
    try:
        return form.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        raise Invalid({str(field["loc"][0]): _messages(field) for field in wrong}) from None


def _messages(field: Mapping[str, Any]) -> list[str]:
    messages: list[str] = [REQUIRED] if field["type"] == "missing" else field["ctx"]["error"].messages
    return messages


def whole_number(minimum: int, maximum: int, default: int) -> BeforeValidator:
    """Like IntegerField(min_value=minimum, max_value=maximum, required=False)."""

    def clean(value: Any) -> int:
        if value in EMPTY:
            return default
        try:
            number = int(re.sub(r"\.0*\s*$", "", str(value)))
        except ValueError:
            raise _Wrong("Enter a whole number.") from None
        if number > maximum:
            raise _Wrong(f"Ensure this value is less than or equal to {maximum}.")
        if number < minimum:
            raise _Wrong(f"Ensure this value is greater than or equal to {minimum}.")
        return number

    return BeforeValidator(clean)


def text(longest: int, *, required: bool = False) -> BeforeValidator:
    """Like CharField(max_length=longest, required=required), except that the monolith's API also refuses what
    no form can send: true, a list, an object. A number is its `str`.
    """

    def clean(value: Any) -> str:
        line = "" if value in EMPTY else str(value).strip()
        wrong = []
        if required and not line:
            wrong.append(REQUIRED)
        if len(line) > longest:
            wrong.append(f"Ensure this value has at most {longest} characters (it has {len(line)}).")
        if "\x00" in line:
            wrong.append("Null characters are not allowed.")
        if isinstance(value, bool | dict | list):
            wrong.append("Enter a valid value.")
        if wrong:
            raise _Wrong(*wrong)
        return line

    return BeforeValidator(clean)


def choice(choices: Collection[str], default: str) -> BeforeValidator:
    """Like ChoiceField(choices=choices, required=False)."""

    def clean(value: Any) -> str:
        if value in EMPTY:
            return default
        if str(value) not in choices:
            raise _Wrong(f"Select a valid choice. {value} is not one of the available choices.")
        return str(value)

    return BeforeValidator(clean)


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if int(declared) > LARGEST_BODY_BYTES:  # digits only: the server refused anything else
        raise BodyTooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY_BYTES:
            raise BodyTooLarge
    return bytes(body)


def _decoded(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body.decode(), parse_constant=_no_json_number, parse_float=_number)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair: no database stores that
    except (ValueError, RecursionError):  # also: not UTF-8, a number of 5000 digits, 100,000 brackets
        raise InvalidJson from None
    if not isinstance(value, dict):
        raise InvalidJson("The request body must be a JSON object.")
    return value


def _no_json_number(name: str) -> None:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


def _number(written: str) -> float:
    """What is beyond every double would become infinity, which is a number of nothing."""
    if math.isinf(number := float(written)):
        raise ValueError(written)
    return number
