"""What may differ between two answers: the rules of a route, each with its reason and, if wanted, its last day.

A rule is for a place, written as the report shows it, with `*` for any one word, key or index:

    /generated_at                      short for `body /generated_at`
    body /items/*/score
    body line 7
    event * delta /text
    effect * body /messages/0/content
    header vary
    status
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

HEADERS = (
    "content-type",
    "location",
    "www-authenticate",
    "allow",
    "cache-control",
    "vary",
    "retry-after",
    "content-language",
    "link",
)
TEXTS = (
    "/text",
    "/content",
    "/token",
    "/delta",
    "/delta/text",
    "/choices/*/text",
    "/choices/*/delta/content",
    "/choices/*/delta/reasoning_content",
    "/choices/*/delta/refusal",
    "/choices/*/delta/tool_calls/*/function/arguments",
)
_WORDS = ("status", "header", "body", "event", "effect", "answer")
_MEANS = ("ignore", "type_only", "unordered", "tolerance", "pattern", "similarity")


class Place(NamedTuple):
    """`effect * body /model` in its two parts."""

    words: tuple[str, ...]
    steps: tuple[str, ...] | None
    """The steps of the JSON pointer; None: there is none."""


def parse_place(text: str) -> Place:
    """A place as it is written. Raises ValueError with the cure."""
    before, slash, pointer = text.partition("/")
    words = tuple(before.split())
    if not words and slash:
        words = ("body",)
    if not words or words[0] not in _WORDS or (slash and before and not before.endswith(" ")):
        raise ValueError(f'"{text}" is no place: write a JSON pointer like "/items/*/id", or copy it from the report')
    return Place(words, parse_pointer("/" + pointer) if slash else None)


def parse_pointer(text: str) -> tuple[str, ...]:
    """The steps of a JSON pointer (RFC 6901). Raises ValueError with the cure."""
    if text and not text.startswith("/"):
        raise ValueError(f'"{text}" is no JSON pointer: write "/{text}"')
    if re.search("~(?![01])", text):
        raise ValueError(f'"{text}" is no JSON pointer: write "~0" for "~"')
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def pointer(steps: tuple[str, ...]) -> str:
    """The JSON pointer of these steps."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _place(text: str) -> str:
    parse_place(text)
    return text


def _pointer(text: str) -> str:
    parse_pointer(text)
    return text


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f'"{text}" is no regular expression: {error}') from None
    return text


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
At = Annotated[str, AfterValidator(_place)]
Pointer = Annotated[str, AfterValidator(_pointer)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tolerance(_Table):
    """How far two numbers may be apart; one of the two is enough."""

    absolute: float = Field(default=0.0, ge=0, description="by so much")
    relative: float = Field(default=0.0, ge=0, description="by such a share of the larger")

    def allows(self, control: float, candidate: float) -> bool:
        """Whether these two count as the same."""
        try:
            larger = max(abs(control), abs(candidate))
            return abs(control - candidate) <= max(self.absolute, self.relative * larger)
        except OverflowError:  # an integer beyond every double
            return False


class Rule(_Table):
    """In which way one place may differ: exactly one of the six, and why."""

    at: At = Field(description="the place, as the report shows it, with * for any")
    ignore: bool = Field(default=False, description="whatever is there, or is not")
    type_only: bool = Field(default=False, description="any value of the same JSON type")
    unordered: bool = Field(default=False, description="an array in any order")
    tolerance: Tolerance | None = Field(default=None, description="numbers that are near enough, in a header too")
    pattern: Annotated[str, AfterValidator(_regex)] | None = Field(
        default=None, description="texts that both fit this regular expression as a whole"
    )
    similarity: float | None = Field(
        default=None, gt=0, le=1, description="texts with such a share of their words in common (difflib's ratio)"
    )
    reason: str = Field(min_length=3, description="why this is no fault")
    until: date | None = Field(default=None, description="the last day on which it holds")

    @model_validator(mode="after")
    def _exactly_one(self) -> Rule:
        if sum(bool(getattr(self, means)) for means in _MEANS) != 1:
            raise ValueError(f"must say exactly one of {', '.join(_MEANS)}")
        words, steps = parse_place(self.at)
        holds_json = words[0] in ("body", "event", "effect") and ("line" not in words or steps is not None)
        if self.unordered and not holds_json:
            raise ValueError(
                f'"{self.at}" is no array of JSON, which unordered is for: say ignore or pattern; '
                "in allow, cache-control, vary and content-language order never counts"
            )
        return self


class Rules(_Table):
    """Everything that says what "the same" means for a route."""

    ignore: tuple[At, ...] = Field(default=(), description="places that may differ in any way, in short")
    rules: tuple[Rule, ...] = Field(default=(), description="what else may differ, with reasons")
    headers: tuple[HeaderName, ...] = Field(
        default=HEADERS, description="the headers that are compared; of cookies the names always are"
    )
    texts: tuple[Pointer, ...] = Field(
        default=TEXTS, description="where in an event a piece of a longer text stands: pieces are joined"
    )
    _placed: tuple[tuple[Place, Rule], ...] = PrivateAttr(default=())

    def model_post_init(self, context: object, /) -> None:
        """Read the places once."""
        short = (Rule(at=at, ignore=True, reason="ignored in short") for at in self.ignore)
        self._placed = tuple((parse_place(rule.at), rule) for rule in (*short, *self.rules))

    def holding(self, today: date) -> Rules:
        """Without those whose last day is over: what they excused counts again."""
        kept = tuple(rule for rule in self.rules if rule.until is None or rule.until >= today)
        return self if kept == self.rules else Rules(**dict(self) | {"rules": kept})

    def expired(self, today: date) -> tuple[str, ...]:
        """A sentence for each rule that no longer holds: the difference must be gone, or excused anew."""
        return tuple(
            f'the rule for "{rule.at}" ended on {rule.until}: remove it, or give it a later day and a reason'
            for rule in self.rules
            if rule.until is not None and rule.until < today
        )

    def under(self, *words: str) -> Tree | None:
        """The rules that begin with these words, as a tree of their pointers' steps; None if there are none."""
        root: Tree | None = None
        for place, rule in self._placed:
            if len(place.words) == len(words) and _fits(place.words, words):
                root = root or Tree()
                root.plant(place.steps or (), rule)
        return root

    def ignores(self, *words: str) -> bool:
        """Whether the whole of this place may differ in any way."""
        return any(rule.ignore and place.steps is None and _fits(place.words, words) for place, rule in self._placed)


def _fits(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """`effect *` is also for what lies below it: `effect 2 path`."""
    return len(pattern) <= len(words) and all(
        wanted in ("*", word) for wanted, word in zip(pattern, words, strict=False)
    )


class Tree:
    """Rules by the steps of their pointers. While two values are walked through, the trees that fit go along."""

    __slots__ = ("branches", "rule")

    def __init__(self) -> None:
        self.rule: Rule | None = None
        self.branches: dict[str, Tree] = {}

    def plant(self, steps: tuple[str, ...], rule: Rule) -> None:
        """Of two rules for one place the first one counts."""
        tree = self
        for step in steps:
            tree = tree.branches.setdefault(step, Tree())
        tree.rule = tree.rule or rule


Trees = tuple[Tree, ...]


def below(trees: Trees, step: str) -> Trees:
    """The trees that fit one step further down."""
    found = (branch for tree in trees for name in (step, "*") if (branch := tree.branches.get(name)) is not None)
    return tuple(found)


def rule_of(trees: Trees) -> Rule | None:
    """The rule for just this place, if there is one."""
    return next((tree.rule for tree in trees if tree.rule is not None), None)


def epoch(builds: Mapping[str, str], *fixed: BaseModel) -> str:
    """Names what evidence was gathered under: each side's build, and the rules that were fixed before.
    Evidence of different epochs is never added up."""
    told = [dict(builds), *(model.model_dump(mode="json") for model in fixed)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
