"""One answer for all who ask the same at once, and never one that is older than the question.

Whoever comes while the question is being answered waits for the next answer, together with everybody else who came
meanwhile: hundreds that ask in one instant cost a few answers, and one who asks alone waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Together(Generic[Question, Answer]):
    def __init__(self, answer: Callable[[Question], Awaitable[Answer]]) -> None:
        self._answer = answer
        self._answering: dict[Question, asyncio.Task[Answer]] = {}
        self._next: dict[Question, asyncio.Task[Answer]] = {}

    async def ask(self, question: Question) -> Answer:
        if question not in self._next:
            self._next[question] = asyncio.create_task(self._answered(question))
        return await asyncio.shield(self._next[question])  # who leaves takes nobody else's answer along

    async def _answered(self, question: Question) -> Answer:
        if before := self._answering.get(question):
            await asyncio.wait({before})
        task = self._answering[question] = self._next.pop(question)  # whoever asks from here on comes too late for it
        try:
            return await self._answer(question)
        finally:
            if self._answering[question] is task:
                del self._answering[question]
