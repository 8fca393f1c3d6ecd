"""Cuts text into words, tokens and sentences, and knows which words say what a helpdesk text is about."""

import re
from collections.abc import Iterator
from functools import lru_cache


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _set(
    """a about after again all also am an and any are as at be because been before being but by can could did do
    does doing done for from get got had has have having he hello her here hey hi him his how i if in into is it
    its just kind let like me might more most my need no not now of off on once one only or other our out over
    please really regards same she should so some still such than thank thanks that the their them then there
    these they this those to too up us very want was we were what when where which while who why will with would
    yes yet you your dear best sincerely cheers much many"""
)

# What a text is about, by the stems of the words that give it away; the first of equals wins.
TOPICS = {
    "billing": _set(
        """invoice invoic bill charg refund payment pay paid price subscription subscript vat tax discount voucher
        coupon card debit credit double twice money amount receipt surcharge iban bank fee"""
    ),
    "shipping": _set(
        """ship shipp deliver delivery deliv parcel package packag courier track arriv driver pickup depot warehouse
        transit custom late delay return locker neighbour shipment"""
    ),
    "account": _set(
        """account login log password passcod sign username user email access permission role lock invite profil
        two-factor authentic verif reset delet gdpr"""
    ),
    "bug": _set(
        """bug error crash broken fail failur freez incorrect exception blank defect flick malfunction glitch stuck
        hang duplicat blink hum burnt defective unreachabl"""
    ),
    "how_to": _set(
        """how explain guide tutorial instruct setup set configur connect export import install possibl step manual
        which bulb suitabl size limit"""
    ),
}
URGENCY = {
    "urgent": _set(
        "urgent urgently immediate emergenc outag danger dangerou smoke fire spark burn burnt unsafe fraud breach"
    ),
    "high": _set(
        """twice angry unacceptabl lost miss broken refus escalat complain disappoint charged crash fail tomorrow
        damag deadline today cannot"""
    ),
    "low": _set("wonder curiou suggestion idea someday feedback prais compliment minor cosmetic"),
    "normal": _set(""),
}

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TOKEN = re.compile(r"\s*[^\W_]{1,8}|\s*[\W_]")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+|\n+")
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "ly", "s", "e")


def words(text: str) -> list[str]:
    """Every word, in lower case, in order."""
    return [match.group().lower() for match in _WORD.finditer(text)]


def telling_words(text: str) -> list[str]:
    """The stems of the words that carry meaning."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def tokens(text: str) -> list[str]:
    """What the simulated model counts and streams; joined they give the text back."""
    found = _TOKEN.findall(text)
    rest = text[sum(map(len, found)) :]  # white space at the very end belongs to no token
    return [*found, rest] if rest else found


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, without their surrounding white space."""
    for part in _SENTENCE.split(text):
        sentence = part.strip(" \t-*•>")
        if sentence:
            yield sentence


def topic_of(text: str, topics: dict[str, frozenset[str]] = TOPICS) -> str | None:
    """The topic most words of the text speak of; None if none do."""
    stems = set(telling_words(text)) | set(words(text))
    scores = {name: len(stems & marks) for name, marks in topics.items()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] else None


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A word without its commonest English ending: `refunded`, `refunding` and `refunds` are one."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
