"""The admin, organisation by organisation: staff of one see and choose only what belongs to it."""

from django.contrib import admin

from legacy_app.accounts.models import Organisation, User

# How a row of each model leads to its organisation; a model that is not here cannot be chosen at all.
PATHS = {
    "accounts.organisation": "pk",
    "accounts.user": "organisation",
    "tickets.customer": "organisation",
    "tickets.ticket": "organisation",
    "tickets.comment": "ticket__organisation",
    "knowledge.article": "organisation",
    "assistant.summary": "ticket__organisation",
    "assistant.call": "organisation",
    "assistant.job": "organisation",
}


def scoped(rows, user):
    """Support staff of the product itself belong to no organisation and see all of them."""
    if user.organisation_id is None:
        return rows
    own = rows.filter(**{PATHS[rows.model._meta.label_lower]: user.organisation_id})
    # An organisation's staff must not become the product's: not by taking over such an account either.
    return own.filter(is_superuser=False) if rows.model is User else own


class Scoped:
    """What an admin class and an inline have in common."""

    def get_queryset(self, request):
        return scoped(super().get_queryset(request), request.user)

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        chosen_from = db_field.remote_field.model
        kwargs["queryset"] = scoped(chosen_from._default_manager.all(), request.user)
        if chosen_from is Organisation and request.user.organisation_id is not None:
            kwargs |= {"empty_label": None, "initial": request.user.organisation_id}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class ScopedAdmin(Scoped, admin.ModelAdmin):
    view_on_site = False  # support staff have no pages to look at

    def get_list_filter(self, request):
        by_organisation = ["organisation"] if request.user.organisation_id is None else []
        return [*by_organisation, *self.list_filter]


class ScopedInline(Scoped, admin.TabularInline):
    extra = 0


class ReadOnlyAdmin(ScopedAdmin):
    """For what programs write: to be looked at, never changed."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
