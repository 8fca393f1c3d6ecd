"""Articles in the admin, where they are written."""

from django.contrib import admin

from legacy_app.accounts.scoped_admin import ScopedAdmin
from legacy_app.knowledge.models import Article


@admin.register(Article)
class ArticleAdmin(ScopedAdmin):
    list_display = ["title", "organisation", "author", "published", "updated_at"]
    list_filter = ["published"]
    list_select_related = ["organisation", "author"]
    search_fields = ["title", "body"]
    prepopulated_fields = {"slug": ["title"]}
