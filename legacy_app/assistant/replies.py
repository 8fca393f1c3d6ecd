"""Draft the next reply to a customer, streamed; nothing is kept but the audit row."""

from collections.abc import Iterator

from legacy_app.assistant import prompts, provider, streams
from legacy_app.assistant.conversations import conversation
from legacy_app.assistant.models import Call
from legacy_app.tickets.models import Ticket

TEMPERATURE = 0.7
MAX_TOKENS = 600


def reply(ticket: Ticket, user, *, tone: str, instructions: str) -> Iterator[bytes]:
    context = prompts.reply_context(conversation(ticket), user.name, tone, instructions)
    return streams.completion(
        Call.Kind.REPLY,
        user,
        prompts.messages("reply", context),
        temperature=TEMPERATURE,
        max_tokens=MAX_TOKENS,
        until=provider.deadline(),
        ticket=ticket,
    )
