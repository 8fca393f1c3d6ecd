"""The search index is rebuilt in the background; whoever asked can see how far it is."""

from datetime import timedelta

import httpx
import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from legacy_app.assistant import jobs
from legacy_app.assistant.models import Call, Job
from legacy_app.assistant.stopping import Stop, Stopped
from legacy_app.assistant.tests.conftest import embedded
from legacy_app.knowledge.index import nearest
from legacy_app.knowledge.models import Article, Passage

pytestmark = pytest.mark.django_db
# Django then lets go of old connections, and takes that of a test inside a transaction for one.
CLOSES_CONNECTIONS = pytest.mark.django_db(transaction=True)

URL = "/api/articles/reindex"


def write(organisation, number, **fields):
    return Article.objects.create(
        organisation=organisation, slug=f"a{number}", title=f"Article {number}", body="One.\n\nTwo.", **fields
    )


@pytest.fixture
def articles(lumen, parcelo):
    write(parcelo.organisation, 0)
    write(lumen.organisation, 99, published=False)
    return [write(lumen.organisation, number) for number in range(10)]


@pytest.fixture
def job(articles, lumen):
    return jobs.queue(lumen.lead)


def work(job, stop=None):
    jobs.work_off(jobs.take(), stop or Stop())
    job.refresh_from_db()
    return job


def test_a_rebuild_is_queued_and_can_be_looked_at(articles, lumen, sign_in):
    client = sign_in(lumen.lead)

    queued = client.post(URL, {}, content_type="application/json")

    job = Job.objects.get()
    assert (queued.status_code, queued["Location"]) == (202, f"{URL}/{job.pk}")
    told = queued.json()
    assert client.get(queued["Location"]).json() == told
    assert told.pop("created_at")
    assert told == {
        "id": job.pk,
        "status": "queued",
        "finished_at": None,
        "done": 0,
        "total": 10,
        "error": "",
    }


def test_a_finished_rebuild_makes_every_published_article_findable(job, provider, lumen, parcelo):
    assert (work(job).status, job.done, job.total, job.error) == ("done", 10, 10, "")

    assert job.finished_at >= job.started_at
    hits = nearest(lumen.organisation, embedded_one("Article"), 20)
    assert sorted(hit.slug for hit in hits) == [f"a{number}" for number in range(10)]
    assert not Passage.objects.filter(article__organisation=parcelo.organisation).exists()


def embedded_one(text):
    request = httpx.Request("POST", "http://x/", json={"input": [text]})
    return embedded(request).json()["data"][0]["embedding"]


def test_a_rebuild_replaces_what_was_there(job, provider, articles, lumen):
    stale = Passage.objects.create(article=articles[0], position=7, text="stale", embedding=[1.0] * 256)
    draft = Article.objects.get(organisation=lumen.organisation, published=False)
    Passage.objects.create(article=draft, position=0, text="withdrawn", embedding=[1.0] * 256)

    work(job)

    assert not Passage.objects.filter(pk=stale.pk).exists()
    assert not draft.passages.exists()


def test_articles_travel_in_batches_and_each_call_is_audited(job, provider, lumen):
    work(job)

    assert provider["embeddings"].call_count == 2
    rows = Call.objects.values_list("kind", "outcome", "user", "organisation")
    assert list(rows) == [("reindex", "ok", lumen.lead.pk, lumen.organisation.pk)] * 2


def test_progress_can_be_seen_while_it_works(job, provider):
    seen = []

    def answer(request):
        job.refresh_from_db()
        seen.append((job.status, job.done))
        return embedded(request)

    provider["embeddings"].mock(side_effect=answer)

    work(job)

    assert seen == [("running", 0), ("running", 8)]


def test_a_failure_of_the_provider_is_told_and_leaves_the_rest_as_it_was(job, provider, articles):
    provider["embeddings"].mock(side_effect=[embedded_batch(8), httpx.Response(500)])
    before = Passage.objects.create(article=articles[9], position=0, text="old", embedding=[1.0] * 256)

    work(job)

    assert (job.status, job.done, job.error) == ("failed", 8, "The assistant could not answer.")
    assert job.finished_at
    assert Passage.objects.filter(pk=before.pk).exists()


def embedded_batch(count):
    return embedded(httpx.Request("POST", "http://x/", json={"input": ["Article"] * count}))


def test_an_error_of_our_own_does_not_leave_the_job_running(job, provider):
    provider["embeddings"].mock(side_effect=ZeroDivisionError)

    with pytest.raises(ZeroDivisionError):
        work(job)

    job.refresh_from_db()
    assert job.status == "failed"


def test_an_article_deleted_meanwhile_stays_deleted(job, provider, articles):
    def answer(request):
        Article.objects.filter(pk=articles[3].pk).delete()
        return embedded(request)

    provider["embeddings"].mock(side_effect=answer)

    assert work(job).status == "done"
    assert not Passage.objects.filter(article_id=articles[3].pk).exists()
    assert Passage.objects.filter(article_id=articles[4].pk).exists()


def test_an_article_without_text_is_no_obstacle(lumen, provider):
    Article.objects.create(organisation=lumen.organisation, slug="empty", title="Empty", body=" ")
    job = jobs.queue(lumen.lead)

    assert (work(job).status, job.done) == ("done", 1)
    assert not provider.calls


def test_the_oldest_job_is_taken_first_and_only_once(articles, lumen, parcelo):
    first, second = jobs.queue(lumen.lead), jobs.queue(parcelo.lead)

    assert [jobs.take(), jobs.take(), jobs.take()] == [first, second, None]


def test_a_job_that_another_worker_was_quicker_to_take_is_left_to_it(job, monkeypatch):
    """Both looked at the queue at the same moment; the update decides."""
    look = QuerySet.first

    def look_slowly(rows):
        found = look(rows)
        Job.objects.filter(pk=job.pk).update(status="running", started_at=timezone.now())
        return found

    monkeypatch.setattr(QuerySet, "first", look_slowly)

    assert jobs.take() is None


def test_asked_to_stop_it_ends_the_call_and_queues_the_job_again(job, provider):
    stop = Stop()

    def interrupted(_request):
        stop.ask()

    provider["embeddings"].mock(side_effect=interrupted)

    work(job, stop)

    assert (job.status, job.started_at) == ("queued", None)
    assert Call.objects.get().outcome == "aborted"


def test_a_job_whose_worker_was_killed_fails_and_says_so(job, lumen, sign_in):
    jobs.take()
    Job.objects.update(alive_at=timezone.now() - timedelta(hours=1))

    assert jobs.give_up_lost() == 1

    told = sign_in(lumen.lead).get(f"{URL}/{job.pk}").json()
    assert (told["status"], told["error"]) == ("failed", "Its worker was lost. Start it again.")
    assert told["finished_at"]


def test_a_job_whose_worker_was_heard_of_lately_is_left_to_it(job, settings):
    settings.LLM_TIMEOUT_SECONDS = 30
    jobs.take()
    Job.objects.update(alive_at=timezone.now() - timedelta(seconds=80), started_at=timezone.now() - timedelta(hours=1))

    assert jobs.give_up_lost() == 0
    assert Job.objects.get().status == "running"


def test_each_batch_is_a_sign_of_life(job, provider):
    taken = jobs.take()
    Job.objects.update(alive_at=timezone.now() - timedelta(hours=1))

    jobs.work_off(taken, Stop())

    job.refresh_from_db()
    assert job.alive_at > timezone.now() - timedelta(minutes=1)


def test_a_worker_that_was_held_up_does_not_bring_a_job_back_that_was_given_up(job, provider):
    taken = jobs.take()
    Job.objects.update(alive_at=timezone.now() - timedelta(hours=1))
    jobs.give_up_lost()

    jobs.work_off(taken, Stop())

    job.refresh_from_db()
    assert (job.status, job.done) == ("failed", 0)


@CLOSES_CONNECTIONS
def test_the_worker_gives_up_the_jobs_of_workers_that_were_killed(job, capsys):
    jobs.take()
    Job.objects.update(alive_at=timezone.now() - timedelta(hours=1))

    call_command("jobs", once=True)

    assert "1 running jobs had lost their worker: failed." in capsys.readouterr().out
    assert Job.objects.get().status == "failed"


@CLOSES_CONNECTIONS
def test_the_worker_works_off_the_queue_and_ends(job, provider, capsys):
    call_command("jobs", once=True)

    job.refresh_from_db()
    assert job.status == "done"
    assert f"Job {job.pk} (Lumen Lighting): done, 10 of 10." in capsys.readouterr().out


@CLOSES_CONNECTIONS
def test_the_worker_outlives_its_database(monkeypatch, capsys):
    looks = iter([OperationalError("the connection is closed"), Stopped()])

    def look():
        raise next(looks)

    monkeypatch.setattr(jobs, "take", look)

    call_command("jobs", every=0)

    assert "The database cannot be used: the connection is closed." in capsys.readouterr().out
