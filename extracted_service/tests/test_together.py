"""Who asks the same at once shares an answer, which is never older than the question."""

import asyncio

import pytest

from ..together import Together

pytestmark = pytest.mark.anyio


class Counter:
    """Answers with how much has happened by then, once it is let."""

    def __init__(self) -> None:
        self.has_happened = 0
        self.asked: list[str] = []
        self.may_go_on = asyncio.Event()

    async def answer(self, question: str) -> int:
        self.asked.append(question)
        found = self.has_happened
        await self.may_go_on.wait()
        return found


async def moments() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_crowd_is_answered_once() -> None:
    counter = Counter()
    together = Together(counter.answer)
    counter.may_go_on.set()

    answers = await asyncio.gather(*(together.ask("a") for _ in range(100)))

    assert (answers, counter.asked) == ([0] * 100, ["a"])


async def test_who_comes_later_is_told_what_has_happened_since() -> None:
    counter = Counter()
    together = Together(counter.answer)
    first = asyncio.create_task(together.ask("a"))
    await moments()

    counter.has_happened = 1
    later = [asyncio.create_task(together.ask("a")) for _ in range(2)]
    await moments()
    counter.may_go_on.set()

    assert [await first, *(await asyncio.gather(*later))] == [0, 1, 1]
    assert counter.asked == ["a", "a"]


async def test_another_question_waits_for_nobody() -> None:
    counter = Counter()
    together = Together(counter.answer)

    asking = [asyncio.create_task(together.ask(question)) for question in ("a", "b")]
    await moments()

    assert counter.asked == ["a", "b"]
    counter.may_go_on.set()
    await asyncio.gather(*asking)


async def test_who_leaves_takes_nobody_elses_answer_along() -> None:
    counter = Counter()
    together = Together(counter.answer)
    leaving, staying = (asyncio.create_task(together.ask("a")) for _ in range(2))
    await moments()

    leaving.cancel()
    counter.may_go_on.set()

    assert await staying == 0
    assert leaving.cancelled()


async def test_a_failure_is_everybodys_and_the_next_question_is_asked_anew() -> None:
    failures = [OSError("away")]

    async def answer(_question: str) -> int:
        if failures:
            raise failures.pop()
        return 7

    together = Together(answer)
    told = await asyncio.gather(together.ask("a"), together.ask("a"), return_exceptions=True)

    assert [type(each) for each in told] == [OSError, OSError]
    assert await together.ask("a") == 7
