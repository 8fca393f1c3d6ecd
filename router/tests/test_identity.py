"""The identity exchange: what the monolith is asked, what of its answer goes where, and that nothing fails open."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from .serving import Serving, routes_file, serving
from .wire import OK, Asked, Script, Talk, Upstream, always, caller, once, until, upstream

pytestmark = pytest.mark.anyio

ROUTES = """
[upstreams]
legacy = "{legacy}"
monolith = "{identity}"
assistant = {{ url = "{assistant}", first_byte_seconds = 5 }}
public = {{ url = "{assistant}", identity = false }}
[identity]
from = "monolith"
path = "/internal/identity"
secret_env = "SHARED"
timeout_seconds = {timeout}
[[routes]]
name = "ask"
path = "/ask"
to = "assistant"
stage = "extracted"
[[routes]]
name = "hole"
path = "/internal/{{rest:path}}"
methods = ["PUT"]
to = "assistant"
stage = "extracted"
[[routes]]
name = "public"
path = "/public"
to = "public"
stage = "extracted"
"""
TOKEN = "head.pay-load_.sig"
ASK = (
    b"POST /ask?q=1 HTTP/1.1\r\nHost: shop.example\r\nCookie: sessionid=s; csrftoken=c\r\nAuthorization: Bearer a\r\n"
    b"Origin: https://shop.example\r\nReferer: https://shop.example/x\r\nX-CSRFToken: c\r\nX-Other: 1\r\n"
    b"X-Internal-Identity: mine\r\nX_Internal_Identity: mine\r\nX-Original-Method: GET\r\nX-Identity-Secret: guess\r\n"
    b"X-Identity-Audience: other\r\nContent-Length: 3\r\n\r\nabc"
)


def identity_answer(status: int, body: str, lines: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode("latin-1")


GRANTED = identity_answer(200, json.dumps({"token": TOKEN, "expires_in": 60}))


class Stage:
    """All four processes."""

    def __init__(self, router: Serving, legacy: Upstream, identity: Upstream, assistant: Upstream) -> None:
        self.router = router
        self.legacy = legacy
        self.identity = identity
        self.assistant = assistant


Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def start(identity: Script, assistant: Script | None = None, patience: float = 60) -> Stage:
            scripts = (always(OK), identity, assistant or always(OK))
            servers = [await stack.enter_async_context(upstream(script)) for script in scripts]
            urls = dict(zip(("legacy", "identity", "assistant"), (each.url for each in servers), strict=True))
            text = ROUTES.format(**urls, timeout=patience)
            router = await stack.enter_async_context(serving(routes_file(tmp_path, text), {"SHARED": "the secret"}))
            return Stage(router, *servers)

        yield start


async def test_the_monolith_is_asked_with_the_callers_credentials_and_the_routers_own_words(stage: Open) -> None:
    all_ = await stage(always(GRANTED))

    await all_.router.ask(ASK)

    (asked,) = all_.identity.asked
    assert asked.line == b"POST /internal/identity HTTP/1.1"
    assert asked.values(b"content-length") == [b"0"]
    assert {name: asked.values(name) for name, _ in asked.headers if name != b"traceparent"} == {
        b"host": [b"shop.example"],
        b"cookie": [b"sessionid=s; csrftoken=c"],
        b"authorization": [b"Bearer a"],
        b"origin": [b"https://shop.example"],
        b"referer": [b"https://shop.example/x"],
        b"x-csrftoken": [b"c"],
        b"x-identity-secret": [b"the secret"],
        b"x-original-method": [b"POST"],
        b"x-identity-audience": [b"assistant"],
        b"x-forwarded-proto": [b"http"],
        b"x-forwarded-host": [b"shop.example"],
        b"x-forwarded-for": [b"127.0.0.1"],
        b"content-length": [b"0"],
        b"via": [b"1.1 strangler"],
    }


async def test_the_exchange_belongs_to_the_trace_of_its_request(stage: Open) -> None:
    all_ = await stage(always(GRANTED))

    await all_.router.ask(ASK)

    assert trace_of(all_.identity.asked[0]) == trace_of(all_.assistant.asked[0])


async def test_the_service_gets_the_token_once_and_the_whole_request(stage: Open) -> None:
    all_ = await stage(always(GRANTED))

    answer = await all_.router.ask(ASK)

    (asked,) = all_.assistant.asked
    assert (answer.status, answer.body) == (200, b"ok")
    assert asked.line == b"POST /ask?q=1 HTTP/1.1"
    assert asked.body == b"abc"
    assert asked.values(b"x-internal-identity") == [TOKEN.encode()]
    assert b"mine" not in asked.head
    assert b"the secret" not in asked.head


async def test_cookies_that_the_monolith_set_reach_the_caller_line_by_line(stage: Open) -> None:
    cookies = "Set-Cookie: sessionid=new; HttpOnly\r\nX-Hidden: 1\r\nSet-Cookie: csrftoken=new\r\n"
    all_ = await stage(
        always(identity_answer(200, json.dumps({"token": TOKEN}), cookies)),
        always(b"HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\nContent-Length: 2\r\n\r\nok"),
    )

    answer = await all_.router.ask(ASK)

    assert answer.values(b"set-cookie") == [b"own=1", b"sessionid=new; HttpOnly", b"csrftoken=new"]
    assert answer.values(b"x-hidden") == []


async def test_cookies_that_the_monolith_set_are_there_before_a_stream_begins(stage: Open) -> None:
    async def streaming(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await talk.ended()

    all_ = await stage(
        always(identity_answer(200, json.dumps({"token": TOKEN}), "Set-Cookie: sessionid=new\r\n")), streaming
    )
    async with caller(all_.router.port) as me:
        await me.send(ASK)

        assert (await me.head()).values(b"set-cookie") == [b"sessionid=new"]


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("method", [b"POST", b"GET", b"HEAD"])
async def test_a_refusal_reaches_the_caller_as_it_is_and_the_service_sees_nothing(
    stage: Open, status: int, method: bytes
) -> None:
    body = '{"detail": "No.", "code": "csrf"}'
    all_ = await stage(
        always(
            identity_answer(status, body, 'Set-Cookie: sessionid=""; Max-Age=0\r\nSet-Cookie: b=2\r\nVary: Cookie\r\n')
        )
    )

    answer = await all_.router.ask(method + ASK[4:])

    assert answer.status == status
    assert answer.body == (b"" if method == b"HEAD" else body.encode())
    assert answer.values(b"set-cookie") == [b'sessionid=""; Max-Age=0', b"b=2"]
    assert answer.values(b"vary") == [b"Cookie"]
    assert all_.assistant.connections == 0


async def test_a_refusal_reaches_a_caller_who_is_still_sending(stage: Open) -> None:
    all_ = await stage(always(identity_answer(401, "no")))
    async with caller(all_.router.port) as me:
        await me.send(b"POST /ask HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 100_000)

        assert (await me.answer(b"POST")).status == 401


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"nonsense\r\n\r\n",
        identity_answer(500, "oops"),
        identity_answer(404, "not found"),
        identity_answer(302, "", "Location: /login/\r\n"),
        identity_answer(204, ""),
        identity_answer(200, ""),
        identity_answer(200, "null"),
        identity_answer(200, "[]"),
        identity_answer(200, '"token"'),
        identity_answer(200, "{}"),
        identity_answer(200, '{"token": null}'),
        identity_answer(200, '{"token": 7}'),
        identity_answer(200, '{"token": ""}'),
        identity_answer(200, '{"token": "."}'),
        identity_answer(200, '{"token": "a\\r\\nX-Evil: 1"}'),
        identity_answer(200, '{"token": "a b"}'),
        identity_answer(200, '{"token": "\\u00e9"}'),
        identity_answer(200, "\xff\xfe"),
        identity_answer(200, "[" * 5000),
        identity_answer(200, "a" * 70_000),
    ],
)
async def test_any_other_answer_of_the_monolith_is_a_503_and_the_service_sees_nothing(
    stage: Open, answer: bytes
) -> None:
    all_ = await stage(once(answer))

    got = await all_.router.ask(ASK)

    assert (got.status, json.loads(got.body)["code"]) == (503, "identity_unavailable")
    assert got.values(b"retry-after") == [b"1"]
    assert all_.assistant.connections == 0


async def test_a_monolith_that_is_too_slow_is_a_503_and_loses_the_connection(stage: Open) -> None:
    async def dripping(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await talk.ended()

    async def silent(talk: Talk) -> None:
        await talk.ended()

    for script in (silent, dripping):
        all_ = await stage(script, patience=0.2)

        got = await all_.router.ask(ASK)

        assert got.status == 503
        assert all_.assistant.connections == 0
        await until(lambda open_=all_.identity: not open_.open)  # type: ignore[misc]


async def test_a_monolith_that_nobody_serves_is_a_503(tmp_path: Path) -> None:
    async with upstream(always(OK)) as gone:
        pass
    async with upstream(always(OK)) as assistant:
        text = ROUTES.format(legacy=gone.url, identity=gone.url, assistant=assistant.url, timeout=60)
        async with serving(routes_file(tmp_path, text), {"SHARED": "s"}) as router:
            assert (await router.ask(ASK)).status == 503
            assert assistant.connections == 0


async def test_a_caller_who_leaves_while_the_monolith_is_asked_ends_the_asking(stage: Open) -> None:
    async def silent(talk: Talk) -> None:
        await talk.ended()

    all_ = await stage(silent)
    async with caller(all_.router.port) as me:
        await me.send(ASK)
        await until(lambda: all_.identity.open)
        me.leave()

    await until(lambda: not all_.identity.open and not all_.router.state.tasks)


@pytest.mark.parametrize(
    "target",
    [
        b"/internal/identity",
        b"/internal/identity?x=1",
        b"/internal/%69dentity",
        b"/internal%2Fidentity",
        b"/%69%6e%74%65%72%6e%61%6c/identity?",
        b"http://h/internal/identity",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT"])
async def test_callers_never_reach_the_exchange(stage: Open, target: bytes, method: bytes) -> None:
    all_ = await stage(always(GRANTED))

    answer = await all_.router.ask(method + b" " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")

    assert answer.status == 404
    assert all_.legacy.connections + all_.identity.connections + all_.assistant.connections == 0


async def test_paths_beside_the_exchange_are_ordinary(stage: Open) -> None:
    all_ = await stage(always(GRANTED))

    assert (await all_.router.ask(b"GET /internal/identity/ HTTP/1.1\r\nHost: h\r\n\r\n")).status == 200


@pytest.mark.parametrize("target", [b"/", b"/public"])
async def test_legacy_and_upstreams_that_want_none_get_no_identity(stage: Open, target: bytes) -> None:
    all_ = await stage(always(GRANTED))

    await all_.router.ask(ASK.replace(b"/ask?q=1", target))

    (asked,) = all_.legacy.asked + all_.assistant.asked
    assert all_.identity.connections == 0
    assert asked.values(b"x-internal-identity") == []
    assert asked.values(b"cookie") == [b"sessionid=s; csrftoken=c"]


async def test_every_request_asks_anew(stage: Open) -> None:
    all_ = await stage(always(GRANTED))

    for _ in range(3):
        await all_.router.ask(ASK)

    assert len(all_.identity.asked) == 3
    assert all_.identity.connections == 1


def trace_of(asked: Asked) -> bytes:
    return asked.values(b"traceparent")[0].split(b"-")[1]
