"""Names the app to Django."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "legacy_app.accounts"
    label = "accounts"
    verbose_name = "Accounts"
