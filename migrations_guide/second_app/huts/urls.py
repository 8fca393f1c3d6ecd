"""Where the club answers."""

from django.urls import path

from . import views

urlpatterns = [
    path("api/huts/", views.huts),
    path("api/huts/<slug:slug>/", views.hut),
]
