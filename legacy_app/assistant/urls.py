"""Where the assistant answers."""

from django.urls import path

from legacy_app.assistant import pages, views

urlpatterns = [
    path("tickets/<int:pk>/summarise/", pages.summarise, name="summarise-ticket"),
    path("api/tickets/<int:pk>/summary", views.summary, name="ticket-summary"),
    path("api/tickets/<int:pk>/reply", views.reply, name="ticket-reply"),
    path("api/tickets/<int:pk>/triage", views.triage, name="ticket-triage"),
    path("api/search", views.search, name="search"),
    path("api/ask", views.ask, name="ask"),
    path("api/articles/reindex", views.reindex, name="reindex"),
    path("api/articles/reindex/<int:pk>", views.reindex_job, name="reindex-job"),
]
