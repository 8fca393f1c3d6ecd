"""Answers a prompt with the telling sentences of the prompt itself: a summary, a reply, an answer with citations."""

import re
from datetime import datetime

from .ticket import Passage, Ticket, Turn, passages_in, question_in, ticket_in, wish_in
from .words import sentences, stem, telling_words, topic_of, words

_REPLY_WANTED = re.compile(r"\b(reply|draft|answer the customer)\b", re.IGNORECASE)
_PLEASANTRY = re.compile(
    r"^(hi|hello|hey|dear|good (morning|evening|day|afternoon)|thanks?|thank you|thx|best|regards|cheers|sincerely|"
    r"kind regards)\b[^.!?]{0,40}[,.!]*$",
    re.IGNORECASE,
)
MAX_ANSWER_SENTENCES = 4
MAX_CHAT_SENTENCES = 3


def answer(system: str, user: str) -> str:
    """The text a model of few words would give; the same prompt always gets the same answer."""
    question = question_in(user)
    if question is not None:
        return cited_answer(question, passages_in(user))
    ticket = ticket_in(user)
    if ticket is None:
        return chat(user)
    if _REPLY_WANTED.search(system) and "ummari" not in system[:200]:
        return reply(ticket, system, user)
    return summary(ticket, int(wish_in(user + system, r"at most (\d+) words") or 80))


def summary(ticket: Ticket, max_words: int) -> str:
    """What the customer wants, what was tried, what comes next: in that order, within the limit."""
    said = [turn for turn in ticket.turns if turn.text]
    opening = next((turn for turn in said if turn.kind == "customer"), None)
    parts = []
    if opening is not None:
        parts.append(f"{ticket.customer} wrote on {_day(opening)}: {_best(opening.text, ticket.subject, 2)}")
    parts += [
        f"{turn.name} answered on {_day(turn)}: {_best(turn.text, ticket.subject, 1)}"
        for turn in said
        if turn.kind == "agent"
    ][-2:]
    parts += [f"{_best(turn.text, ticket.subject, 1)} (internal)" for turn in said if turn.kind == "note"][-1:]
    return _within(parts, _next_step(ticket), max_words)


def reply(ticket: Ticket, system: str, user: str) -> str:
    """A draft in the asked tone that takes up what the customer said last and what is already known."""
    tone = wish_in(system, r"Tone: *(\w+)") or "friendly"
    known = [turn for turn in ticket.turns if turn.kind == "agent" and turn.text]
    asked = [turn for turn in ticket.turns if turn.kind == "customer" and turn.text]
    last = _best(asked[-1].text, ticket.subject, 1) if asked else ticket.subject
    paragraphs = [_greeting(ticket.customer, tone), _taking_up(ticket.subject, last, tone)]
    if known:
        paragraphs.append(f"{_standing(tone)} {_best(known[-1].text, last, 1 if tone == 'brief' else 2)}")
    instructions = wish_in(user, r"Instructions of the agent:\n(.*?)\n\n")
    if instructions:
        paragraphs.append(f"In addition: {_ended(instructions)}")
    if tone != "brief":
        paragraphs.append(_closing_question(ticket, tone))
    paragraphs.append(wish_in(system, r'Sign with "([^"\n]+)"') or "Your support team")
    return "\n\n".join(paragraphs)


def cited_answer(question: str, passages: list[Passage]) -> str:
    """The sentences of the passages that speak of the question, each with its passage's number."""
    wanted = set(telling_words(question))
    scored = [
        (_overlap(wanted, f"{passage.title} {sentence}") + _overlap(wanted, sentence), passage.number, sentence)
        for passage in passages
        for sentence in sentences(passage.text)
        if len(sentence.split()) > 3
    ]
    best = sorted((row for row in scored if row[0] > 0), key=lambda row: -row[0])[:MAX_ANSWER_SENTENCES]
    if not best:
        return f"The passages do not answer the question; what is missing is anything on “{question[:200]}”."
    chosen = [row for row in scored if row in best]  # back in the order of the passages
    return " ".join(f"{sentence.rstrip('.')} [{number}]." for _, number, sentence in chosen)


def chat(text: str) -> str:
    """Any other prompt: its most telling sentences."""
    return _best(text, text, MAX_CHAT_SENTENCES) or "There is nothing to answer."


def telling_sentence(text: str) -> str:
    """The one sentence that says most."""
    return _best(text, text, 1)


def _best(text: str, about: str, count: int) -> str:
    """The `count` sentences that say most about something, in their own order."""
    subject = set(telling_words(about))
    found = [sentence for sentence in sentences(text) if not _PLEASANTRY.match(sentence)]
    ranked = sorted(range(len(found)), key=lambda place: (-_weight(found[place], subject), place))
    return " ".join(_ended(found[place]) for place in sorted(ranked[:count]))


def _weight(sentence: str, subject: set[str]) -> float:
    telling = set(telling_words(sentence))
    weight = min(len(telling), 12) + 1.5 * len(telling & subject)
    weight += 2.0 if any(letter.isdigit() for letter in sentence) else 0.0
    weight += 2.0 if sentence.endswith("?") else 0.0
    weight += 1.0 if topic_of(sentence) else 0.0
    return weight / (1.0 + len(words(sentence)) / 40)


def _overlap(wanted: set[str], text: str) -> float:
    return sum(1.0 + 0.1 * len(word) for word in wanted & {stem(word) for word in words(text)})


def _within(parts: list[str], ending: str, max_words: int) -> str:
    """Parts in their order while words are left; the ending, which says what to do, is never dropped."""
    left = max_words - len(ending.split())
    kept = []
    for part in parts:
        cut = part.split()[: max(left, 0)]
        if len(cut) < len(part.split()):
            cut = [*cut[:-1], "…"] if len(cut) > 5 else []
        left -= len(cut)
        if cut:
            kept.append(" ".join(cut))
    return " ".join([*kept, " ".join(ending.split()[:max_words])])


def _next_step(ticket: Ticket) -> str:
    spoken = [turn for turn in ticket.said_by("customer", "agent") if turn.text]
    if not spoken:
        return "Nothing has been said yet."
    last = spoken[-1]
    if last.kind == "agent":
        return f"Next: wait for {ticket.customer}, who has not answered {last.name} since {_day(last)}."
    question = next((part for part in sentences(last.text) if part.endswith("?") and len(part.split()) < 25), None)
    if question is None:
        return f"Next: reply to {ticket.customer}, who wrote last, on {_day(last)}."
    return f"Next: answer {ticket.customer}'s question “{question}”"


def _greeting(customer: str, tone: str) -> str:
    first = customer.split()[0] if customer else "there"
    match tone:
        case "formal":
            return f"Dear {customer or 'customer'},"
        case "brief":
            return f"Hi {first},"
        case _:
            return f"Hello {first},"


def _taking_up(subject: str, last: str, tone: str) -> str:
    match tone:
        case "formal":
            return f"Thank you for your message concerning “{subject}”. You wrote: “{last}”"
        case "brief":
            return f"On “{subject}”:"
        case _:
            return f"thank you for writing to us about “{subject}”. I have read what you say: “{last}”"


def _standing(tone: str) -> str:
    return "The present state of the matter is as follows." if tone == "formal" else "This is where we are:"


def _closing_question(ticket: Ticket, tone: str) -> str:
    spoken = " ".join(turn.text for turn in ticket.said_by("customer", "agent")) + ticket.subject
    if not any(letter.isdigit() for letter in spoken):
        return "Could you please send me the number of your order or invoice, so that I can look it up?"
    if tone == "formal":
        return "Please let me know whether anything in this has changed since your last message."
    return "Has anything changed since you wrote, or may I go ahead like this?"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…", "”", '"', ")")) else f"{sentence.rstrip(',;:')}."


def _day(turn: Turn) -> str:
    try:
        at = datetime.fromisoformat(turn.at.replace("Z", "+00:00"))
    except ValueError:
        return turn.at
    return f"{at.day} {at:%B}"
