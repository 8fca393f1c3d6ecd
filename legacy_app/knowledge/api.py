"""Articles for programs; what finds them by meaning belongs to the assistant."""

from django.http import JsonResponse

from legacy_app.api import endpoint, found_or_404, paged, valid
from legacy_app.knowledge.forms import ArticleFilterForm
from legacy_app.knowledge.models import Article
from legacy_app.knowledge.wire import article_json


@endpoint(GET=["knowledge.view_article"])
def articles(request):
    asked = valid(ArticleFilterForm(request.GET))
    return paged(request, asked.apply(_visible_to(request.user)), article_json)


@endpoint(GET=["knowledge.view_article"])
def article(request, slug):
    return JsonResponse(article_json(found_or_404(_visible_to(request.user), slug=slug)))


def _visible_to(user):
    return Article.objects.visible_to(user).select_related("organisation")
