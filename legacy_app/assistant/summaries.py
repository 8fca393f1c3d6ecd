"""Summarise a ticket: one blocking completion, and its text is kept."""

from django.conf import settings

from legacy_app.assistant import prompts, provider
from legacy_app.assistant.calls import recorded
from legacy_app.assistant.conversations import conversation
from legacy_app.assistant.models import Call, Summary
from legacy_app.tickets.models import Ticket

TEMPERATURE = 0.2
TOKENS_PER_WORD = 2


def summarise(ticket: Ticket, user, *, max_words: int) -> Summary:
    messages = prompts.messages("summary", prompts.summary_context(conversation(ticket), max_words))
    with recorded(Call.Kind.SUMMARY, user, ticket=ticket, model=settings.LLM_MODEL) as record:
        completion = provider.complete(
            messages,
            temperature=TEMPERATURE,
            max_tokens=TOKENS_PER_WORD * max_words,
            until=provider.deadline(),
        )
        record.keep(completion)
    return Summary.objects.create(
        ticket=ticket,
        created_by=user,
        text=completion.text,
        model=completion.model,
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
    )
