"""Rebuild an organisation's search index in the background: queue a job, take one, work it off."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from legacy_app.assistant import provider
from legacy_app.assistant.calls import recorded
from legacy_app.assistant.errors import ProviderError
from legacy_app.assistant.models import Call, Job
from legacy_app.assistant.stopping import Stop, Stopped
from legacy_app.knowledge.models import Article, Passage
from legacy_app.knowledge.passages import split, store, text_to_embed

# Articles whose passages travel in one call to the provider.
BATCH = 8
# A batch is one call to the provider and a few writes; whoever takes so much longer than that is gone.
LOST_AFTER_SECONDS = 60
LOST = "Its worker was lost. Start it again."


def queue(user) -> Job:
    total = Article.objects.filter(organisation=user.organisation, published=True).count()
    return Job.objects.create(organisation=user.organisation, created_by=user, total=total)


def take() -> Job | None:
    """The oldest queued job, now running and this worker's own; None if there is none."""
    waiting = Job.objects.filter(status=Job.Status.QUEUED).order_by("created_at", "pk")
    while (job := waiting.first()) is not None:
        # One statement: of two workers that saw the same job, only one changes the row.
        taken = Job.objects.filter(pk=job.pk, status=Job.Status.QUEUED).update(
            status=Job.Status.RUNNING, started_at=timezone.now(), alive_at=timezone.now(), done=0
        )
        if taken:
            job.refresh_from_db()
            return job
    return None


def give_up_lost() -> int:
    """How many running jobs have failed because their worker was killed: it could not say so itself.

    They are not queued again: what kills one worker may kill the next.
    """
    patience = timedelta(seconds=settings.LLM_TIMEOUT_SECONDS + LOST_AFTER_SECONDS)
    lost = Job.objects.filter(status=Job.Status.RUNNING, alive_at__lt=timezone.now() - patience)
    return lost.update(status=Job.Status.FAILED, error=LOST, finished_at=timezone.now())


def work_off(job: Job, stop: Stop) -> None:
    """Leaves the job done, failed with its reason, or queued again if the worker has to stop."""
    try:
        _rebuild(job, stop)
    except ProviderError as error:
        _end(job, Job.Status.FAILED, error=error.detail)
    except Stopped:
        _running(job).update(status=Job.Status.QUEUED, started_at=None)
    except Exception:
        _end(job, Job.Status.FAILED, error="An unexpected error; see the log.")
        raise
    else:
        _end(job, Job.Status.DONE)


def _rebuild(job: Job, stop: Stop) -> None:
    articles = list(Article.objects.filter(organisation=job.organisation, published=True).order_by("pk"))
    _running(job).update(total=len(articles))
    for batch in _batches(articles):
        stop.check()
        _index(job, batch, stop)
        _running(job).update(done=F("done") + len(batch), alive_at=timezone.now())
    Passage.objects.filter(article__organisation=job.organisation, article__published=False).delete()


def _index(job: Job, articles: list[Article], stop: Stop) -> None:
    cut = [(article, split(article.body)) for article in articles]
    all_texts = [text_to_embed(article, text) for article, texts in cut for text in texts]
    vectors = iter(_embedded(job, all_texts, stop))
    for article, texts in cut:
        embeddings = list(islice(vectors, len(texts)))
        with transaction.atomic():
            # Whoever deleted the article while the provider was busy has the last word.
            if Article.objects.select_for_update().filter(pk=article.pk).exists():
                store(article, texts, embeddings)


def _embedded(job: Job, texts: list[str], stop: Stop) -> list[list[float]]:
    if not texts:
        return []
    with recorded(Call.Kind.REINDEX, job.created_by, model=settings.LLM_EMBEDDING_MODEL) as record:
        with stop.interrupts():
            embeddings = provider.embed(texts, until=provider.deadline())
        record.keep(embeddings)
    return embeddings.vectors


def _end(job: Job, status: Job.Status, error: str = "") -> None:
    _running(job).update(status=status, error=error, finished_at=timezone.now())


def _running(job: Job) -> QuerySet[Job]:
    """The job, unless it was given up: a worker that was only held up does not bring it back."""
    return Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING)


def _batches(articles: Iterable[Article]) -> Iterator[list[Article]]:
    remaining = iter(articles)
    while batch := list(islice(remaining, BATCH)):
        yield batch
