"""Tickets and their comments for programs."""

from django.forms.models import model_to_dict
from django.http import JsonResponse
from django.urls import reverse

from legacy_app.api import endpoint, found_or_404, paged, read_json, valid
from legacy_app.tickets.forms import CommentForm, TicketFilterForm, TicketForm
from legacy_app.tickets.models import Comment, Ticket
from legacy_app.tickets.wire import comment_json, ticket_json


@endpoint(GET=["tickets.view_ticket"], POST=["tickets.add_ticket"])
def tickets(request):
    if request.method == "POST":
        return _add_ticket(request)
    asked = valid(TicketFilterForm(request.GET, user=request.user))
    return paged(request, asked.apply(_visible_to(request.user)), ticket_json)


def _add_ticket(request):
    made = _saved(Ticket(organisation=request.user.organisation), read_json(request))
    return JsonResponse(
        ticket_json(_visible_to(request.user).get(pk=made.pk)),
        status=201,
        headers={"Location": reverse("api-ticket", args=[made.pk])},
    )


@endpoint(GET=["tickets.view_ticket"], PATCH=["tickets.change_ticket"])
def ticket(request, pk):
    found = found_or_404(_visible_to(request.user), pk=pk)
    if request.method == "PATCH":
        _saved(found, read_json(request))
        found = _visible_to(request.user).get(pk=pk)
    return JsonResponse(ticket_json(found))


@endpoint(GET=["tickets.view_ticket"], POST=["tickets.add_comment"])
def comments(request, pk):
    found = found_or_404(Ticket.objects.visible_to(request.user), pk=pk)
    if request.method == "POST":
        new = Comment(ticket=found, author=request.user)
        made = valid(CommentForm(read_json(request), instance=new)).save()
        found.touch()
        return JsonResponse(comment_json(made), status=201)
    return paged(request, found.comments.select_related("author"), comment_json)


def _saved(ticket, fields):
    """What is not said stays as it is."""
    now = model_to_dict(ticket, fields=TicketForm.Meta.fields)
    return valid(TicketForm({**now, **fields}, instance=ticket)).save()


def _visible_to(user):
    return Ticket.objects.visible_to(user).with_people()
