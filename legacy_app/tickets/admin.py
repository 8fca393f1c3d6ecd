"""Customers and tickets in the admin."""

from django.contrib import admin

from legacy_app.accounts.scoped_admin import ScopedAdmin, ScopedInline
from legacy_app.tickets.models import Comment, Customer, Ticket


@admin.register(Customer)
class CustomerAdmin(ScopedAdmin):
    list_display = ["name", "email", "organisation"]
    list_select_related = ["organisation"]
    search_fields = ["name", "email"]


class CommentInline(ScopedInline):
    model = Comment
    fields = ["author", "body", "internal", "created_at"]


@admin.register(Ticket)
class TicketAdmin(ScopedAdmin):
    list_display = ["id", "subject", "organisation", "customer", "assignee", "status", "priority", "category"]
    list_display_links = ["id", "subject"]
    list_filter = ["status", "priority", "category"]
    list_select_related = ["organisation", "customer", "assignee"]
    search_fields = ["subject", "body", "customer__name", "customer__email"]
    inlines = [CommentInline]
