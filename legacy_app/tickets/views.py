"""The pages of the inbox and of one ticket."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from legacy_app.accounts.access import page_for
from legacy_app.tickets.forms import CommentForm, TicketFilterForm, TicketStateForm
from legacy_app.tickets.models import Comment, Ticket

TICKETS_PER_PAGE = 25


@page_for("tickets.view_ticket")
@require_safe
def inbox(request):
    filters = TicketFilterForm(request.GET, user=request.user)
    found = filters.apply(Ticket.objects.visible_to(request.user).with_people())
    page = Paginator(found, TICKETS_PER_PAGE).get_page(request.GET.get("page"))
    filtered = any(request.GET.get(name) for name in filters.fields)
    return render(
        request, "tickets/inbox.html", {"section": "tickets", "filters": filters, "filtered": filtered, "page": page}
    )


@page_for("tickets.view_ticket")
@require_safe
def ticket(request, pk):
    found = _found(request, pk)
    return _ticket_page(request, found, CommentForm(), TicketStateForm(instance=found))


@page_for("tickets.view_ticket", "tickets.add_comment")
@require_POST
def add_comment(request, pk):
    found = _found(request, pk)
    form = CommentForm(request.POST, instance=Comment(ticket=found, author=request.user))
    if not form.is_valid():
        return _ticket_page(request, found, form, TicketStateForm(instance=found))
    form.save()
    found.touch()
    messages.success(request, "Your note was saved." if form.instance.internal else "Your reply was sent.")
    return redirect(f"{found.get_absolute_url()}#comment-{form.instance.pk}")


@page_for("tickets.view_ticket", "tickets.change_ticket")
@require_POST
def change_ticket(request, pk):
    found = _found(request, pk)
    form = TicketStateForm(request.POST, instance=_found(request, pk))
    if not form.is_valid():
        return _ticket_page(request, found, CommentForm(), form)
    form.save()
    messages.success(request, "The ticket was updated.")
    return redirect(found)


def _found(request, pk):
    return get_object_or_404(Ticket.objects.visible_to(request.user).with_people(), pk=pk)


def _ticket_page(request, found, comment_form, state_form):
    invalid = comment_form.errors or state_form.errors
    shown = {
        "section": "tickets",
        "ticket": found,
        "comments": found.comments.select_related("author"),
        "comment_form": comment_form,
        "state_form": state_form,
        "summary": found.summaries.select_related("created_by").first(),
    }
    return render(request, "tickets/ticket.html", shown, status=400 if invalid else 200)
