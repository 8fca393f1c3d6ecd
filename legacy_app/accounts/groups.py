"""The three groups that an organisation's people belong to, and what each may do."""

from django.contrib.auth.models import Group, Permission

VIEWERS = {"tickets.view_ticket", "knowledge.view_article"}
AGENTS = VIEWERS | {
    "tickets.add_ticket",
    "tickets.change_ticket",
    "tickets.view_comment",
    "tickets.add_comment",
    "tickets.change_comment",
    "assistant.use_assistant",
}
LEADS = AGENTS | {"knowledge.add_article", "knowledge.change_article", "knowledge.reindex"}

GROUPS = {"Viewers": VIEWERS, "Agents": AGENTS, "Leads": LEADS}


def make_groups():
    """The groups by name, made where they are missing, with exactly these permissions."""
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    groups = {}
    for name, permissions in GROUPS.items():
        groups[name], _ = Group.objects.get_or_create(name=name)
        groups[name].permissions.set([known[permission] for permission in permissions])
    return groups
