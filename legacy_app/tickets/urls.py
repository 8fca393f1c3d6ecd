"""Tickets: pages, API, and the command that an extracted service may give."""

from django.urls import path

from legacy_app.tickets import api, commands, views

urlpatterns = [
    path("tickets/", views.inbox, name="inbox"),
    path("tickets/<int:pk>/", views.ticket, name="ticket"),
    path("tickets/<int:pk>/comments/", views.add_comment, name="add-comment"),
    path("tickets/<int:pk>/state/", views.change_ticket, name="change-ticket"),
    path("api/tickets", api.tickets, name="api-tickets"),
    path("api/tickets/<int:pk>", api.ticket, name="api-ticket"),
    path("api/tickets/<int:pk>/comments", api.comments, name="api-comments"),
    path("internal/tickets/<int:pk>/triage", commands.triage, name="triage-command"),
]
