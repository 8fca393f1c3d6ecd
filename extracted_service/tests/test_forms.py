"""Our form fields and Django's own, put to the same JSON values."""

import json
from typing import Any

import pytest
from django import forms as django_forms
from django.conf import settings
from hypothesis import example, given
from hypothesis import strategies as st

from extracted_service.documents import ReplyForm, SummaryForm
from extracted_service.errors import Invalid
from extracted_service.forms import cleaned

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


def djangos(field: django_forms.Field, value: Any) -> Any:
    """The cleaned value, or the list of messages."""
    try:
        return field.clean(value)
    except django_forms.ValidationError as error:
        return error.messages


def ours(form: type[SummaryForm | ReplyForm], name: str, value: Any) -> Any:
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
