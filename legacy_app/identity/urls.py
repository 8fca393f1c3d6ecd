from django.urls import path

from . import views

urlpatterns = [path("internal/identity", views.exchange, name="identity")]
