"""Pydantic's validation errors as problems a person can act on: the place, the cure, the nearest right word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import Problem


def from_validation(error: ValidationError, place: str, model: type[BaseModel]) -> list[Problem]:
    """One problem for each thing that is wrong in the table at `place`, which should be a `model`."""
    return [_problem(detail, place, model) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, place: str, model: type[BaseModel]) -> Problem:
    steps = [str(step) for step in detail["loc"]]
    field = ".".join(steps)
    at = f"{place}, {field}" if field else place
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            known = _fields(model, steps[:-1])
            return Problem(at, f"there is no such field.{did_you_mean(steps[-1], known)} Known are: {in_words(known)}")
        case "missing":
            return Problem(at, f"is missing: {_about(model, steps)}")
        case "literal_error":
            said = str(context["expected"]).replace(" or ", ", ").replace("True", "true").replace("False", "false")
            words = [word.strip("' ") for word in said.split(",")]
            return Problem(at, f'"{value}" is none of {in_words(words)}.{did_you_mean(str(value), words)}')
        case "value_error":
            return Problem(at, str(context["error"]))
        case "string_pattern_mismatch":
            return Problem(at, f'"{value}" does not fit: {_about(model, steps) or context["pattern"]}')
        case "model_type" | "dict_type":
            return Problem(at, "must be a table")
    sentence = detail["msg"].replace("Input should be", "must be")
    return Problem(at, f"{sentence}, not {value!r}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean "…"?` for the nearest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def unusable(error: OSError | UnicodeDecodeError) -> str:
    """Why a file cannot be read or written, without its name."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8: save it as UTF-8 text"
    return error.strerror or str(error)


def in_words(names: Iterable[str]) -> str:
    return ", ".join(names)


def _fields(model: type[BaseModel], steps: list[str]) -> list[str]:
    for step in (step for step in steps if not step.isdigit()):
        nested = _nested(model, step)
        if nested is None:
            break
        model = nested
    return [field.alias or name for name, field in model.model_fields.items()]


def _about(model: type[BaseModel], steps: list[str]) -> str:
    """The description of the field that `steps` lead to."""
    for step in steps[:-1]:
        model = _nested(model, step) or model
    field = _find(model, steps[-1])
    return str(field.description or "") if field else ""


def _nested(model: type[BaseModel], step: str) -> type[BaseModel] | None:
    field = _find(model, step)
    annotation = field.annotation if field else None
    kinds = get_args(annotation) or (annotation,)  # a table that may be left out is a union with None
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _find(model: type[BaseModel], step: str) -> Any:
    by_alias = {field.alias or name: field for name, field in model.model_fields.items()}
    return by_alias.get(step)
