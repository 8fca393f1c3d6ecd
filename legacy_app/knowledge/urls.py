"""The knowledge base: pages and API."""

from django.urls import path

from legacy_app.knowledge import api, views

urlpatterns = [
    path("knowledge/", views.articles, name="articles"),
    path("knowledge/<slug:slug>/", views.article, name="article"),
    path("ask/", views.ask, name="ask-page"),
    path("api/articles", api.articles, name="api-articles"),
    path("api/articles/<slug:slug>", api.article, name="api-article"),
]
