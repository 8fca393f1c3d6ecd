"""What the ticket page can do without a script: ask for a summary, and come back with it."""

import logging

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from legacy_app.accounts.access import page_for
from legacy_app.api import ApiError
from legacy_app.assistant import remote
from legacy_app.assistant.errors import ProviderError
from legacy_app.assistant.forms import DEFAULT_MAX_WORDS
from legacy_app.tickets.models import Ticket

log = logging.getLogger(__name__)


@page_for("tickets.view_ticket", "assistant.use_assistant")
@require_POST
def summarise(request, pk):
    tickets = Ticket.objects.visible_to(request.user).select_related("organisation", "customer")
    ticket = get_object_or_404(tickets, pk=pk)
    try:
        remote.summarise(ticket, request.user, max_words=DEFAULT_MAX_WORDS)
    except ApiError as refusal:
        messages.error(request, str(refusal))
    except ProviderError as error:
        log.warning("Ticket %s was not summarised: %s", ticket.pk, error)
        messages.error(request, error.detail)
    return redirect(f"{ticket.get_absolute_url()}#assistant")
