"""The worker for background jobs: `manage.py jobs` runs until SIGTERM or SIGINT."""

import time
from argparse import ArgumentTypeError
from contextlib import suppress

from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections
from opentelemetry.trace import SpanKind

from legacy_app import telemetry
from legacy_app.assistant import jobs
from legacy_app.assistant.stopping import Stopped, stop_on_signals


class Command(BaseCommand):
    help = "Work off the queued background jobs; end cleanly on SIGTERM or SIGINT."

    def add_arguments(self, parser):
        parser.add_argument("--once", action="store_true", help="end when the queue is empty")
        parser.add_argument("--every", type=seconds, default=1.0, help="seconds between two looks at the queue")

    def handle(self, *, once, every, **options):
        telemetry.set_up("jobs")
        with stop_on_signals() as stop, suppress(Stopped):
            while True:
                stop.check()
                close_old_connections()
                try:
                    was_one_there = self._work_off_next(stop)
                except (OperationalError, InterfaceError) as error:
                    if once:
                        raise
                    was_one_there = False
                    self._say(f"The database cannot be used: {str(error).rstrip('.')}. Looking again in {every:g} s.")
                if was_one_there:
                    continue
                if once:
                    return
                with stop.interrupts():
                    time.sleep(every)

    def _work_off_next(self, stop):
        if lost := jobs.give_up_lost():
            self._say(f"{lost} running jobs had lost their worker: failed.")
        job = jobs.take()
        if job is None:
            return False
        self._say(f"Job {job.pk} ({job.organisation}): started.")
        with telemetry.span("job reindex", {"strangler.job": job.pk}, SpanKind.CONSUMER):
            jobs.work_off(job, stop)
        job.refresh_from_db()
        self._say(f"Job {job.pk} ({job.organisation}): {job.status}, {job.done} of {job.total}. {job.error}".strip())
        return True

    def _say(self, line):
        self.stdout.write(line)
        self.stdout.flush()


def seconds(written: str) -> float:
    try:
        every = float(written)
    except ValueError:
        every = 0.0
    if not 0 < every < 86_400:
        raise ArgumentTypeError(f"{written!r} is no number of seconds above 0, like 1")
    return every
