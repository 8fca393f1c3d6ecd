"""Summarise a ticket: one blocking completion, and its text is kept."""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import F, Max, Q

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


def due(status: str, limit: int) -> list[Ticket]:
    """Tickets that have changed since their last summary, or never had one; the latest change first."""
    tickets = Ticket.objects.filter(status=status).annotate(summarised_at=Max("summaries__created_at"))
    outdated = tickets.filter(Q(summarised_at=None) | Q(summarised_at__lt=F("updated_at")))
    # All at once: the database is not kept waiting while the provider thinks.
    return list(outdated.select_related("organisation", "customer").order_by("-updated_at", "-pk")[:limit])


def asker(ticket: Ticket):
    """In whose name a ticket is summarised when nobody asks: its assignee's, or else a colleague's who may."""
    people = get_user_model().objects.with_perm("assistant.use_assistant").filter(organisation=ticket.organisation_id)
    return people.filter(pk=ticket.assignee_id).first() or people.order_by("pk").first()
