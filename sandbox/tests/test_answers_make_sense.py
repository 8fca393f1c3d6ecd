"""What the simulated model says comes out of the prompt and would help a reader."""

from typing import Any

import pytest

from sandbox.embeddings import embed
from sandbox.prose import answer
from sandbox.structured import structured_answer
from sandbox.words import tokens

TICKET = """<ticket>
Subject: charged twice???
Customer: Dag Rønningen
Status: open
Opened: 2026-01-05T09:30:12Z

[2026-01-05T09:30:12Z] Dag Rønningen (customer):
Hi,

my bank shows 120 EUR two times from LUMEN UTRECHT NL. Please give it back.

[2026-01-06T08:00:00Z] Maya Verhoeven (agent):
For order 4711 we have one payment only. Is one of the two entries reserved?

[2026-01-06T10:30:12Z] Dag Rønningen (customer):
One says pending. How long does that take?

[2026-01-06T10:31:12Z] Maya Verhoeven (internal note, not seen by the customer):
The reservation of a failed first attempt.
</ticket>
"""
SUMMARISE = "You work in the support team of Lumen and summarise tickets for the colleague who takes them over."
DRAFT = 'You draft the next reply to a customer of Lumen.\n\nTone: {}\n- Sign with "Maya, Lumen".'
TRIAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "category": {"type": "string", "enum": ["account", "billing", "other"]},
        "priority": {"$ref": "#/$defs/Priority"},
        "reason": {"type": "string", "maxLength": 60},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["category", "priority", "reason"],
    "$defs": {"Priority": {"enum": ["low", "normal", "high"]}},
}


def test_a_summary_says_what_is_wanted_what_was_tried_and_what_comes_next() -> None:
    text = answer(SUMMARISE, TICKET + "\nSummarise this ticket in at most 80 words.")

    assert text.startswith("Dag Rønningen wrote on 5 January: my bank shows 120 EUR two times")
    assert "Maya Verhoeven answered on 6 January" in text
    assert "(internal)" in text
    assert text.endswith("Next: answer Dag Rønningen's question “How long does that take?”")


@pytest.mark.parametrize("limit", [20, 40, 300])
def test_a_summary_keeps_its_limit(limit: int) -> None:
    text = answer(SUMMARISE, TICKET + f"\nSummarise this ticket in at most {limit} words.")

    assert len(text.split()) <= limit


def test_a_reply_greets_by_name_takes_up_the_problem_and_signs() -> None:
    text = answer(DRAFT.format("friendly and warm"), TICKET + "\nWrite the reply to Dag Rønningen.")

    assert text.startswith("Hello Dag,")
    assert "charged twice" in text
    assert "order 4711" in text
    assert text.endswith("Maya, Lumen")


def test_a_reply_never_quotes_an_internal_note() -> None:
    text = answer(DRAFT.format("formal"), TICKET + "\nWrite the reply to Dag Rønningen.")

    assert "failed first attempt" not in text


def test_the_tone_changes_a_reply() -> None:
    drafts = {answer(DRAFT.format(tone), TICKET + "\nWrite the reply.") for tone in ("friendly", "formal", "brief")}

    assert len(drafts) == 3


def test_an_agents_instructions_get_into_the_reply() -> None:
    wish = "\nInstructions of the agent:\nOffer a voucher of 10 EUR\n\nWrite the reply to Dag Rønningen."

    assert "Offer a voucher of 10 EUR." in answer(DRAFT.format("friendly"), TICKET + wish)


def test_an_answer_cites_the_passages_it_rests_on() -> None:
    passages = (
        "Passages:\n\n[1] Delivery\nParcels leave Utrecht every day at noon.\n\n"
        "[2] Refunds\nA refund takes five days to reach your card.\n\nQuestion: How long does a refund take?"
    )

    assert answer("", passages) == "A refund takes five days to reach your card [2]."


def test_a_question_that_no_passage_answers_is_not_answered() -> None:
    passages = "Passages:\n\n[1] Delivery\nParcels leave Utrecht every day at noon.\n\nQuestion: Who is Ada?"

    assert answer("", passages).startswith("The passages do not answer")


def test_structured_output_is_chosen_by_the_text_and_fits_the_schema() -> None:
    value = structured_answer(TRIAGE, "", TICKET)

    assert (value["category"], value["priority"]) == ("billing", "high")
    assert len(value["reason"]) <= 60
    assert 0 <= value["confidence"] <= 1


def test_options_the_prompt_explains_are_chosen_by_that_explanation() -> None:
    schema = {"enum": ["red_team", "blue_team"]}

    value = structured_answer(
        schema, "- red_team: cars and lorries\n- blue_team: boats and sails", "My sails are torn."
    )

    assert value == "blue_team"


@pytest.mark.parametrize("text", ["", " ", "a", "It's “fine”.\n\nYes — 漢字 👩‍💻 \u2028 end  ", TICKET])
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


@pytest.mark.parametrize(
    ("question", "near", "far"),
    [
        ("How long does a refund take?", "We refund the price to your card in five days.", "Reset your password here."),
        ("I forgot my password", "Resetting your password: follow the link in the e-mail.", "We refund your card."),
        ("my bulb flickers when dimmed", "LED bulbs flicker if the dimmer's load is too low.", "The courier was late."),
        ("Where is my package?", "The courier scans a parcel at each depot: track it.", "Export your ledger as CSV."),
    ],
)
def test_similar_texts_lie_near_each_other_and_others_far(question: str, near: str, far: str) -> None:
    assert cosine(question, near) > cosine(question, far) + 0.1


def test_a_text_without_words_has_a_vector_of_length_one() -> None:
    assert sum(number**2 for number in embed("…", 256)) == 1.0


def cosine(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(embed(one), embed(other), strict=True))
