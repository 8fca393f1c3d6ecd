"""An article is what people read; its passages are what the index finds."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from django.utils import timezone

from legacy_app.knowledge.fields import DIMENSIONS, EmbeddingField


class ArticleQuerySet(models.QuerySet):
    def for_organisation(self, organisation):
        return self.filter(organisation=organisation) if organisation else self.none()

    def published(self):
        return self.filter(published=True)

    def visible_to(self, user):
        """Drafts are for those who may edit them."""
        own = self.for_organisation(user.organisation)
        return own if user.has_perm("knowledge.change_article") else own.published()


class Article(models.Model):
    organisation = models.ForeignKey("accounts.Organisation", on_delete=models.CASCADE, related_name="articles")
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80)
    body = models.TextField(help_text="Plain text; an empty line begins a new paragraph.")
    published = models.BooleanField(default=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="articles"
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ArticleQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "slug"], name="article_slug_once"),
        ]
        permissions = [("reindex", "Can rebuild the search index")]

    def clean(self):
        if self.author and self.author.organisation_id != self.organisation_id:
            raise ValidationError({"author": "This author belongs to another organisation."})

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("article", args=[self.slug])


class Passage(models.Model):
    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="passages")
    position = models.PositiveSmallIntegerField()
    text = models.TextField()
    embedding = EmbeddingField(dimensions=DIMENSIONS)

    class Meta:
        ordering = ["article_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["article", "position"], name="passage_position_once"),
        ]

    def __str__(self):
        return f"{self.article_id}/{self.position}"
