"""What the assistant reads of a ticket: a short visit to the database, and only within one organisation."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from . import tables
from .database import Database
from .errors import NotFound
from .prompts import Conversation, Turn

Found = Any  # a row, whose columns are attributes

LARGEST_ID = 2**63 - 1  # of a bigint; drivers refuse to send more


@dataclass(frozen=True)
class Ticket:
    id: int
    conversation: Conversation


async def ticket_of(database: Database, ticket_id: int, organisation_id: int) -> Ticket:
    """NotFound, too, if the ticket is another organisation's."""
    if ticket_id > LARGEST_ID:
        raise NotFound
    async with database.reader.connect() as connection:
        ticket = await _ticket(connection, ticket_id, organisation_id)
        comments = await _comments(connection, ticket_id)
    opening = Turn("customer", ticket.customer, ticket.created_at, ticket.body)
    later = tuple(_turn(comment, ticket.customer) for comment in comments)
    return Ticket(
        ticket_id,
        Conversation(
            organisation=ticket.organisation,
            subject=ticket.subject,
            customer=ticket.customer,
            status=ticket.status,
            opened_at=ticket.created_at,
            turns=(opening, *later),
        ),
    )


async def user_name(database: Database, user_id: int) -> str:
    query = select(tables.user).where(tables.user.c.id == user_id)
    async with database.reader.connect() as connection:
        user = (await connection.execute(query)).one_or_none()
    if user is None:
        raise NotFound
    return _name(user)


async def organisation_name(database: Database, organisation_id: int) -> str:
    query = select(tables.organisation.c.name).where(tables.organisation.c.id == organisation_id)
    async with database.reader.connect() as connection:
        name = (await connection.execute(query)).scalar_one_or_none()
    if name is None:
        raise NotFound
    return str(name)


async def _ticket(connection: AsyncConnection, ticket_id: int, organisation_id: int) -> Found:
    ticket, customer, organisation = tables.ticket, tables.customer, tables.organisation
    query = (
        select(
            ticket.c.subject,
            ticket.c.body,
            ticket.c.status,
            ticket.c.created_at,
            customer.c.name.label("customer"),
            organisation.c.name.label("organisation"),
        )
        .join_from(ticket, customer, customer.c.id == ticket.c.customer_id)
        .join(organisation, organisation.c.id == ticket.c.organisation_id)
        .where(ticket.c.id == ticket_id, ticket.c.organisation_id == organisation_id)
    )
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        raise NotFound
    return found


async def _comments(connection: AsyncConnection, ticket_id: int) -> list[Found]:
    comment, user = tables.comment, tables.user
    query = (
        select(comment, user.c.username, user.c.first_name, user.c.last_name)
        .join_from(comment, user, user.c.id == comment.c.author_id, isouter=True)
        .where(comment.c.ticket_id == ticket_id)
        .order_by(comment.c.created_at, comment.c.id)
    )
    return list((await connection.execute(query)).all())


def _turn(comment: Found, customer: str) -> Turn:
    name = _name(comment) if comment.author_id else customer
    return Turn(_kind(comment), name, comment.created_at, comment.body)


def _kind(comment: Found) -> str:
    if comment.internal:
        return "note"
    return "agent" if comment.author_id else "customer"


def _name(user: Found) -> str:
    """Django's get_full_name(), or the user name of who has none."""
    return f"{user.first_name} {user.last_name}".strip() or str(user.username)
