"""How the API writes articles."""


def article_json(article):
    return {
        "id": article.pk,
        "organisation": article.organisation.slug,
        "slug": article.slug,
        "title": article.title,
        "url": article.get_absolute_url(),
        "body": article.body,
        "published": article.published,
        "created_at": article.created_at,
        "updated_at": article.updated_at,
    }
