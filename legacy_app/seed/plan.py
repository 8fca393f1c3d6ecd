"""Turns an organisation's scenarios into as many different tickets as wanted; pure, the same every time."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from legacy_app.seed.content import PLACEHOLDER, Agent, Content, Person, Scenario, Turn

# Every date lies before this one.
TODAY = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
DAYS_BACK = 60


@dataclass(frozen=True)
class PlannedComment:
    author: str | None  # a username; None: the customer
    body: str
    internal: bool
    created_at: datetime


@dataclass(frozen=True)
class PlannedTicket:
    customer: str  # an e-mail address
    assignee: str | None  # a username
    subject: str
    body: str
    status: str
    priority: str
    category: str
    created_at: datetime
    comments: tuple[PlannedComment, ...]

    @property
    def updated_at(self) -> datetime:
        return self.comments[-1].created_at if self.comments else self.created_at


def tickets(content: Content, count: int) -> list[PlannedTicket]:
    """Oldest first. Each scenario is used before one is used again, with another customer and other details."""
    random = Random(content.slug)  # noqa: S311  (nothing secret: it must only be the same every time)
    scenarios = [content.scenarios[number % len(content.scenarios)] for number in range(count)]
    random.shuffle(scenarios)
    customers = _dealt(content.customers, count, random)
    step = timedelta(days=DAYS_BACK) / count
    return [
        _ticket(scenario, customer, TODAY - step * (count - number), content, random)
        for number, (scenario, customer) in enumerate(zip(scenarios, customers, strict=True))
    ]


def article_date(number: int) -> datetime:
    """Articles were written before the first ticket came in."""
    return TODAY - timedelta(days=DAYS_BACK + 10 + 3 * number, hours=number % 7)


def _dealt(customers, count, random) -> list[Person]:
    """Everybody gets about as many tickets as everybody else."""
    hands = [customers[number % len(customers)] for number in range(count)]
    random.shuffle(hands)
    return hands


def _ticket(scenario, customer, about, content, random) -> PlannedTicket:
    scenario = _filled(scenario, content.fill, random)
    created_at = about + timedelta(minutes=random.randrange(0, 600), seconds=random.randrange(60))
    created_at = min(created_at, TODAY - timedelta(hours=1, minutes=random.randrange(60)))
    created_at = created_at.replace(microsecond=0)
    age_days = (TODAY - created_at) / timedelta(days=1)
    status = _status(age_days, random)
    agents = [agent for agent in content.agents if agent.role != "viewer"]
    assignee = random.choice(agents) if status != "open" or random.random() < 0.6 else None
    turns = _turns_so_far(scenario, status, assignee, random)
    triaged = status in ("solved", "closed") or random.random() < 0.5
    return PlannedTicket(
        customer=customer.email,
        assignee=assignee and assignee.username,
        subject=scenario.subject,
        body=scenario.body,
        status=status,
        priority=scenario.priority if triaged else "normal",
        category=scenario.category if triaged else "",
        created_at=created_at,
        comments=tuple(_comments(turns, created_at, assignee or agents[0], random)),
    )


def _filled(scenario: Scenario, fill, random) -> Scenario:
    """The same order, amount and product throughout one ticket."""
    chosen = {name: random.choice(values) for name, values in sorted(fill.items())}

    def fill_in(text):
        return PLACEHOLDER.sub(lambda found: chosen[found[1]], text)

    turns = tuple(replace(turn, body=fill_in(turn.body)) for turn in scenario.conversation)
    return replace(scenario, subject=fill_in(scenario.subject), body=fill_in(scenario.body), conversation=turns)


def _status(age_days: float, random) -> str:
    """Old tickets are mostly done, new ones mostly not."""
    if age_days < 6:
        weights = [70, 22, 8, 0]
    elif age_days < 20:
        weights = [25, 30, 40, 5]
    else:
        weights = [4, 8, 38, 50]
    return random.choices(["open", "pending", "solved", "closed"], weights)[0]


def _turns_so_far(scenario, status, assignee: Agent | None, random) -> tuple[Turn, ...]:
    """Whoever is done has the whole conversation; nobody's ticket has no answer yet."""
    if status in ("solved", "closed"):
        return scenario.conversation
    if assignee is None:
        return ()
    turns = len(scenario.conversation)
    return scenario.conversation[: random.randint(0 if status == "open" else min(1, turns), turns)]


def _comments(turns, created_at, agent, random):
    at = created_at
    # What is left until today is shared out, so that nothing is said in the future.
    longest = (TODAY - created_at) / (len(turns) + 1)
    for turn in turns:
        at += min(timedelta(minutes=random.randint(8, 1600)), longest)
        author = None if turn.speaker == "customer" else agent.username
        yield PlannedComment(author, turn.body, turn.speaker == "note", at.replace(microsecond=0))
