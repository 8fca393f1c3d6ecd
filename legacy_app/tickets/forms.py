"""What may be said to a ticket, on pages and through the API; other organisations' rows are no choice."""

from django import forms
from django.db.models import Q

from legacy_app.accounts.models import User
from legacy_app.tickets.models import Comment, Customer, Ticket


class TicketForm(forms.ModelForm):
    """A ticket of the instance's organisation."""

    class Meta:
        model = Ticket
        fields = ["subject", "body", "customer", "status", "priority", "category", "assignee"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        organisation = self.instance.organisation
        if "customer" in self.fields:
            self.fields["customer"].queryset = Customer.objects.for_organisation(organisation)
        self.fields["assignee"].queryset = assignees(organisation, self.instance.assignee_id)
        self.fields["assignee"].label_from_instance = lambda user: user.name
        self.fields["assignee"].empty_label = "Nobody"

    def save(self):
        """Of a ticket that is there only what was changed: colleagues may have changed the rest meanwhile."""
        if self.instance.pk is None:
            return super().save()
        self.instance.save(update_fields=[*self.changed_data, "updated_at"])
        return self.instance


class TicketStateForm(TicketForm):
    """What an agent changes in passing, in the ticket page's side panel."""

    class Meta(TicketForm.Meta):
        fields = ["status", "priority", "category", "assignee"]


class CommentForm(forms.ModelForm):
    class Meta:
        model = Comment
        fields = ["body", "internal"]


class TicketFilterForm(forms.Form):
    """The inbox's filters; empty means any."""

    q = forms.CharField(max_length=200, required=False, label="Search")
    status = forms.ChoiceField(choices=[("", "Any status"), *Ticket.Status.choices], required=False)
    priority = forms.ChoiceField(choices=[("", "Any priority"), *Ticket.Priority.choices], required=False)
    category = forms.ChoiceField(
        choices=[("", "Any category"), ("none", "Not triaged"), *Ticket.Category.choices[1:]], required=False
    )
    assignee = forms.ChoiceField(required=False)

    def __init__(self, data, *, user):
        super().__init__(data)
        self.user = user
        self.fields["assignee"].choices = [
            ("", "Anybody"),
            ("me", "Me"),
            ("none", "Nobody"),
            *((str(agent.pk), agent.name) for agent in assignees(user.organisation)),
        ]

    def apply(self, tickets):
        """The tickets that every valid filter lets through."""
        self.is_valid()
        asked = self.cleaned_data
        for name in ("status", "priority"):
            if asked.get(name):
                tickets = tickets.filter(**{name: asked[name]})
        if category := asked.get("category"):
            tickets = tickets.filter(category="" if category == "none" else category)
        if assignee := asked.get("assignee"):
            tickets = tickets.filter(assignee=self._assignee(assignee))
        if words := asked.get("q"):
            tickets = tickets.filter(_mentions(words))
        return tickets

    def _assignee(self, chosen):
        match chosen:
            case "me":
                return self.user
            case "none":
                return None
            case pk:
                return int(pk)


def assignees(organisation, also=None):
    """Who can take a ticket: the organisation's people who still work there, and whoever has it now."""
    return User.objects.filter(Q(is_active=True) | Q(pk=also), organisation=organisation).order_by(
        "first_name", "last_name", "username"
    )


def _mentions(words):
    number = words.removeprefix("#")
    found = (
        Q(subject__icontains=words)
        | Q(body__icontains=words)
        | Q(customer__name__icontains=words)
        | Q(customer__email__icontains=words)
    )
    # Longer numbers are no ticket's, and PostgreSQL would refuse them.
    return found | Q(pk=int(number)) if number.isdecimal() and len(number) < 19 else found
