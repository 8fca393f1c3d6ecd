"""A customer asks, a ticket holds the question, comments hold the conversation."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone


class OwnedQuerySet(models.QuerySet):
    """Rows that belong to one organisation each."""

    def for_organisation(self, organisation):
        return self.filter(organisation=organisation) if organisation else self.none()

    def visible_to(self, user):
        return self.for_organisation(user.organisation)


class Customer(models.Model):
    organisation = models.ForeignKey("accounts.Organisation", on_delete=models.CASCADE, related_name="customers")
    name = models.CharField(max_length=120)
    email = models.EmailField()
    created_at = models.DateTimeField(default=timezone.now)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "email"], name="customer_email_once"),
        ]

    def __str__(self):
        return f"{self.name} <{self.email}>"


class TicketQuerySet(OwnedQuerySet):
    def with_people(self):
        """Everything that a line of the inbox or the API shows, in one query."""
        # Counted for the lines of a page: a join would count the comments of every ticket before it takes the page.
        comments = Comment.objects.filter(ticket=models.OuterRef("pk")).order_by().values("ticket")
        counted = models.Subquery(comments.annotate(number=models.Count("pk")).values("number"))
        return self.select_related("organisation", "customer", "assignee").annotate(comment_count=Coalesce(counted, 0))


class Ticket(models.Model):
    class Status(models.TextChoices):
        OPEN = "open", "Open"
        PENDING = "pending", "Pending"
        SOLVED = "solved", "Solved"
        CLOSED = "closed", "Closed"

    class Priority(models.TextChoices):
        LOW = "low", "Low"
        NORMAL = "normal", "Normal"
        HIGH = "high", "High"
        URGENT = "urgent", "Urgent"

    class Category(models.TextChoices):
        BILLING = "billing", "Billing"
        ACCOUNT = "account", "Account"
        BUG = "bug", "Bug"
        HOW_TO = "how_to", "How to"
        SHIPPING = "shipping", "Shipping"
        OTHER = "other", "Other"
        __empty__ = "Not triaged"

    organisation = models.ForeignKey("accounts.Organisation", on_delete=models.CASCADE, related_name="tickets")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="tickets")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="tickets"
    )
    subject = models.CharField(max_length=200)
    body = models.TextField()
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    priority = models.CharField(max_length=10, choices=Priority, default=Priority.NORMAL)
    category = models.CharField(max_length=10, choices=Category, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-id"]
        indexes = [
            models.Index(fields=["organisation", "status", "-updated_at"], name="ticket_inbox"),
            models.Index(fields=["organisation", "-updated_at", "-id"], name="ticket_latest"),
        ]

    def __str__(self):
        return f"#{self.pk} {self.subject}"

    def get_absolute_url(self):
        return reverse("ticket", args=[self.pk])

    def clean(self):
        """Whoever writes the ticket: its people are of its organisation."""
        for name in ("customer", "assignee"):
            person = getattr(self, name, None)
            if person and person.organisation_id != self.organisation_id:
                raise ValidationError({name: f"This {name} belongs to another organisation."})

    def touch(self):
        """Something was said: the ticket moves to the top of the inbox."""
        self.save(update_fields=["updated_at"])


class Comment(models.Model):
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="comments",
        help_text="Nobody: the customer wrote it.",
    )
    body = models.TextField()
    internal = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]

    def clean(self):
        if self.author and self.author.organisation_id != self.ticket.organisation_id:
            raise ValidationError({"author": "This author belongs to another organisation."})

    def __str__(self):
        return f"Comment {self.pk} on #{self.ticket_id}"
