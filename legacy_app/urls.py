"""Every address of the monolith: pages end with a slash, the API does not."""

from django.contrib import admin
from django.urls import include, path

from legacy_app.accounts.views import home

urlpatterns = [
    path("", home, name="home"),
    path("", include("legacy_app.accounts.urls")),
    path("", include("legacy_app.tickets.urls")),
    path("", include("legacy_app.assistant.urls")),  # before knowledge: /api/articles/reindex is no article
    path("", include("legacy_app.knowledge.urls")),
    path("", include("legacy_app.identity.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "legacy_app.api.bad_request"
handler403 = "legacy_app.api.permission_denied"
handler404 = "legacy_app.api.not_found"
handler500 = "legacy_app.api.server_error"
