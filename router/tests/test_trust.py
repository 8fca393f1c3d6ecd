"""Whose word about a caller is believed: nobody's by default, and a trusted proxy's no further than it can know."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..headers import forwarded_of
from ..trust import Trust
from .conftest import Front
from .serving import routes_file, serving
from .wire import OK, always, upstream

TRUST = Trust(["10.0.0.0/8", "192.0.2.1", "fd00::/8"])


def scope(peer: str, *headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"scheme": "http", "client": (peer, 5), "headers": [(b"host", b"inside"), *headers]}


def believed(peer: str, *chain: bytes) -> tuple[str, bytes]:
    """The caller's address, and what the upstream is told."""
    request = scope(peer, *((b"x-forwarded-for", each) for each in chain))
    TRUST.believe(request)
    client = request["client"]
    assert isinstance(client, tuple)
    return client[0], dict(forwarded_of(request))[b"x-forwarded-for"]


@pytest.mark.parametrize(
    ("peer", "chain", "caller", "told"),
    [
        ("203.0.113.9", [b"1.1.1.1"], "203.0.113.9", b"203.0.113.9"),
        ("10.0.0.7", [], "10.0.0.7", b"10.0.0.7"),
        ("10.0.0.7", [b"203.0.113.9"], "203.0.113.9", b"203.0.113.9, 10.0.0.7"),
        ("10.0.0.7", [b"6.6.6.6, 203.0.113.9"], "203.0.113.9", b"6.6.6.6, 203.0.113.9, 10.0.0.7"),
        ("10.0.0.7", [b"203.0.113.9", b"192.0.2.1"], "203.0.113.9", b"203.0.113.9, 192.0.2.1, 10.0.0.7"),
        ("10.0.0.7", [b"10.0.0.8,10.0.0.9"], "10.0.0.8", b"10.0.0.8, 10.0.0.9, 10.0.0.7"),
        ("10.0.0.7", [b"203.0.113.9, unknown"], "10.0.0.7", b"203.0.113.9, unknown, 10.0.0.7"),
        ("10.0.0.7", [b"203.0.113.9:4711"], "203.0.113.9", b"203.0.113.9:4711, 10.0.0.7"),
        ("fd00::1", [b"[2001:db8::1]:443"], "2001:db8::1", b"[2001:db8::1]:443, fd00::1"),
        ("::ffff:10.0.0.7", [b"203.0.113.9"], "203.0.113.9", b"203.0.113.9, ::ffff:10.0.0.7"),
        ("", [b"203.0.113.9"], "", b""),
        ("10.0.0.7", [b"\xff\xfe", b" , ,"], "10.0.0.7", b"\xff\xfe, 10.0.0.7"),
    ],
)
def test_the_caller_is_the_nearest_address_that_no_trusted_proxy_has(
    peer: str, chain: list[bytes], caller: str, told: bytes
) -> None:
    assert believed(peer, *chain) == (caller, told)


def test_a_trusted_proxys_scheme_and_host_are_believed_the_last_of_several() -> None:
    request = scope("10.0.0.7", (b"x-forwarded-proto", b"http, https"), (b"x-forwarded-host", b"shop.example"))
    TRUST.believe(request)

    assert request["scheme"] == "https"
    assert dict(forwarded_of(request))[b"x-forwarded-host"] == b"shop.example"


@pytest.mark.parametrize("word", [b"gopher", b"", b"HTTPS\t"])
def test_a_scheme_that_is_none_is_not_believed(word: bytes) -> None:
    request = scope("10.0.0.7", (b"x-forwarded-proto", word))
    TRUST.believe(request)

    assert request["scheme"] == "http"


@pytest.mark.anyio
async def test_by_default_nobody_is_believed(front: Front) -> None:
    router, legacy = await front(always(OK))

    await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n")

    assert legacy.asked[0].values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert legacy.asked[0].values(b"x-forwarded-proto") == [b"http"]


@pytest.mark.anyio
async def test_a_trusted_proxys_word_reaches_the_upstream_once(front: Front) -> None:
    router, legacy = await front(always(OK), rest='[server]\ntrusted_proxies = ["127.0.0.0/8"]')

    await router.ask(
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: shop.example\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Port: 1\r\n\r\n"
    )

    said = [pair for pair in legacy.asked[0].headers if b"forwarded" in pair[0].lower()]
    assert said == [
        (b"x-forwarded-for", b"203.0.113.9, 127.0.0.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"shop.example"),
    ]


@pytest.mark.anyio
async def test_a_split_by_address_goes_by_the_caller_behind_the_proxy(tmp_path: Path) -> None:
    def asked_from(address: bytes) -> bytes:
        return b"GET /x HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: %b\r\n\r\n" % address

    async with upstream(always(OK)) as legacy, upstream(always(OK)) as service:
        text = (
            f'[server]\ntrusted_proxies = ["127.0.0.1"]\n'
            f'[upstreams]\nlegacy = "{legacy.url}"\nservice = "{service.url}"\n'
            f'[[routes]]\nname = "x"\npath = "/x"\nstage = "split"\nsplit = {{ percent = 50, by = "address" }}\n'
        )
        async with serving(routes_file(tmp_path, text)) as router:
            for number in range(40):
                await router.ask(asked_from(b"203.0.113.%d" % number))
        sides = [{each.values(b"x-forwarded-for")[0] for each in side.asked} for side in (legacy, service)]

        assert len(sides[1]) > 5
        assert not sides[0] & sides[1]


@pytest.mark.parametrize(
    ("peer", "chain", "said"),
    [
        ("203.0.113.9", b"6.6.6.6", b'for=203.0.113.9;host="inside";proto=http'),
        ("2001:db8::1", b"", b'for="[2001:db8::1]";host="inside";proto=http'),
        ("10.0.0.7", b"1.1.1.1, x y", b'for=1.1.1.1;host="inside";proto=http, for=unknown, for=10.0.0.7'),
        ("", b"", b'for=unknown;host="inside";proto=http'),
    ],
)
def test_forwarded_says_the_same_in_one_header(peer: str, chain: bytes, said: bytes) -> None:
    request = scope(peer, (b"x-forwarded-for", chain), (b"forwarded", b"for=6.6.6.6"))

    Trust(["10.0.0.0/8"], says_forwarded=True).believe(request)

    assert dict(forwarded_of(request))[b"forwarded"] == said


@pytest.mark.anyio
async def test_forwarded_reaches_the_upstream_if_it_is_switched_on(front: Front) -> None:
    router, legacy = await front(always(OK), rest="[server]\nforwarded = true")

    await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=6.6.6.6\r\n\r\n")

    assert legacy.asked[0].values(b"forwarded") == [b'for=127.0.0.1;host="h";proto=http']
