"""A provider that says what a test tells it to say."""

import json

import httpx
import pytest
import respx

BASE_URL = "http://provider.test/v1"
USAGE = {"prompt_tokens": 812, "completion_tokens": 64}


@pytest.fixture
def provider(settings):
    """Routes by name: `chat` and `embeddings`; unanswered calls are an error."""
    settings.LLM_BASE_URL = BASE_URL
    settings.LLM_TIMEOUT_SECONDS = 5
    with respx.mock(base_url=BASE_URL, assert_all_called=False) as router:
        router.post("/chat/completions", name="chat").mock(return_value=completed("All is well."))
        router.post("/embeddings", name="embeddings").mock(side_effect=embedded)
        yield router


def completed(text, finish_reason="stop", **changes):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    answer = {"model": "helpdesk-small-2", "choices": [choice], "usage": USAGE} | changes
    return httpx.Response(200, content=json.dumps(answer))


def embedded(request):
    """Every text means its own first letter; the answers come in reverse order."""
    texts = json.loads(request.content)["input"]
    data = [{"index": index, "embedding": meaning(text)} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": len(texts)}
    return httpx.Response(200, json={"model": "helpdesk-embed-2", "data": data[::-1], "usage": usage})


def meaning(text):
    letter = ord(text[0].lower()) % 256
    return [1.0 if index == letter else 0.0 for index in range(256)]


def chunk(text=None, finish_reason=None, **changes):
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return data({"model": "helpdesk-small-2", "choices": [choice]} | changes)


def data(value):
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


ROLE = chunk("")
END = chunk(finish_reason="stop")
USAGE_CHUNK = data({"model": "helpdesk-small-2", "choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"
WELL = [ROLE, chunk("Hello"), chunk(" Ida"), END, USAGE_CHUNK, DONE]


def streamed(*parts, then=None):
    """A streamed answer of these parts, in the end broken off by the exception `then`."""

    def body():
        yield from parts
        if then is not None:
            raise then

    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=body())


def body_sent(route):
    return json.loads(route.calls.last.request.content)
