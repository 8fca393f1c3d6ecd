"""What may be asked of the knowledge base's list."""

from django import forms
from django.db.models import Q


class ArticleFilterForm(forms.Form):
    q = forms.CharField(max_length=200, required=False, label="Search")

    def apply(self, articles):
        self.is_valid()
        words = self.cleaned_data.get("q")
        return articles.filter(Q(title__icontains=words) | Q(body__icontains=words)) if words else articles
