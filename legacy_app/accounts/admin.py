"""Organisations and users in the admin."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from legacy_app.accounts.models import Organisation, User
from legacy_app.accounts.scoped_admin import Scoped, ScopedAdmin

admin.site.site_header = "Helpdesk"
admin.site.site_title = "Helpdesk"


@admin.register(Organisation)
class OrganisationAdmin(ScopedAdmin):
    list_display = ["name", "slug", "created_at"]
    prepopulated_fields = {"slug": ["name"]}

    def get_list_filter(self, request):
        return []

    def has_add_permission(self, request):
        return request.user.organisation_id is None and super().has_add_permission(request)


@admin.register(User)
class OrganisationUserAdmin(Scoped, UserAdmin):
    list_display = ["username", "name", "email", "organisation", "is_active", "is_staff"]
    list_select_related = ["organisation"]
    fieldsets = (*UserAdmin.fieldsets, ("Organisation", {"fields": ["organisation"]}))
    add_fieldsets = (*UserAdmin.add_fieldsets, ("Organisation", {"fields": ["organisation"]}))

    def get_fieldsets(self, request, obj=None):
        """Rights are given by the product's support staff: nobody can raise their own."""
        if request.user.organisation_id is None or obj is None:
            return super().get_fieldsets(request, obj)
        own = ["username", "password", "first_name", "last_name", "email", "is_active"]
        return [(None, {"fields": own})]

    def get_list_filter(self, request):
        by_organisation = ["organisation", "groups"] if request.user.organisation_id is None else []
        return [*by_organisation, "is_active", "is_staff"]

    def save_model(self, request, obj, form, change):
        if request.user.organisation_id is not None:
            obj.organisation = request.user.organisation
        super().save_model(request, obj, form, change)
