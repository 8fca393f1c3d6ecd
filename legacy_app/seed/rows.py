"""Writes an organisation's content into the database: everything or nothing."""

from django.db import transaction

from legacy_app.accounts.groups import make_groups
from legacy_app.accounts.models import Organisation, User
from legacy_app.knowledge import passages
from legacy_app.knowledge.models import Article
from legacy_app.seed import plan
from legacy_app.tickets.models import Comment, Customer, Ticket

GROUP_OF = {"lead": "Leads", "agent": "Agents", "viewer": "Viewers"}


@transaction.atomic
def write(content, indexed, *, password, tickets):
    """`indexed` gives an article's passages and their embeddings, by the organisation's slug and its own."""
    organisation = Organisation.objects.create(
        name=content.name, slug=content.slug, created_at=plan.article_date(len(content.articles))
    )
    users = _write_agents(organisation, content, password)
    lead = next(users[agent.username] for agent in content.agents if agent.role == "lead")
    _write_articles(organisation, lead, content, indexed)
    _write_tickets(organisation, users, content, plan.tickets(content, tickets))


def _write_agents(organisation, content, password):
    groups = make_groups()
    users = {}
    for agent in content.agents:
        users[agent.username] = User.objects.create(
            organisation=organisation,
            username=agent.username,
            first_name=agent.first_name,
            last_name=agent.last_name,
            email=f"{agent.username}@{content.slug}.example.com",
            password=password,
            is_staff=agent.role == "lead",  # leads edit articles, in the admin
            date_joined=organisation.created_at,
        )
        users[agent.username].groups.set([groups[GROUP_OF[agent.role]]])
    return users


def _write_articles(organisation, author, content, indexed):
    for number, written in enumerate(content.articles):
        at = plan.article_date(number)
        article = Article.objects.create(
            organisation=organisation,
            title=written.title,
            slug=written.slug,
            body=written.body,
            author=author,
            created_at=at,
        )
        # auto_now took the clock's time.
        Article.objects.filter(pk=article.pk).update(updated_at=at)
        passages.store(article, *indexed[content.slug, written.slug])


def _write_tickets(organisation, users, content, planned):
    customers = {
        customer.email: customer
        for customer in Customer.objects.bulk_create(
            Customer(
                organisation=organisation, name=person.name, email=person.email, created_at=organisation.created_at
            )
            for person in content.customers
        )
    }
    made = Ticket.objects.bulk_create(
        Ticket(
            organisation=organisation,
            customer=customers[ticket.customer],
            assignee=users.get(ticket.assignee),
            subject=ticket.subject,
            body=ticket.body,
            status=ticket.status,
            priority=ticket.priority,
            category=ticket.category,
            created_at=ticket.created_at,
        )
        for ticket in planned
    )
    Comment.objects.bulk_create(
        Comment(
            ticket=row,
            author=users.get(comment.author),
            body=comment.body,
            internal=comment.internal,
            created_at=comment.created_at,
        )
        for row, ticket in zip(made, planned, strict=True)
        for comment in ticket.comments
    )
    for row, ticket in zip(made, planned, strict=True):
        # auto_now took the clock's time.
        Ticket.objects.filter(pk=row.pk).update(updated_at=ticket.updated_at)
