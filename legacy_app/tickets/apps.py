"""Names the app to Django."""

from django.apps import AppConfig


class TicketsConfig(AppConfig):
    name = "legacy_app.tickets"
    label = "tickets"
    verbose_name = "Tickets"
