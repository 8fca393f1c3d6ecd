"""The nightly job: `manage.py summarise` brings the summaries of open tickets up to date."""

from argparse import ArgumentTypeError
from contextlib import suppress

from django.core.management.base import BaseCommand, CommandError
from opentelemetry.trace import SpanKind

from legacy_app import telemetry
from legacy_app.api import ApiError
from legacy_app.assistant import remote, summaries
from legacy_app.assistant.errors import Busy, ProviderError
from legacy_app.assistant.forms import DEFAULT_MAX_WORDS
from legacy_app.assistant.stopping import Stopped, stop_on_signals
from legacy_app.tickets.models import Ticket


class Command(BaseCommand):
    help = "Summarise tickets that have changed since their last summary, or never had one; the latest change first."

    def add_arguments(self, parser):
        parser.add_argument("--status", choices=Ticket.Status.values, default=Ticket.Status.OPEN)
        parser.add_argument("--limit", type=at_least_one, default=100, help="tickets in one run, at most")

    def handle(self, *, status, limit, **options):
        telemetry.set_up("summarise")
        self.failed, self.used_up = 0, set()
        with stop_on_signals() as stop, suppress(Stopped, Busy):
            for ticket in summaries.due(status, limit):
                stop.check()
                if ticket.organisation_id not in self.used_up:
                    self._summarise(ticket)
        if self.failed:
            raise CommandError(f"{self.failed} tickets could not be summarised; the next run tries again.")

    def _summarise(self, ticket):
        user = summaries.asker(ticket)
        if user is None:
            self._say(f"#{ticket.pk}: nobody in {ticket.organisation} may use the assistant.")
            return
        try:
            with telemetry.span("job summarise", {"strangler.ticket": ticket.pk}, SpanKind.CONSUMER):
                remote.summarise(ticket, user, max_words=DEFAULT_MAX_WORDS)
        except ApiError as refusal:  # the organisation's tokens are used up
            self.used_up.add(ticket.organisation_id)
            self._say(f"{ticket.organisation}: {refusal}")
        except ProviderError as error:
            self.failed += 1
            self._say(f"#{ticket.pk}: {error.detail}")
            if isinstance(error, Busy):  # so it is for the others
                raise
        else:
            self._say(f"#{ticket.pk}: summarised for {user.username}.")

    def _say(self, line):
        self.stdout.write(line)
        self.stdout.flush()


def at_least_one(written: str) -> int:
    if not (written.isascii() and written.isdigit() and len(written) < 10 and int(written)):
        raise ArgumentTypeError(f"{written!r} is no number of tickets: write a whole number from 1")
    return int(written)
