"""The assistant's API: read what is asked, let the modules beside this one do it, word the answer."""

from functools import wraps

from django.http import JsonResponse
from django.urls import reverse

from legacy_app.api import endpoint, found_or_404, read_json, valid
from legacy_app.assistant import allowance, answers, jobs, replies, streams, summaries
from legacy_app.assistant.errors import ProviderError
from legacy_app.assistant.forms import AskForm, ReplyForm, SearchForm, SummaryForm
from legacy_app.assistant.models import Job, Summary
from legacy_app.assistant.triage import triage as triaged
from legacy_app.tickets.models import Ticket


def told(view):
    """A failure of the provider becomes the answer that the API has for it."""

    @wraps(view)
    def answer(*args, **kwargs):
        try:
            return view(*args, **kwargs)
        except ProviderError as error:
            raise error.refusal() from error

    return answer


@endpoint(POST=["assistant.use_assistant"])
@told
def summary(request, pk):
    ticket = _ticket(request, pk)
    asked = valid(SummaryForm(read_json(request))).cleaned_data
    allowance.check(request.user.organisation_id)
    return JsonResponse(_summary_json(summaries.summarise(ticket, request.user, **asked)))


@endpoint(POST=["assistant.use_assistant"])
@told
def reply(request, pk):
    ticket = _ticket(request, pk)
    asked = valid(ReplyForm(read_json(request))).cleaned_data
    allowance.check(request.user.organisation_id)
    return streams.response(replies.reply(ticket, request.user, **asked))


@endpoint(POST=["assistant.use_assistant", "tickets.change_ticket"])
@told
def triage(request, pk):
    ticket = _ticket(request, pk)
    read_json(request)
    allowance.check(request.user.organisation_id)
    verdict = triaged(ticket, request.user)
    return JsonResponse(
        {
            "ticket": ticket.pk,
            "category": verdict.category,
            "priority": verdict.priority,
            "reason": verdict.reason,
        }
    )


@endpoint(GET=["knowledge.view_article"])
@told
def search(request):
    asked = valid(SearchForm(request.GET)).cleaned_data
    found = answers.search(request.user, asked["q"], limit=asked["limit"])
    return JsonResponse({"query": asked["q"], "results": found})


@endpoint(POST=["assistant.use_assistant"])
@told
def ask(request):
    asked = valid(AskForm(read_json(request))).cleaned_data
    allowance.check(request.user.organisation_id)
    return streams.response(answers.ask(request.user, asked["question"]))


@endpoint(POST=["knowledge.reindex"])
def reindex(request):
    read_json(request)
    job = jobs.queue(request.user)
    return JsonResponse(_job_json(job), status=202, headers={"Location": reverse("reindex-job", args=[job.pk])})


@endpoint(GET=["knowledge.reindex"])
def reindex_job(request, pk):
    return JsonResponse(_job_json(found_or_404(Job, organisation=request.user.organisation, pk=pk)))


def _ticket(request, pk):
    tickets = Ticket.objects.visible_to(request.user).select_related("organisation", "customer")
    return found_or_404(tickets, pk=pk)


def _summary_json(summary: Summary):
    return {
        "id": summary.pk,
        "ticket": summary.ticket_id,
        "text": summary.text,
        "model": summary.model,
        "usage": {
            "prompt_tokens": summary.prompt_tokens,
            "completion_tokens": summary.completion_tokens,
        },
        "created_by": summary.created_by_id,
        "created_at": summary.created_at,
    }


def _job_json(job: Job):
    return {
        "id": job.pk,
        "status": job.status,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "done": job.done,
        "total": job.total,
        "error": job.error,
    }
