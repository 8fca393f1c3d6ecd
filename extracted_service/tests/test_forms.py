"""Our form fields and Django's own, put to the same JSON values."""

import json
from typing import Any

import pytest
from django import forms as django_forms
from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import QueryDict
from hypothesis import example, given
from hypothesis import strategies as st

from extracted_service.documents import AskForm, ReplyForm, SearchForm, SummaryForm
from extracted_service.errors import Invalid, TooManyFields
from extracted_service.forms import cleaned, query_fields

if not settings.configured:
    settings.configure(USE_I18N=False)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NUMBER = django_forms.IntegerField(min_value=20, max_value=300, required=False)
TONE = django_forms.ChoiceField(choices=[(tone, tone) for tone in ("friendly", "formal", "brief")], required=False)
TEXT = django_forms.CharField(max_length=2000, required=False)
QUESTION = django_forms.CharField(max_length=2000)
LIMIT = django_forms.IntegerField(min_value=1, max_value=20, required=False)


def djangos(field: django_forms.Field, value: Any) -> Any:
    """The cleaned value, or the list of messages."""
    try:
        return field.clean(value)
    except django_forms.ValidationError as error:
        return error.messages


def ours(form: type[SummaryForm | ReplyForm | AskForm | SearchForm], name: str, value: Any) -> Any:
    try:
        return getattr(cleaned(form, {name: value}), name)
    except Invalid as error:
        return error.errors[name]


@given(JSON | st.integers(0, 400) | st.integers(0, 400).map(lambda number: f" {number}.0 "))
@example("8_0")
@example("٨٠")
@example("9" * 5000)
@example(80.0)
@example("80.00")
@example(1e22)
@example(19)
@example(301)
@example(True)
@example("80.5")
@example([80])
def test_a_whole_number_is_what_djangos_integer_field_makes_of_it(value: Any) -> None:
    expected = djangos(NUMBER, value)

    assert ours(SummaryForm, "max_words", value) == (80 if expected is None else expected)


@given(JSON | st.sampled_from(["friendly", "formal", "brief", "Formal", " brief ", ["formal"]]))
def test_a_choice_is_what_djangos_choice_field_makes_of_it(value: Any) -> None:
    assert ours(ReplyForm, "tone", value) == (djangos(TONE, value) or "friendly")


@given(
    st.text(max_size=20)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.none()
    | st.text("ab \x00\n", min_size=1).map(lambda text: text * 900)
)
@example("  stripped\u2003")
@example("x" * 2000 + "\n")
@example("x" * 2001 + "\x00")
def test_text_is_what_djangos_char_field_makes_of_it(value: Any) -> None:
    assert ours(ReplyForm, "instructions", value) == djangos(TEXT, value)


@pytest.mark.parametrize("value", [True, False, [], {}, ["a"], {"a": 1}], ids=json.dumps)
def test_what_no_html_form_can_send_is_no_text(value: Any) -> None:
    assert ours(ReplyForm, "instructions", value) == ["Enter a valid value."]


def test_nothing_said_means_the_defaults() -> None:
    assert cleaned(SummaryForm, {"unknown": 1}) == SummaryForm(max_words=80)
    assert cleaned(ReplyForm, {}) == ReplyForm(tone="friendly", instructions="")


@given(st.text(max_size=5) | st.integers() | st.none() | st.text(" \x00\t\u2003").map(lambda text: text * 1100))
@example("  stripped\u2003")
@example("x" * 2001 + "\x00")
def test_text_that_is_required_is_what_djangos_char_field_makes_of_it(value: Any) -> None:
    assert ours(AskForm, "question", value) == djangos(QUESTION, value)


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (True, ["Enter a valid value."]),
        (["a"], ["Enter a valid value."]),
        ([], ["This field is required.", "Enter a valid value."]),
        ({}, ["This field is required.", "Enter a valid value."]),
    ],
    ids=json.dumps,
)
def test_what_no_html_form_can_send_is_no_required_text_either(value: Any, messages: list[str]) -> None:
    assert ours(AskForm, "question", value) == messages


def test_a_field_that_is_missing_is_required() -> None:
    with pytest.raises(Invalid) as refused:
        cleaned(SearchForm, {"limit": "0"})

    assert refused.value.errors == {
        "q": ["This field is required."],
        "limit": ["Ensure this value is greater than or equal to 1."],
    }


@given(
    st.binary(max_size=40)
    | st.lists(st.sampled_from([b"q", b"=", b"&", b"%", b"C3", b"+", b";", b"a", b"\xff", b"%e9", b"%00"])).map(
        b"".join
    )
)
@example(b"q=caf\xe9")
@example(b"q=caf\xc3\xa9")
@example(b"q=%ED%A0%80")
@example(b"q=1&q=2&q")
@example(b"a&" * 999 + b"q=x")
def test_a_query_is_what_djangos_query_dict_reads(query: bytes) -> None:
    assert query_fields(query) == QueryDict(query).dict()


def test_a_query_of_too_many_fields_is_refused_as_django_refuses_it() -> None:
    query = b"a&" * 1000 + b"q=x"

    with pytest.raises(TooManyFieldsSent):
        QueryDict(query)
    with pytest.raises(TooManyFields):
        query_fields(query)


@given(st.text(max_size=8) | st.integers(-5, 30).map(str) | st.integers(-5, 30).map(lambda number: f" {number}.0 "))
def test_a_limit_is_what_djangos_integer_field_makes_of_it(value: str) -> None:
    assert ours_of_two(value) == (djangos(LIMIT, value) or 5)


def ours_of_two(limit: str) -> Any:
    try:
        return cleaned(SearchForm, {"q": "x", "limit": limit}).limit
    except Invalid as error:
        return error.errors["limit"]
