"""Names the app to Django."""

from django.apps import AppConfig


class KnowledgeConfig(AppConfig):
    name = "legacy_app.knowledge"
    label = "knowledge"
    verbose_name = "Knowledge base"
