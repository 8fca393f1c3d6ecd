"""The monolith's tables, as far as this service knows them. Django owns them: migrations happen there."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Dialect, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator, TypeEngine


class DjangoDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; on SQLite it is the naive text that Django writes and reads there."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return String() if dialect.name == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


metadata = MetaData()

organisation = Table(
    "accounts_organisation", metadata, Column("id", BigInteger, primary_key=True), Column("name", String)
)
user = Table(
    "accounts_user",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("username", String),
    Column("first_name", String),
    Column("last_name", String),
)
customer = Table("tickets_customer", metadata, Column("id", BigInteger, primary_key=True), Column("name", String))
ticket = Table(
    "tickets_ticket",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("organisation_id", BigInteger),
    Column("customer_id", BigInteger),
    Column("subject", String),
    Column("body", Text),
    Column("status", String),
    Column("created_at", DjangoDateTime),
)
comment = Table(
    "tickets_comment",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("ticket_id", BigInteger),
    Column("author_id", BigInteger),
    Column("body", Text),
    Column("internal", Boolean),
    Column("created_at", DjangoDateTime),
)
summary = Table(
    "assistant_summary",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("ticket_id", BigInteger),
    Column("created_by_id", BigInteger),
    Column("text", Text),
    Column("model", String),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("created_at", DjangoDateTime),
)
call = Table(
    "assistant_call",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("organisation_id", BigInteger),
    Column("user_id", BigInteger),
    Column("ticket_id", BigInteger),
    Column("kind", String),
    Column("model", String),
    Column("outcome", String),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("duration_ms", Integer),
    Column("created_at", DjangoDateTime),
)
