"""The official client reads what the simulated provider writes."""

from typing import Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from .conftest import KEY, RunningProvider

pytestmark = pytest.mark.anyio
HELLO: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": "The lamp of order 1234 is broken."},
]


class Triage(BaseModel):
    category: str
    confidence: float
    tags: list[str]


def test_a_plain_answer_has_text_usage_and_a_finish_reason(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="helpdesk-small", messages=HELLO)

    assert answer.choices[0].message.content == "The lamp of order 1234 is broken."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_has_role_content_finish_and_usage_in_this_order(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="helpdesk-small",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)

    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == (
        "The lamp of order 1234 is broken."
    )
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(chunks) - 3


def test_without_include_usage_no_chunk_speaks_of_usage(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="helpdesk-small", messages=HELLO, stream=True))

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_the_async_client_reads_the_same(provider: RunningProvider) -> None:
    async with openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key=KEY, max_retries=0) as client:
        plain = await client.chat.completions.create(model="helpdesk-small", messages=HELLO)
        stream = await client.chat.completions.create(model="helpdesk-small", messages=HELLO, stream=True)
        streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert streamed == plain.choices[0].message.content


def test_max_tokens_cuts_the_answer_and_says_so(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="helpdesk-small", messages=HELLO, max_tokens=3)

    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "The lamp of"


def test_structured_output_is_valid_for_a_pydantic_model(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="helpdesk-small", messages=HELLO, response_format=Triage)

    assert isinstance(answer.choices[0].message.parsed, Triage)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_come_in_both_encodings_and_the_asked_size(
    client: openai.OpenAI, encoding: Literal["float", "base64"]
) -> None:
    answer = client.embeddings.create(
        model="helpdesk-embed",
        input=["a lamp", "a parcel"],
        dimensions=64,
        encoding_format=encoding,
    )

    assert [row.index for row in answer.data] == [0, 1]
    if encoding == "float":
        assert [len(row.embedding) for row in answer.data] == [64, 64]
        assert sum(number**2 for number in answer.data[0].embedding) == pytest.approx(1.0)


def test_the_clients_own_base64_default_gives_the_same_numbers(client: openai.OpenAI) -> None:
    plain = client.embeddings.create(model="helpdesk-embed", input="a lamp", encoding_format="float")

    default = client.embeddings.create(model="helpdesk-embed", input="a lamp").data[0].embedding

    assert default == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert len(default) == 256


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["helpdesk-small", "helpdesk-embed"]


def test_a_wrong_key_is_401(provider: RunningProvider) -> None:
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="other", max_retries=0)

    with client, pytest.raises(openai.AuthenticationError) as refused:
        client.chat.completions.create(model="helpdesk-small", messages=HELLO)

    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "gpt-unknown", "messages": HELLO}, 404, "model_not_found"),
        ({"model": "helpdesk-small"}, 400, "missing_required_parameter"),
        (
            {"model": "helpdesk-small", "messages": [{"role": "user", "content": "word " * 20_000}]},
            400,
            "context_length_exceeded",
        ),
        ({"model": "helpdesk-small", "messages": [{"role": "nobody", "content": ""}]}, 400, None),
        ([], 400, None),
    ],
)
def test_a_request_the_provider_cannot_take_is_refused_in_openais_shape(
    provider: RunningProvider, body: object, status: int, code: str | None
) -> None:
    answer = provider.control.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"]


def test_an_unknown_url_is_404(provider: RunningProvider) -> None:
    answer = provider.control.post("/v1/nothing", headers={"Authorization": f"Bearer {KEY}"})

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"
