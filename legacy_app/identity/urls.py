"""Where the router asks who a caller is; the router itself never routes here."""

from django.urls import path

from legacy_app.identity import views

urlpatterns = [path("internal/identity", views.exchange, name="identity")]
