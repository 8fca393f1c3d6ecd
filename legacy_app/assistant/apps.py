"""Names the app to Django."""

from django.apps import AppConfig


class AssistantConfig(AppConfig):
    name = "legacy_app.assistant"
    label = "assistant"
    verbose_name = "Assistant"
