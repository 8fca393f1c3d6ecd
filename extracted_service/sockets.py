"""`WS /ws/assistant`: a conversation with the assistant. Tokens stream, a question can be cancelled, all is kept.

Who may speak is settled before the handshake: a refusal is the HTTP answer that the other endpoints give. From then
on one coroutine reads what the client sends, also while an answer streams, so that it notices at once when the client
cancels or leaves; then the provider is left too. See `frames.py` for what is said.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing, suppress
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from . import chats, conversations, frames, prompts
from .answers import refused
from .completions import Finish
from .conversations import CANCELLED, COMPLETE, FAILED, Conversation
from .documents import Usage
from .errors import CallerLeft, NotFound, Refusal, ServerError
from .forms import filled_by_query, whole_number
from .frames import Ask, Cancel, FromServer, Problem
from .identity import Caller
from .service import Service, caller_of, service_of
from .streams import SLOWEST_READER_SECONDS
from .tickets import LARGEST_ID, organisation_name, user_name

TEMPERATURE = 0.7
MAX_TOKENS = 600
PROMPT_TURNS = 10  # so many questions and answers the model is told again
HISTORY_MESSAGES = 100  # so many the client is told at the start

TOO_LARGE = 1009, f"A frame may have {frames.LARGEST_FRAME_BYTES} bytes."
SERVER_ERROR = 1011, ServerError.detail
IDENTITY_TOO_OLD = 4401, "Who you are was checked too long ago: connect again."
IDLE = 4408, "Nothing was asked for too long: connect again when you need to."

router = APIRouter()
logger = logging.getLogger(__name__)


class ConversationForm(BaseModel):
    conversation: Annotated[int, whole_number(1, LARGEST_ID, default=0)] = 0  # 0: a new one


@router.websocket("/ws/assistant")
async def assistant(websocket: WebSocket) -> None:
    service = service_of(websocket)
    with ExitStack() as held:
        try:
            caller = caller_of(websocket)
            caller.require("assistant.use_assistant")
            form = filled_by_query(ConversationForm, websocket)
            held.enter_context(service.seats.taken(caller.user_id))
            await service.conversations.prepare()
            conversation = await service.conversations.opened(caller, form.conversation)
        except Refusal as refusal:
            await websocket.send_denial_response(refused(refusal))
            return
        await websocket.accept()
        try:
            await Talk(websocket, service, caller, conversation).held()
        except CallerLeft:
            return
        except Exception:
            logger.exception("Unexpected error in a conversation.")
            with suppress(WebSocketDisconnect, RuntimeError):  # whoever left does not hear it
                await websocket.close(*SERVER_ERROR)


class Answer:
    """One question while it is answered; `text` is what was said so far."""

    def __init__(
        self, ask_id: str, question_id: int, chunks: AsyncGenerator[str | Finish], send: Callable[..., Awaitable[None]]
    ) -> None:
        self.id = ask_id
        self.question_id = question_id
        self.text = ""
        self.task = asyncio.create_task(self._streamed(chunks, send))

    async def _streamed(self, chunks: AsyncGenerator[str | Finish], send: Callable[..., Awaitable[None]]) -> Finish:
        async with aclosing(chunks):
            async for chunk in chunks:
                if isinstance(chunk, Finish):
                    return chunk
                if chunk:
                    self.text += chunk
                    await send(frames.Delta(id=self.id, text=chunk))
        raise AssertionError("a stream without a Finish raises")

    def stop(self) -> None:
        """Once: to cancel a task again would interrupt what it still has to put away."""
        if not self.task.cancelling():
            self.task.cancel()

    def outcome(self) -> tuple[str, FromServer]:
        """How it ended: for the history, and for the client."""
        error = None if self.task.cancelled() else self.task.exception()
        match error:
            case None if self.task.cancelled():
                return CANCELLED, frames.Cancelled(id=self.id)
            case None:
                finish = self.task.result()
                usage = Usage(**asdict(finish.usage))
                return COMPLETE, frames.Done(id=self.id, finish_reason=finish.finish_reason, usage=usage)
            case CallerLeft():
                return CANCELLED, frames.Cancelled(id=self.id)
            case Refusal():
                return FAILED, Problem.of(error, self.id)
            case _:
                logger.error("Unexpected error in an answer.", exc_info=error)
                return FAILED, Problem.of(ServerError(), self.id)


class Talk:
    """One open socket: at most one answer at a time, and two clocks."""

    def __init__(self, websocket: WebSocket, service: Service, caller: Caller, conversation: Conversation) -> None:
        self._websocket = websocket
        self._service = service
        self._caller = caller
        self._conversation = conversation
        self._answer: Answer | None = None
        self._end = _now() + service.seats.lifetime_seconds
        self._idle_end = 0.0

    async def held(self) -> None:
        """Until the client leaves (CallerLeft) or its time is up."""
        await self._tell_history()
        self._heard()
        receiving = asyncio.ensure_future(self._websocket.receive())
        try:
            while (seconds := self._seconds_left()) > 0:
                waiting = {receiving, self._answer.task} if self._answer else {receiving}
                await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if self._answer and self._answer.task.done():
                    await self._send(await self._put_away(self._answer))
                if receiving.done():
                    await self._obey(receiving.result())
                    receiving = asyncio.ensure_future(self._websocket.receive())
            await self._run_out()
        finally:
            receiving.cancel()
            if self._answer:
                await self._stopped(self._answer)

    async def _tell_history(self) -> None:
        messages = await self._service.conversations.latest(self._conversation, HISTORY_MESSAGES)
        past = [frames.PastMessage.model_validate(asdict(message)) for message in messages]
        await self._send(frames.History(conversation=self._conversation.id, messages=past))

    def _heard(self) -> None:
        self._idle_end = _now() + self._service.seats.idle_seconds

    def _seconds_left(self) -> float:
        end = self._end if self._answer else min(self._end, self._idle_end)
        return end - _now()

    async def _obey(self, message: Message) -> None:
        if message["type"] == "websocket.disconnect":
            raise CallerLeft
        self._heard()
        text = message.get("text")
        if len(message.get("bytes") or (text or "").encode()) > frames.LARGEST_FRAME_BYTES:
            await self._websocket.close(*TOO_LARGE)
            raise CallerLeft
        match _read(text):
            case Ask() as ask if self._answer is None:
                await self._ask(ask)
            case Ask(id=ask_id):
                await self._send(Problem(id=ask_id, code="busy", detail="One question at a time: cancel it, or wait."))
            case Cancel(id=ask_id) if self._answer and self._answer.id == ask_id:
                self._answer.stop()
            case Cancel(id=ask_id):
                await self._send(Problem(id=ask_id, code=NotFound.code, detail="No such question is being answered."))
            case Problem() as problem:
                await self._send(problem)

    async def _ask(self, ask: Ask) -> None:
        """The database is visited before and after the answer, never while it streams."""
        service, conversation = self._service, self._conversation
        try:
            await service.allowance.check(self._caller)
        except Refusal as refusal:
            await self._send(Problem.of(refusal, ask.id))
            return
        past = await service.conversations.latest(conversation, 2 * PROMPT_TURNS)
        organisation = await organisation_name(service.database, conversation.organisation_id)
        agent = await user_name(service.database, conversation.user_id)
        question_id = await service.conversations.add_question(conversation, ask.text)
        body = chats.asked(
            service,
            prompts.chat(organisation, agent, conversations.turns(past), ask.text),
            temperature=TEMPERATURE,
            max_tokens=MAX_TOKENS,
        )
        chunks = chats.said(service, chats.call("chat", service, self._caller), body)
        self._answer = Answer(ask.id, question_id, chunks, self._send)

    async def _put_away(self, answer: Answer) -> FromServer:
        """Keep what was said; what the client is to be told about it."""
        self._answer = None
        self._heard()
        status, last = answer.outcome()
        await self._service.conversations.add_answer(self._conversation, answer.question_id, answer.text, status)
        return last

    async def _stopped(self, answer: Answer) -> FromServer:
        answer.stop()
        await asyncio.wait({answer.task})
        return await self._put_away(answer)

    async def _run_out(self) -> None:
        if self._answer:
            await self._send(await self._stopped(self._answer))
        await self._websocket.close(*(IDENTITY_TOO_OLD if _now() >= self._end else IDLE))

    async def _send(self, frame: FromServer) -> None:
        try:
            async with asyncio.timeout(SLOWEST_READER_SECONDS):
                await self._websocket.send_text(frames.written(frame))
        except (TimeoutError, WebSocketDisconnect):
            raise CallerLeft from None


def _read(text: str | None) -> Ask | Cancel | Problem:
    if text is None:
        return Problem(id=None, code="invalid", detail="Send text frames, not binary ones.")
    return frames.read(text)


def _now() -> float:
    return asyncio.get_running_loop().time()
