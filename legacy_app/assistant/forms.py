"""What callers may ask the assistant for; nothing said means the default."""

from django import forms

from legacy_app.assistant.prompts import TONES

DEFAULT_MAX_WORDS = 80
DEFAULT_TONE = "friendly"
DEFAULT_LIMIT = 5


class SummaryForm(forms.Form):
    max_words = forms.IntegerField(min_value=20, max_value=300, required=False)

    def clean_max_words(self):
        return self.cleaned_data["max_words"] or DEFAULT_MAX_WORDS


class ReplyForm(forms.Form):
    tone = forms.ChoiceField(choices=[(tone, tone) for tone in TONES], required=False)
    instructions = forms.CharField(max_length=2000, required=False)

    def clean_tone(self):
        return self.cleaned_data["tone"] or DEFAULT_TONE


class SearchForm(forms.Form):
    q = forms.CharField(max_length=500)
    limit = forms.IntegerField(min_value=1, max_value=20, required=False)

    def clean_limit(self):
        return self.cleaned_data["limit"] or DEFAULT_LIMIT


class AskForm(forms.Form):
    question = forms.CharField(max_length=2000)
