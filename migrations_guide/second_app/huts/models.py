"""Huts, and the members who may look at them."""

from django.db import models


class Hut(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    altitude = models.PositiveIntegerField(help_text="metres")
    beds = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=6, decimal_places=2, help_text="a night")
    checked_at = models.DateTimeField(help_text="when somebody was there last")


class Member(models.Model):
    name = models.CharField(max_length=80)
    token = models.CharField(max_length=40, unique=True)
