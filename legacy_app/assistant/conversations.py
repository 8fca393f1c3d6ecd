"""A ticket as the prompts see it."""

from legacy_app.assistant.prompts import Conversation, Turn
from legacy_app.tickets.models import Comment, Ticket


def conversation(ticket: Ticket) -> Conversation:
    comments = ticket.comments.select_related("author").order_by("created_at", "id")
    opening = Turn("customer", ticket.customer.name, ticket.created_at, ticket.body)
    return Conversation(
        organisation=ticket.organisation.name,
        subject=ticket.subject,
        customer=ticket.customer.name,
        status=ticket.status,
        opened_at=ticket.created_at,
        turns=(opening, *(_turn(comment, ticket) for comment in comments)),
    )


def _turn(comment: Comment, ticket: Ticket) -> Turn:
    name = comment.author.name if comment.author else ticket.customer.name
    return Turn(_kind(comment), name, comment.created_at, comment.body)


def _kind(comment: Comment) -> str:
    if comment.internal:
        return "note"
    return "agent" if comment.author_id else "customer"
