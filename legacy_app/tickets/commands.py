"""What the extracted assistant has written to a ticket: the table has one writer, and that is the monolith."""

from django import forms
from django.http import HttpResponse

from legacy_app.api import found_or_404, read_json, valid
from legacy_app.identity.commands import command
from legacy_app.tickets.models import Ticket


class VerdictForm(forms.Form):
    category = forms.ChoiceField(choices=Ticket.Category.choices[1:])  # the first is "Not triaged"
    priority = forms.ChoiceField(choices=Ticket.Priority)


@command("assistant.use_assistant", "tickets.change_ticket")
def triage(request, organisation_id, pk):
    """Only what was judged is written: colleagues may have changed the rest meanwhile."""
    ticket = found_or_404(Ticket, organisation=organisation_id, pk=pk)
    verdict = valid(VerdictForm(read_json(request))).cleaned_data
    ticket.category, ticket.priority = verdict["category"], verdict["priority"]
    ticket.save(update_fields=["category", "priority", "updated_at"])
    return HttpResponse(status=204)
