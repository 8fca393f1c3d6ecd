"""What the assistant reads of a ticket: a short visit to the database, and only within one organisation."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from . import tables
from .database import Database
from .errors import NotFound
from .identity import Caller
from .prompts import Conversation, Turn

Found = Any  # a row, whose columns are attributes

LARGEST_ID = 2**63 - 1  # of a bigint; drivers refuse to send more

# Built once: to put a statement together takes longer than to have it answered.
_USER = select(tables.user).where(tables.user.c.id == bindparam("id"))
_ORGANISATION_NAME = select(tables.organisation.c.name).where(tables.organisation.c.id == bindparam("id"))
# One row per comment, and one for a ticket without: a second statement would be a second trip to the database.
_CONVERSATION = (
    select(
        tables.ticket.c.subject,
        tables.ticket.c.status,
        tables.ticket.c.body.label("opening"),
        tables.ticket.c.created_at.label("opened_at"),
        tables.customer.c.name.label("customer"),
        tables.organisation.c.name.label("organisation"),
        tables.comment,
        tables.user.c.username,
        tables.user.c.first_name,
        tables.user.c.last_name,
    )
    .join_from(tables.ticket, tables.customer, tables.customer.c.id == tables.ticket.c.customer_id)
    .join(tables.organisation, tables.organisation.c.id == tables.ticket.c.organisation_id)
    .join(tables.comment, tables.comment.c.ticket_id == tables.ticket.c.id, isouter=True)
    .join(tables.user, tables.user.c.id == tables.comment.c.author_id, isouter=True)
    .where(tables.ticket.c.id == bindparam("ticket"), tables.ticket.c.organisation_id == bindparam("organisation"))
    .order_by(tables.comment.c.created_at, tables.comment.c.id)
)


@dataclass(frozen=True)
class Ticket:
    id: int
    conversation: Conversation


async def ticket_of(database: Database, ticket_id: int, organisation_id: int) -> Ticket:
    """NotFound, too, if the ticket is another organisation's."""
    return await database.read(lambda connection: _ticket(connection, ticket_id, organisation_id))


async def ticket_and_agent(database: Database, ticket_id: int, caller: Caller) -> tuple[Ticket, str]:
    """The ticket and its caller's name, in one visit."""
    return await database.read(
        lambda connection: (_ticket(connection, ticket_id, caller.organisation), _user_name(connection, caller.user_id))
    )


async def user_name(database: Database, user_id: int) -> str:
    return await database.read(lambda connection: _user_name(connection, user_id))


async def organisation_name(database: Database, organisation_id: int) -> str:
    name = await database.read(lambda connection: connection.scalar(_ORGANISATION_NAME, {"id": organisation_id}))
    if name is None:
        raise NotFound
    return str(name)


def _ticket(connection: Connection, ticket_id: int, organisation_id: int) -> Ticket:
    if ticket_id > LARGEST_ID:
        raise NotFound
    rows = connection.execute(_CONVERSATION, {"ticket": ticket_id, "organisation": organisation_id}).all()
    if not rows:
        raise NotFound
    ticket = rows[0]
    opening = Turn("customer", ticket.customer, ticket.opened_at, ticket.opening)
    later = tuple(_turn(row) for row in rows if row.id is not None)
    return Ticket(
        ticket_id,
        Conversation(
            organisation=ticket.organisation,
            subject=ticket.subject,
            customer=ticket.customer,
            status=ticket.status,
            opened_at=ticket.opened_at,
            turns=(opening, *later),
        ),
    )


def _user_name(connection: Connection, user_id: int) -> str:
    user = connection.execute(_USER, {"id": user_id}).one_or_none()
    if user is None:
        raise NotFound
    return _name(user)


def _turn(comment: Found) -> Turn:
    name = _name(comment) if comment.author_id else comment.customer
    return Turn(_kind(comment), name, comment.created_at, comment.body)


def _kind(comment: Found) -> str:
    if comment.internal:
        return "note"
    return "agent" if comment.author_id else "customer"


def _name(user: Found) -> str:
    """Django's get_full_name(), or the user name of who has none."""
    return f"{user.first_name} {user.last_name}".strip() or str(user.username)
