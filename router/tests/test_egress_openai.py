"""The official client of the provider, with its own retries, works through the egress as it does without."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from .evidence import skip_without_sqlalchemy
from .wire import Talk

skip_without_sqlalchemy()
openai = pytest.importorskip("openai", reason="the official client is tried where it is installed")

from .egressing import ONE, PRIMARY, SHADOW, STREAM, between, chunk, plain  # noqa: E402

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "Why does it flicker?"}]


def told(role: str) -> dict[str, str]:
    return {"traceparent": f"00-{ONE}-00000000000000ab-01", "baggage": role}


async def provider(talk: Talk) -> None:
    """Busy at first, then a stream of words."""
    await talk.request()
    await talk.send(plain(b'{"error": {"message": "busy"}}', b"429 Too Many Requests\r\nretry-after-ms: 10"))
    await talk.request()
    await talk.send(STREAM)
    for word in ("It ", "is ", "loose."):
        delta = {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        said = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "large"} | delta
        await talk.send(chunk(b"data: " + json.dumps(said).encode() + b"\n\n"))
    await talk.send(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def streamed(port: int, role: str, words: Any = MESSAGES) -> str:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", max_retries=2) as client:
        stream = client.chat.completions.create(
            model="large", messages=words, stream=True, extra_headers=told(role), timeout=10
        )
        return "".join(each.choices[0].delta.content or "" for each in stream)


async def test_a_retried_stream_is_replayed_with_its_retry(tmp_path: Path) -> None:
    async with between(provider, tmp_path) as egress:
        recorded = await asyncio.to_thread(streamed, egress.port, PRIMARY)
        await egress.written()
        replayed = await asyncio.to_thread(streamed, egress.port, SHADOW)

        assert recorded == replayed == "It is loose."
        assert len(egress.provider.asked) == 2
        assert [each.status for each in await egress.effects(ONE, "shadow")] == [429, 200]


async def test_a_call_that_is_not_on_the_tape_is_not_tried_again(tmp_path: Path) -> None:
    async with between(provider, tmp_path) as egress:
        await asyncio.to_thread(streamed, egress.port, PRIMARY)

        other = [{"role": "user", "content": "Why?"}]
        with pytest.raises(openai.InternalServerError, match=r"differs at /messages/0/content"):
            await asyncio.to_thread(streamed, egress.port, SHADOW, other)

        assert len(await egress.effects(ONE, "shadow")) == 1
        assert len(egress.provider.asked) == 2
