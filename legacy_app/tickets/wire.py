"""How the API writes tickets, comments and the people in them."""


def ticket_json(ticket):
    """Wants a row of `Ticket.objects.with_people()`."""
    return {
        "id": ticket.pk,
        "organisation": ticket.organisation.slug,
        "subject": ticket.subject,
        "body": ticket.body,
        "status": ticket.status,
        "priority": ticket.priority,
        "category": ticket.category,
        "customer": {
            "id": ticket.customer.pk,
            "name": ticket.customer.name,
            "email": ticket.customer.email,
        },
        "assignee": user_json(ticket.assignee),
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
        "comments": ticket.comment_count,
    }


def comment_json(comment):
    """`author` is null for what the customer wrote."""
    return {
        "id": comment.pk,
        "ticket": comment.ticket_id,
        "author": user_json(comment.author),
        "body": comment.body,
        "internal": comment.internal,
        "created_at": comment.created_at,
    }


def user_json(user):
    return user and {"id": user.pk, "username": user.username, "name": user.name}
