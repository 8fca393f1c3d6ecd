"""`manage.py seed` fills the database with the sample organisations; a second run changes nothing."""

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from legacy_app.accounts.models import Organisation, User
from legacy_app.assistant import provider
from legacy_app.assistant.errors import ProviderError
from legacy_app.knowledge import passages
from legacy_app.knowledge.models import Article
from legacy_app.seed import content, rows
from legacy_app.tickets.models import Ticket

PASSWORD = "helpdesk"  # noqa: S105  (of everybody: this is sample data)
ADMIN = "admin"
TICKETS_PER_ORGANISATION = 104
EMBEDDINGS_PER_REQUEST = 64


class Command(BaseCommand):
    help = "Fill the database with sample organisations, people, tickets and articles."

    def add_arguments(self, parser):
        parser.add_argument("--fresh", action="store_true", help="empty the whole database first")

    def handle(self, *args, fresh, **options):
        try:
            samples = content.read_all()
        except content.ContentError as mistake:
            raise CommandError(str(mistake)) from None
        if fresh:
            _check_only_samples(samples)
        known = set() if fresh else set(Organisation.objects.values_list("slug", flat=True))
        missing = [sample for sample in samples if sample.slug not in known]
        # Before anything is deleted, and before a transaction begins: the provider may be slow, or away.
        indexed = _indexed(missing)
        if fresh:
            call_command("flush", interactive=False, verbosity=0)
        _write(missing, indexed)
        changed = _make_admin() or missing
        self.stdout.write(_counts() + ("" if changed else " All of it was there: nothing was changed."))


def _check_only_samples(samples):
    """Sample data may go; what somebody else wrote may not."""
    others = Organisation.objects.exclude(slug__in=[sample.slug for sample in samples])
    if names := ", ".join(others.values_list("slug", flat=True)):
        raise CommandError(
            f"This database also holds {names}, which --fresh would delete: "
            "point DATABASE_URL at a database for samples."
        )


def _indexed(samples):
    """The passages and embeddings of every article, by the organisation's slug and the article's."""
    texts = {
        (sample.slug, article.slug): (article, passages.split(article.body))
        for sample in samples
        for article in sample.articles
    }
    embedding_of = _embeddings(
        passages.text_to_embed(article, text) for article, split in texts.values() for text in split
    )
    return {
        key: (split, [embedding_of[passages.text_to_embed(article, text)] for text in split])
        for key, (article, split) in texts.items()
    }


def _write(samples, indexed):
    taken = User.objects.filter(username__in=[agent.username for sample in samples for agent in sample.agents])
    if names := ", ".join(taken.values_list("username", flat=True)):
        raise CommandError(f"Somebody else is called {names} already: run seed on a database of its own.")
    password = make_password(PASSWORD)  # once: it is slow on purpose
    for sample in samples:
        rows.write(sample, indexed, password=password, tickets=TICKETS_PER_ORGANISATION)


def _embeddings(texts):
    texts = list(dict.fromkeys(texts))
    found = {}
    try:
        for start in range(0, len(texts), EMBEDDINGS_PER_REQUEST):
            batch = texts[start : start + EMBEDDINGS_PER_REQUEST]
            found |= zip(batch, provider.embed(batch, until=provider.deadline()).vectors, strict=True)
    except ProviderError as failure:
        raise CommandError(
            f"The provider at {settings.LLM_BASE_URL} gave no embeddings ({failure}), so nothing was written: "
            "start it (python -m sandbox provider), or set LLM_BASE_URL to one that runs."
        ) from None
    return found


def _make_admin():
    """Support staff of the product itself: may do everything, belongs to no organisation."""
    if User.objects.filter(username=ADMIN).exists():
        return False
    User.objects.create_superuser(ADMIN, password=PASSWORD)
    return True


def _counts():
    return (
        f"{Organisation.objects.count()} organisations, {User.objects.count()} users, "
        f"{Ticket.objects.count()} tickets, {Article.objects.count()} articles."
    )
