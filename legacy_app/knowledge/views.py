"""The pages of the knowledge base, and the page that asks it a question."""

from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from legacy_app.accounts.access import page_for
from legacy_app.knowledge.forms import ArticleFilterForm
from legacy_app.knowledge.models import Article

ARTICLES_PER_PAGE = 24


@page_for("knowledge.view_article")
@require_safe
def articles(request):
    filters = ArticleFilterForm(request.GET)
    found = filters.apply(Article.objects.visible_to(request.user))
    page = Paginator(found, ARTICLES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "knowledge/articles.html", {"section": "knowledge", "filters": filters, "page": page})


@page_for("knowledge.view_article")
@require_safe
def article(request, slug):
    found = get_object_or_404(Article.objects.visible_to(request.user).select_related("author"), slug=slug)
    return render(request, "knowledge/article.html", {"section": "knowledge", "article": found})


@page_for("assistant.use_assistant")
@require_safe
def ask(request):
    return render(request, "knowledge/ask.html", {"section": "ask"})
