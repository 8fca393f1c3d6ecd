"""The monolith's tables, as far as this service knows them. Django owns them: migrations happen there.

Types, lengths and nullability are Django's; `schema.py` makes the contract out of them that both sides test.
A table into which this service inserts says so with `info=INSERTED`; the others are only read.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType


class DjangoDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; on SQLite it is the naive text that Django writes and reads there."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return _TextInDatetime() if dialect.name == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


class _TextInDatetime(UserDefinedType[str]):
    """A column that Django declares `datetime`, which SQLite takes for a number's, and that holds text all the same."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "datetime"


class Embedding(UserDefinedType[str]):
    """256 numbers in pgvector's text form, `[0.1,0.25]`; only the database itself computes with its type."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "vector(256)"


@compiles(Embedding, "sqlite")
def _embedding_on_sqlite(_type: Embedding, _compiler: Any, **_: Any) -> str:
    return "text"


INSERTED = {"inserts": True}


def _key() -> Column[int]:
    return Column("id", BigInteger, primary_key=True)


def _required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    """Django's usual column; one with `null=True` is a plain Column."""
    return Column(name, kind, nullable=False)


metadata = MetaData()

organisation = Table("accounts_organisation", metadata, _key(), _required("name", String(120)))
user = Table(
    "accounts_user",
    metadata,
    _key(),
    _required("username", String(150)),
    _required("first_name", String(150)),
    _required("last_name", String(150)),
)
customer = Table("tickets_customer", metadata, _key(), _required("name", String(120)))
ticket = Table(
    "tickets_ticket",
    metadata,
    _key(),
    _required("organisation_id", BigInteger),
    _required("customer_id", BigInteger),
    _required("subject", String(200)),
    _required("body", Text),
    _required("status", String(10)),
    _required("created_at", DjangoDateTime),
)
comment = Table(
    "tickets_comment",
    metadata,
    _key(),
    _required("ticket_id", BigInteger),
    Column("author_id", BigInteger),
    _required("body", Text),
    _required("internal", Boolean),
    _required("created_at", DjangoDateTime),
)
summary = Table(
    "assistant_summary",
    metadata,
    _key(),
    _required("ticket_id", BigInteger),
    _required("created_by_id", BigInteger),
    _required("text", Text),
    _required("model", String(100)),
    _required("prompt_tokens", Integer),
    _required("completion_tokens", Integer),
    _required("created_at", DjangoDateTime),
    info=INSERTED,
)
call = Table(
    "assistant_call",
    metadata,
    _key(),
    _required("organisation_id", BigInteger),
    Column("user_id", BigInteger),
    Column("ticket_id", BigInteger),
    _required("kind", String(20)),
    _required("model", String(100)),
    _required("outcome", String(20)),
    _required("prompt_tokens", Integer),
    _required("completion_tokens", Integer),
    _required("duration_ms", Integer),
    _required("created_at", DjangoDateTime),
    info=INSERTED,
)
article = Table(
    "knowledge_article",
    metadata,
    _key(),
    _required("organisation_id", BigInteger),
    _required("slug", String(80)),
    _required("title", String(200)),
    _required("published", Boolean),
)
passage = Table(
    "knowledge_passage",
    metadata,
    _key(),
    _required("article_id", BigInteger),
    _required("position", SmallInteger),
    _required("text", Text),
    _required("embedding", Embedding),
)
job = Table(
    "assistant_job",
    metadata,
    _key(),
    _required("organisation_id", BigInteger),
    _required("created_by_id", BigInteger),
    _required("status", String(10)),
    _required("done", Integer),
    _required("total", Integer),
    _required("error", Text),
    _required("created_at", DjangoDateTime),
    Column("started_at", DjangoDateTime),
    Column("finished_at", DjangoDateTime),
    info=INSERTED,
)
