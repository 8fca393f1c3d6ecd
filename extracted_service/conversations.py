"""What callers and the assistant said to each other, kept in tables of this service's own (see `migrate.py`).

A conversation is its caller's: every row says whose it is, and every query asks for it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, insert, select
from sqlalchemy.exc import SQLAlchemyError

from .database import Database
from .errors import NotFound, NotReady
from .identity import Caller
from .migrate import is_up_to_date, migrate
from .tables import DjangoDateTime

QUESTION, ANSWER = "user", "assistant"  # the provider's words for who speaks
COMPLETE, CANCELLED, FAILED = "complete", "cancelled", "failed"

logger = logging.getLogger(__name__)

_own = MetaData()  # not tables.metadata, from which the contract with the monolith is made


def _key() -> Column[int]:
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _whose() -> tuple[Column[int], Column[int]]:
    return Column("organisation_id", BigInteger), Column("user_id", BigInteger)


conversation_table = Table("service_conversation", _own, _key(), *_whose(), Column("created_at", DjangoDateTime))
message_table = Table(
    "service_message",
    _own,
    _key(),
    Column("conversation_id", BigInteger),
    *_whose(),
    Column("question_id", BigInteger),  # of an answer
    Column("role", String(10)),
    Column("text", Text),
    Column("status", String(10)),
    Column("created_at", DjangoDateTime),
)


@dataclass(frozen=True)
class Conversation:
    id: int
    organisation_id: int
    user_id: int


@dataclass(frozen=True)
class Message:
    id: int
    question_id: int | None
    role: str
    text: str
    status: str
    created_at: datetime


class Conversations:
    """Short visits to the database, each on its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._are_ready = False
        self._preparing = asyncio.Lock()

    async def prepare(self) -> None:
        """Have the tables, or NotReady; asked again by every caller until they are there."""
        async with self._preparing:
            if self._are_ready:
                return
            try:
                if not await is_up_to_date(self._database):
                    await migrate(self._database)
            except (SQLAlchemyError, OSError) as error:
                logger.warning("The service's own tables cannot be made: %s", getattr(error, "orig", None) or error)
                raise NotReady(
                    "Conversations cannot be kept yet: run python -m extracted_service.migrate as the database's owner."
                ) from None
            self._are_ready = True

    async def opened(self, caller: Caller, conversation_id: int) -> Conversation:
        """The caller's conversation of this number, or a new one for 0; NotFound if it is anybody else's."""
        whose = {"organisation_id": caller.organisation, "user_id": caller.user_id}
        if not conversation_id:
            row = {**whose, "created_at": datetime.now(UTC)}
            return Conversation(await self._inserted(conversation_table, row), **whose)
        conversation = Conversation(conversation_id, **whose)
        query = select(conversation_table.c.id).where(
            conversation_table.c.id == conversation_id,
            conversation_table.c.organisation_id == conversation.organisation_id,
            conversation_table.c.user_id == conversation.user_id,
        )
        if await self._database.read(lambda connection: connection.scalar(query)) is None:
            raise NotFound
        return conversation

    async def latest(self, conversation: Conversation, most: int) -> list[Message]:
        """At most so many messages, the oldest first."""
        columns = message_table.c
        query = (
            select(columns.id, columns.question_id, columns.role, columns.text, columns.status, columns.created_at)
            .where(
                columns.conversation_id == conversation.id,
                columns.organisation_id == conversation.organisation_id,
                columns.user_id == conversation.user_id,
            )
            .order_by(columns.id.desc())
            .limit(most)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [Message(*row) for row in reversed(rows)]

    async def add_question(self, conversation: Conversation, text: str) -> int:
        return await self._add(conversation, {"role": QUESTION, "text": text, "status": COMPLETE})

    async def add_answer(self, conversation: Conversation, question_id: int, text: str, status: str) -> int:
        row = {"role": ANSWER, "text": text, "status": status, "question_id": question_id}
        return await self._add(conversation, row)

    async def _add(self, conversation: Conversation, said: Mapping[str, Any]) -> int:
        row = {
            **said,
            "text": storable(said["text"]),
            "conversation_id": conversation.id,
            "organisation_id": conversation.organisation_id,
            "user_id": conversation.user_id,
            "created_at": datetime.now(UTC),
        }
        return await self._inserted(message_table, row)

    async def _inserted(self, table: Table, row: Mapping[str, Any]) -> int:
        statement = insert(table).values(row).returning(table.c.id)
        return await self._database.write(lambda connection: int(connection.execute(statement).scalar_one()))


def turns(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Questions with their answers, as far as anything was answered; by number, for two sockets may take turns."""
    questions = {message.id: message.text for message in messages if message.role == QUESTION}
    return [
        (questions[message.question_id], message.text)
        for message in messages
        if message.text and message.question_id in questions
    ]


def storable(text: str) -> str:
    """Two halves of a surrogate pair, which may come in two pieces, become one; what no database stores, U+FFFD."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\x00", "\ufffd")
