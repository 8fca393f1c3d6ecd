"""What the assistant left behind, to be looked at in the admin."""

from django.contrib import admin

from legacy_app.accounts.scoped_admin import ReadOnlyAdmin
from legacy_app.assistant.models import Call, Job, Summary


@admin.register(Summary)
class SummaryAdmin(ReadOnlyAdmin):
    list_display = ["ticket", "created_by", "model", "prompt_tokens", "completion_tokens", "created_at"]
    list_select_related = ["ticket", "created_by"]

    def get_list_filter(self, request):
        return ["ticket__organisation"] if request.user.organisation_id is None else []


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at",
        "organisation",
        "user",
        "kind",
        "outcome",
        "model",
        "prompt_tokens",
        "completion_tokens",
        "duration_ms",
    ]
    list_filter = ["kind", "outcome"]
    list_select_related = ["organisation", "user"]


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "organisation", "created_by", "status", "done", "total"]
    list_filter = ["status"]
    list_select_related = ["organisation", "created_by"]
