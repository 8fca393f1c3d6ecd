"""Background jobs: queued here, worked off by the monolith's `manage.py jobs`."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select

from . import tables
from .database import Database
from .errors import NotFound
from .identity import Caller
from .tickets import LARGEST_ID


@dataclass(frozen=True)
class Job:
    """As the API tells it, in this order."""

    id: int
    status: str
    created_at: datetime
    finished_at: datetime | None
    done: int
    total: int
    error: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def queue(database: Database, caller: Caller) -> Job:
    """A new job that will rebuild the search index of the caller's organisation."""
    total, now = await _published_articles(database, caller.organisation), datetime.now(UTC)
    statement = insert(tables.job).values(
        organisation_id=caller.organisation,
        created_by_id=caller.user_id,
        status="queued",
        done=0,
        total=total,
        error="",
        created_at=now,
    )
    returning = statement.returning(tables.job.c.id)
    job_id = await database.write(lambda connection: connection.execute(returning).scalar_one())
    return Job(job_id, "queued", now, None, 0, total, "")


async def job_of(database: Database, job_id: int, organisation_id: int) -> Job:
    """NotFound, too, if the job is another organisation's."""
    if job_id > LARGEST_ID:
        raise NotFound
    job = tables.job.c
    query = select(job.id, job.status, job.created_at, job.finished_at, job.done, job.total, job.error).where(
        job.id == job_id, job.organisation_id == organisation_id
    )
    found = await database.read(lambda connection: connection.execute(query).one_or_none())
    if found is None:
        raise NotFound
    return Job(*found)


async def _published_articles(database: Database, organisation_id: int) -> int:
    article = tables.article
    query = (
        select(func.count())
        .select_from(article)
        .where(article.c.organisation_id == organisation_id, article.c.published)
    )
    return await database.read(lambda connection: connection.execute(query).scalar_one())
