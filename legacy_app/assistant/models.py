"""What the assistant leaves behind: summaries, an audit row per provider call, background jobs."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class Summary(models.Model):
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.CASCADE, related_name="summaries")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="summaries")
    text = models.TextField()
    model = models.CharField(max_length=100)
    prompt_tokens = models.PositiveIntegerField()
    completion_tokens = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "summaries"
        permissions = [("use_assistant", "Can use the assistant")]

    def __str__(self):
        return f"Summary {self.pk} of #{self.ticket_id}"


class Call(models.Model):
    """One call to the provider, successful or not."""

    class Kind(models.TextChoices):
        SUMMARY = "summary"
        REPLY = "reply"
        TRIAGE = "triage"
        SEARCH = "search"
        ASK = "ask"
        REINDEX = "reindex"
        CHAT = "chat"  # the extracted service alone has it

    class Outcome(models.TextChoices):
        OK = "ok", "OK"
        BUSY = "busy"
        TIMEOUT = "timeout"
        FAILED = "failed"
        ABORTED = "aborted"

    organisation = models.ForeignKey("accounts.Organisation", on_delete=models.CASCADE, related_name="calls")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="calls"
    )
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.SET_NULL, null=True, blank=True, related_name="calls")
    kind = models.CharField(max_length=20, choices=Kind)
    model = models.CharField(max_length=100)
    outcome = models.CharField(max_length=20, choices=Outcome)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    duration_ms = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["organisation", "created_at"], name="calls_of_a_day")]

    def __str__(self):
        return f"{self.kind} {self.outcome}"


class Job(models.Model):
    """A rebuild of an organisation's search index, worked off by `manage.py jobs`."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    organisation = models.ForeignKey("accounts.Organisation", on_delete=models.CASCADE, related_name="jobs")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="jobs")
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    alive_at = models.DateTimeField(null=True, blank=True, help_text="the last sign of life of its worker")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self):
        return f"Job {self.pk} {self.status}"
