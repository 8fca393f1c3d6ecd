"""Every way in which routes.toml can be wrong is told at once, with its place and its cure."""

from __future__ import annotations

import contextlib
import pickle
import re
from pathlib import Path
from typing import get_args

import pytest
from httptools import HttpParserInvalidMethodError, HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ..config import (
    Copies,
    Egress,
    Evidence,
    Identity,
    Live,
    Price,
    Route,
    Server,
    Shadow,
    Split,
    Tls,
    Upstream,
)
from ..errors import ConfigError
from ..fields import METHODS, CallerKey
from ..limits import Health, Trip
from ..reading import load, parse

MODELS: list[type[BaseModel]] = [
    Server, Upstream, Identity, Copies, Evidence, Egress, Live, Price, Route, Split, Shadow, Tls, Health, Trip,
]  # fmt: skip
LOOKS = 'must look like "http://127.0.0.1:8001", or https, or "unix:/app.sock"'
README = Path(__file__).parents[1] / "README.md"
HEAD = 'upstreams = { legacy = "http://127.0.0.1:1", assistant = "http://127.0.0.1:2" }\n'
EGRESS = '[egress]\nprovider = "http://127.0.0.1:8020"\n'
ROUTE = '[[routes]]\nname = "a"\npath = "/a"\nstage = "legacy"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_smallest_useful_file_is_right() -> None:
    config = parse(HEAD + ROUTE)

    (route,) = config.routes
    assert (route.name, route.path, route.methods, route.stage) == ("a", "/a", [], "legacy")
    assert config.upstreams["legacy"].url == "http://127.0.0.1:1"
    assert config.identity is None


def test_a_file_without_routes_leaves_everything_to_legacy() -> None:
    assert parse('upstreams = { legacy = "http://h" }').routes == ()


def test_a_route_moves_to_the_only_extracted_upstream_if_it_does_not_say() -> None:
    assert parse(HEAD + ROUTE).routes[0].to == "assistant"


def test_the_upstream_of_the_identity_exchange_is_not_one_to_move_to() -> None:
    text = HEAD.replace("}", ', monolith = "http://127.0.0.1:3" }') + ROUTE + '[identity]\nfrom = "monolith"'

    assert parse(text).routes[0].to == "assistant"


def test_the_salt_is_the_routes_name_if_it_is_left_out() -> None:
    split = 'split = { percent = 10, by = "cookie:s" }\n'
    salted = ROUTE.replace('"a"', '"b"').replace('"/a"', '"/b"') + split.replace(" }", ', salt = "x" }')

    first, second = parse(HEAD + ROUTE + split + salted).routes

    assert (first.split.salt, second.split.salt) == ("a", "x")


def test_a_split_may_stay_while_another_stage_is_in_use() -> None:
    (route,) = parse(HEAD + ROUTE + 'split = { percent = 10.25, by = "header:X-User" }').routes

    assert (route.split.percent, route.split.by) == (10.25, CallerKey("header", "X-User"))


def test_a_shadow_goes_by_what_the_split_goes_by_if_it_does_not_say() -> None:
    split = 'split = { percent = 10, by = "cookie:s" }\n'

    def by(rest: str) -> CallerKey | None:
        return parse(HEAD + ROUTE + rest).routes[0].shadow.by

    assert by(split + "shadow = {}") == CallerKey("cookie", "s")
    assert by(split + 'shadow = { by = "address" }') == CallerKey("address")
    assert by("shadow = {}") is None


def test_split_and_shadow_draw_with_salts_of_their_own() -> None:
    (route,) = parse(HEAD + ROUTE + "shadow = {}").routes

    assert route.shadow.salt not in ("", route.split.salt)


def test_a_route_without_a_way_back_lets_nothing_send_callers_to_legacy() -> None:
    extracted = HEAD + ROUTE.replace('"legacy"', '"extracted"') + 'no_way_back = "its view is deleted"\n'

    assert len(parse(extracted).routes) == 1
    assert [each.partition(": ")[0] for each in problems(extracted + "fallback = true\ntrip = {}\n")] == [
        'routes[0] "a", fallback',
        'routes[0] "a", trip',
    ]
    (problem,) = problems(extracted.replace('"extracted"', '"legacy"'))
    assert problem == (
        'routes[0] "a", stage: stage legacy needs legacy, which cannot answer: "its view is deleted". '
        "Once it can, take no_way_back out"
    )


@pytest.mark.parametrize("stage", ["shadow", "split", "reverse"])
@pytest.mark.parametrize(
    ("methods", "shadow", "is_right"),
    [
        ('["GET", "HEAD"]', "{}", True),
        ('["GET", "POST"]', "{}", False),
        ("[]", "{}", False),
        ('["GET", "POST"]', '{ effects = "none" }', True),
        ("[]", '{ effects = "tape" }', True),
        ("[]", "{ percent = 0 }", True),
    ],
)
def test_where_copies_are_made_a_route_declares_their_effects_unless_all_are_reads(
    stage: str, methods: str, shadow: str, is_right: bool
) -> None:
    route = ROUTE.replace('"legacy"', f'"{stage}"')
    split = 'split = { percent = 1, by = "address" }\n'
    text = f"{HEAD}{route}methods = {methods}\n{split}shadow = {shadow}\n{EGRESS}"

    if is_right:
        assert len(parse(text).routes) == 1
    else:
        (problem,) = problems(text)
        assert problem.startswith('routes[0] "a", shadow.effects: say what a copy causes')


@pytest.mark.parametrize("effects", ["tape", "live"])
def test_copies_whose_calls_are_to_be_caught_need_the_egress(effects: str) -> None:
    text = HEAD + ROUTE.replace("legacy", "shadow") + f'shadow = {{ effects = "{effects}" }}\n'

    (problem,) = problems(text)

    assert problem.startswith(f'routes[0] "a", shadow.effects: "{effects}" needs the egress')
    assert len(parse(text + EGRESS).routes) == 1
    assert len(parse(text.replace('stage = "shadow"', 'stage = "legacy"')).routes) == 1


def test_a_split_needs_no_shadow() -> None:
    (route,) = parse(HEAD + ROUTE.replace("legacy", "split") + 'split = { percent = 1, by = "address" }').routes

    assert route.shadow.percent == 0


def test_the_port_of_an_upstream_is_80_if_it_is_left_out() -> None:
    upstream = parse('upstreams = { legacy = "http://legacy.internal" }').upstreams["legacy"]

    assert (upstream.host, upstream.port) == ("legacy.internal", 80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 'upstreams: must name the monolith: legacy = "http://127.0.0.1:8001"'),
        ("upstreams = 3", 'upstreams: must name the monolith: legacy = "http://127.0.0.1:8001"'),
        ('upstreams = { a = "http://h" }', 'upstreams: must name the monolith: legacy = "http://127.0.0.1:8001"'),
        (HEAD + "[rutes]", 'rutes: there is no such table. Did you mean "routes"?'),
        (HEAD + "[zzz]", "zzz: there is no such table."),
        (HEAD + "server = 3", "server: must be a table"),
        (HEAD + "identity = 3", "identity: must be a table"),
        (HEAD + "[routes]", "routes: must be a list of tables: begin each route with [[routes]]"),
        (HEAD + "routes = [3]", "routes[0]: must be a table"),
        ("not toml", "is not valid TOML: Expected '=' after a key in a key/value pair (at line 1, column 5)"),
        ("a = " + "[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_wrong_table_is_named_with_its_cure(text: str, expected: str) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", "upstreams.legacy: must be a table"),
        ('"h:1"', f'upstreams.legacy, url: "h:1" {LOOKS}'),
        ('"ftp://h"', f'upstreams.legacy, url: "ftp://h" {LOOKS}'),
        ('"https://"', f'upstreams.legacy, url: "https://" {LOOKS}'),
        ('"unix:s"', 'upstreams.legacy, url: "unix:s" must name the socket by its whole path: "unix:/run/app.sock"'),
        (
            '{ url = "http://h", tls = { verify = false } }',
            "upstreams.legacy: only an https url takes tls: write https://…, or leave tls out",
        ),
        (
            '{ url = "https://h", tls = { key = "k" } }',
            "upstreams.legacy: tls.key is the key of a certificate: name it in tls.certificate",
        ),
        ('{ url = "https://h", tls = { ca = 1 } }', "upstreams.legacy, tls.ca: must be a valid string, not 1"),
        ('"http://"', f'upstreams.legacy, url: "http://" {LOOKS}'),
        (
            '"http://h/p"',
            'upstreams.legacy, url: "http://h/p" must end after the port: the router passes paths on as they are',
        ),
        (
            '"http://u:p@h"',
            'upstreams.legacy, url: "http://u:p@h" must end after the port: the router passes paths on as they are',
        ),
        ('"http://h:port"', "upstreams.legacy, url: Port could not be cast to integer value as 'port'"),
        ('"http://h:99999"', "upstreams.legacy, url: Port out of range 0-65535"),
        ('"http://[::1"', "upstreams.legacy, url: Invalid IPv6 URL"),
        (
            "{}",
            "upstreams.legacy, url: is missing: where it listens: http://127.0.0.1:8001, or https, or unix:/app.sock",
        ),
        (
            '{ url = "http://h", conections = 3 }',
            (
                'upstreams.legacy, conections: there is no such field. Did you mean "connections"? Known are: '
                "url, tls, identity, chunked_requests, connections, waiting, wait_seconds, connect_seconds, "
                "first_byte_seconds, idle_seconds, "
                "total_seconds, websocket_idle_seconds, keep_seconds, retries, build, health"
            ),
        ),
        (
            '{ url = "http://h", connections = 0 }',
            "upstreams.legacy, connections: must be greater than or equal to 1, not 0",
        ),
        (
            '{ url = "http://h", connect_seconds = 0 }',
            "upstreams.legacy, connect_seconds: must be greater than 0, not 0",
        ),
        (
            '{ url = "http://h", idle_seconds = nan }',
            "upstreams.legacy, idle_seconds: must be greater than 0, not nan",
        ),
        (
            '{ url = "http://h", chunked_requests = "stram" }',
            'upstreams.legacy, chunked_requests: "stram" is none of spool, stream. Did you mean "stream"?',
        ),
    ],
)
def test_a_wrong_upstream_is_named_with_its_cure(value: str, expected: str) -> None:
    assert problems(f"upstreams = {{ legacy = {value} }}") == [expected]


@pytest.mark.parametrize("name", ["Legacy-2", "a_b", "é", "A", "7", "-"])
def test_an_upstreams_name_is_small_letters_digits_and_dashes(name: str) -> None:
    text = f'[upstreams]\nlegacy = "http://h"\n"{name}" = "http://h"\n'

    assert problems(text) == [f"upstreams.{name}: the name must be small letters, digits and dashes"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("spool_byte = 1", 'server, spool_byte: there is no such field. Did you mean "spool_bytes"? Known are: '),
        ("spool_bytes = -1", "server, spool_bytes: must be greater than or equal to 0, not -1"),
        ('spool_bytes = "much"', "server, spool_bytes: must be a valid integer"),
        ('answered_by = "perhaps"', 'server, answered_by: "perhaps" is none of false, true, on request.'),
        (
            'trusted_proxies = ["all"]',
            'server, trusted_proxies: "all" is no address or network, like "10.0.0.0/8"',
        ),
    ],
)
def test_a_wrong_server_table_is_named_with_its_cure(line: str, expected: str) -> None:
    (problem,) = problems(f"{HEAD}[server]\n{line}")

    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'from = "legcy"',
            'identity.from: there is no upstream "legcy". Did you mean "legacy"? Named are: legacy, assistant',
        ),
        ('form = "legacy"', 'identity, form: there is no such field. Did you mean "from"?'),
        ('path = "internal"', 'identity, path: "internal" does not fit: its path, in plain characters'),
        ('path = "/a b"', 'identity, path: "/a b" does not fit: its path, in plain characters'),
        ('path = "/é"', 'identity, path: "/é" does not fit: its path, in plain characters'),
        ('path = "/a?b"', 'identity, path: "/a?b" does not fit: its path, in plain characters'),
        ('path = "/%61"', 'identity, path: "/%61" does not fit: its path, in plain characters'),
        ('secret_env = "A-B"', 'identity, secret_env: "A-B" does not fit: the environment variable'),
        ("timeout_seconds = 0", "identity, timeout_seconds: must be greater than 0, not 0"),
    ],
)
def test_a_wrong_identity_table_is_named_with_its_cure(line: str, expected: str) -> None:
    (problem,) = problems(f"{HEAD}[identity]\n{line}")

    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("stage = ", "stge = "), 'routes[0] "a", stge: there is no such field. Did you mean "stage"?'),
        (
            ('"legacy"', '"extract"'),
            '"extract" is none of legacy, shadow, split, reverse, extracted. Did you mean "extracted"?',
        ),
        (('"legacy"', '"canary"'), '"canary" is none of legacy, shadow, split, reverse, extracted.'),
        (('"legacy"', '"shadow"'), 'shadow: stage shadow needs it: shadow = { effects = "tape" }'),
        (('"legacy"', '"reverse"'), 'shadow: stage reverse needs it: shadow = { effects = "tape" }'),
        (('stage = "legacy"', 'stage = "shadow"\nshadow = {}'), 'shadow.effects: say what a copy causes: "none" if'),
        (("stage", 'shadow = { effects = "tap" }\nstage'), '"tap" is none of none, tape, live. Did you mean "tape"?'),
        (("stage", "shadow = { percent = 101 }\nstage"), "shadow.percent: must be less than or equal to"),
        (("stage", 'shadow = { by = "cookie" }\nstage'), 'shadow.by: must be "cookie:NAME", "header:NAME" or'),
        (("stage", "shadow = { ignore = ['a'] }\nstage"), '"a" is no JSON pointer (RFC 6901): write "/a"'),
        (("stage", "shadow = { ignored = [] }\nstage"), 'there is no such field. Did you mean "ignore"?'),
        (("stage", "shadow = 3\nstage"), 'routes[0] "a", shadow: must be a table'),
        (('name = "a"\n', ""), "routes[0], name: is missing: small letters, digits and dashes"),
        (('"a"', '"A"'), 'routes[0] "A", name: "A" does not fit: small letters, digits and dashes'),
        (('"/a"', '"a"'), 'routes[0] "a", path: must begin with a slash: write "/a"'),
        (('"/a"', '"/{id:uuid}"'), 'there is no parameter kind "uuid": use {id}, or :int, or :path'),
        (('"/a"', '"/{id"'), '"{id" must be plain characters of a URL or one whole parameter such as {id}'),
        (('"/a"', '"/x{id}"'), '"x{id}" must be plain characters of a URL or one whole parameter such as {id}'),
        (('"/a"', '"/é"'), '"é" must be plain characters of a URL or one whole parameter such as {id}'),
        (('"/a"', '"/a?b"'), '"a?b" must be plain characters of a URL or one whole parameter such as {id}'),
        (('"/a"', '"/{x:path}/b"'), "a {…:path} parameter takes all that is left, so it must come last"),
        (('"/a"', '"/{x}/{x}"'), "every parameter needs its own name"),
        (("stage", 'methods = ["post"]\nstage'), '"post" is no method: write it in capitals, like "POST"'),
        (("stage", 'methods = ["GTE"]\nstage'), '"GTE" is no method. Did you mean "GET"?'),
        (("stage", 'methods = "POST"\nstage'), 'routes[0] "a", methods: must be a valid list'),
        (("stage", 'to = "asistant"\nstage'), 'there is no upstream "asistant". Did you mean "assistant"?'),
        (("stage", 'to = "legacy"\nstage'), '"legacy" is the monolith itself: name the extracted upstream'),
        (('"legacy"', '"split"'), 'stage split needs it: split = { percent = 10, by = "cookie:sessionid" }'),
        (("stage", 'split = { by = "address" }\nstage'), "split.percent: is missing: 0 to 100, two decimals"),
        (("stage", "split = { percent = 1 }\nstage"), "split.by: is missing: what makes a caller the same caller"),
        (("stage", 'split = { percent = 101, by = "address" }\nstage'), "split.percent: must be less than or equal to"),
        (("stage", 'split = { percent = -1, by = "address" }\nstage'), "split.percent: must be greater than or equal"),
        (("stage", 'split = { percent = 0.001, by = "address" }\nstage'), "may have two decimals at most, as in nginx"),
        (("stage", 'split = { percent = nan, by = "address" }\nstage'), "split.percent: "),
        (
            ("stage", 'split = { percent = 1, by = "cookie" }\nstage'),
            'must be "cookie:NAME", "header:NAME" or "address"',
        ),
        (("stage", 'split = { percent = 1, by = "cookie:" }\nstage'), 'must be "cookie:NAME", "header:NAME"'),
        (("stage", 'split = { percent = 1, by = "address:x" }\nstage'), 'must be "cookie:NAME", "header:NAME"'),
        (("stage", "split = { percent = 1, by = 3 }\nstage"), 'must be "cookie:NAME", "header:NAME" or "address"'),
        (("stage", 'split = { percent = 1, by = "address", sat = "x" }\nstage'), 'Did you mean "salt"?'),
        (("stage", "split = 3\nstage"), 'routes[0] "a", split: must be a table'),
    ],
)
def test_a_wrong_route_is_named_with_its_cure(change: tuple[str, str], expected: str) -> None:
    first, *_ = sorted(problems(HEAD + ROUTE.replace(*change)), key=lambda problem: "is missing" in problem)

    assert first.startswith("routes[0]")
    assert expected in first


def test_a_route_must_say_where_it_moves_if_there_are_two_upstreams_to_move_to() -> None:
    text = HEAD.replace("}", ', other = "http://127.0.0.1:3" }') + ROUTE

    assert problems(text) == ['routes[0] "a", to: say which upstream it moves to: assistant, other']


def test_a_route_without_any_upstream_to_move_to_says_so() -> None:
    text = 'upstreams = { legacy = "http://h" }\n' + ROUTE

    assert problems(text) == ['routes[0] "a", to: say which upstream it moves to: none is named yet']


@pytest.mark.parametrize(
    ("earlier", "later", "is_hidden"),
    [
        ("/a", "/a", True),
        ("/{x}", "/a", True),
        ("/a", "/{x}", False),
        ("/{x:int}", "/7", True),
        ("/{x:int}", "/a", False),
        ("/{x}", "/{y:int}", True),
        ("/{x:int}", "/{y}", False),
        ("/{x:path}", "/a/b/{c}", True),
        ("/a/{x:path}", "/a/{y:path}", True),
        ("/a/{x:path}", "/a", False),
        ("/a/{x:path}", "/a/", True),
        ("/a/{x}", "/a/", False),
        ("/a/{x}", "/a/{y:path}", False),
        ("/{x}/b", "/{y}/c", False),
    ],
)
def test_a_route_that_an_earlier_one_hides_is_an_error(earlier: str, later: str, is_hidden: bool) -> None:
    text = HEAD + ROUTE.replace('"/a"', f'"{earlier}"') + ROUTE.replace('"a"', '"b"').replace('"/a"', f'"{later}"')

    if is_hidden:
        assert problems(text) == ['routes[1] "b", path: is hidden by "a", which comes first: put this route before it']
    else:
        assert len(parse(text).routes) == 2


@pytest.mark.parametrize(
    ("earlier", "later", "is_hidden"),
    [
        ('["GET"]', '["GET"]', True),
        ('["GET", "POST"]', '["GET"]', True),
        ('["GET"]', '["GET", "POST"]', False),
        ('["GET"]', '["POST"]', False),
        ("[]", '["GET"]', True),
        ('["GET"]', "[]", False),
    ],
)
def test_a_route_is_hidden_only_if_all_its_methods_are(earlier: str, later: str, is_hidden: bool) -> None:
    text = HEAD + ROUTE + f"methods = {earlier}\n" + ROUTE.replace('"a"', '"b"') + f"methods = {later}\n"

    if is_hidden:
        assert len(problems(text)) == 1
    else:
        assert len(parse(text).routes) == 2


def test_two_routes_cannot_have_the_same_name() -> None:
    text = HEAD + ROUTE + ROUTE.replace('"/a"', '"/b"')

    assert problems(text) == ['routes[1] "a", name: is taken by an earlier route: every route needs its own']


def test_every_problem_is_told_at_once_in_the_files_order() -> None:
    text = """
    zzz = 1
    yyy = 1
    [server]
    spool = 1
    [upstreams]
    legacy = "ftp://h"
    service = { url = "http://h", connections = "x" }
    [identity]
    from = "nobody"
    [[routes]]
    name = "a"
    path = "a"
    stage = "extract"
    [[routes]]
    name = "b"
    path = "/b"
    to = "sevice"
    stage = "split"
    """

    assert [problem.partition(": ")[0] for problem in problems(text)] == [
        "zzz",
        "yyy",
        "server, spool",
        "upstreams.legacy, url",
        "upstreams.service, connections",
        "identity.from",
        'routes[0] "a", path',
        'routes[0] "a", stage',
        'routes[1] "b", to',
        'routes[1] "b", split',
    ]


def test_the_error_names_the_file_and_counts() -> None:
    with pytest.raises(ConfigError) as one:
        parse("", "my.toml")
    with pytest.raises(ConfigError) as two:
        parse("a = 1", "my.toml")

    assert str(one.value).startswith("my.toml has 1 problem:\n  upstreams: must name")
    assert str(two.value).startswith("my.toml has 2 problems:\n  a: there is no such table")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    (tmp_path / "notepad.toml").write_bytes("\ufeffa = 1".encode())

    for file, why in (
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "cannot be read: Is a directory$"),
        (tmp_path / "notepad.toml", "begins with a byte order mark: save it as UTF-8 without one$"),
        (tmp_path / "latin.toml", "cannot be read: byte 5 is no UTF-8: save it as UTF-8 text$"),
    ):
        with pytest.raises(ConfigError, match=why):
            load(file)


def test_a_method_that_the_parser_knows_and_one_of_somebodys_own_are_taken() -> None:
    for method in (*METHODS, "FROBNICATE"):
        assert parse(HEAD + ROUTE.replace("stage", f'methods = ["{method}"]\nstage')).routes[0].methods == [method]


def test_the_methods_are_those_of_the_parser() -> None:
    for method in METHODS:
        HttpRequestParser(object()).feed_data(b"%b / HTTP/1.1\r\n" % method.encode())

    with pytest.raises(HttpParserInvalidMethodError):
        HttpRequestParser(object()).feed_data(b"FROBNICATE / HTTP/1.1\r\n")


class Raw(str):
    """A TOML value as it is written."""


WORDS = st.sampled_from(
    [
        "legacy",
        "shadow",
        "split",
        "reverse",
        "extracted",
        "none",
        "tape",
        "http://h:1",
        "/a",
        "/{x}",
        "address",
        "cookie:s",
        "",
        "GET",
        "a",
        "\0",
        "é",
    ]
)
NAMES = st.sampled_from(
    [
        "legacy",
        "name",
        "path",
        "stage",
        "to",
        "split",
        "shadow",
        "percent",
        "by",
        "effects",
        "url",
        "methods",
        "from",
        "identity",
        "é",
        "",
    ]
)
LEAVES = WORDS | st.integers(-5, 200) | st.booleans() | st.sampled_from([Raw("nan"), Raw("inf"), Raw("1979-05-27")])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def written(value: object) -> str:
    match value:
        case Raw():
            return str(value)
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\u{ord(letter):04x}" for letter in value) + '"'
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{written(key)} = {written(each)}" for key, each in value.items()) + "}"
    return str(value)


@given(st.dictionaries(st.sampled_from(["server", "upstreams", "identity", "shadow", "routes", "other"]), VALUES))
def test_whatever_a_file_says_it_is_used_or_refused_with_words(tables: dict[str, object]) -> None:
    text = "".join(f"{name} = {written(value)}\n" for name, value in tables.items())

    with contextlib.suppress(ConfigError):
        parse(text)


def test_the_provider_of_the_egress_is_an_address_or_a_table() -> None:
    short = parse(HEAD + '[egress]\nprovider = "http://127.0.0.1:8020"\n').egress
    long = parse(HEAD + '[egress.provider]\nurl = "http://127.0.0.1:8020"\nidle_seconds = 5\n').egress

    assert short is not None
    assert long is not None
    assert (short.provider.url, long.provider.idle_seconds) == (long.provider.url, 5)


def test_without_a_table_there_is_no_egress_and_the_evidence_is_a_file() -> None:
    config = parse(HEAD)

    assert (config.egress, config.evidence.url) == (None, "sqlite:///var/evidence.db")


def test_what_is_wrong_with_the_egress_is_told_with_its_place() -> None:
    text = HEAD + '[egress]\nprovider = "nowhere"\npace = "slow"\n[evidence]\nredact = ["email"]\n'

    assert problems(text) == [
        'evidence, redact: "email" is no JSON pointer (RFC 6901): write "/email"',
        f'egress, provider.url: "nowhere" {LOOKS}',
        'egress, pace: "slow" is none of recorded, at once.',
    ]


def test_what_may_differ_and_what_must_be_shown_is_written_with_the_route() -> None:
    (route,) = parse(
        HEAD + ROUTE + 'shadow.ignore = ["/at"]\nshadow.headers = ["vary"]\ngate = { mismatches = 0.001 }\n'
        '[[routes.shadow.rules]]\nat = "/score"\ntolerance = { absolute = 0.1 }\nreason = "rounding"\n'
    ).routes

    assert (route.shadow.same.ignore, route.shadow.same.headers) == (("/at",), ("vary",))
    assert route.shadow.same.rules[0].at == "/score"
    assert route.gate.mismatches == 0.001
    assert pickle.loads(pickle.dumps(route)) == route  # noqa: S301  (the shadow process gets it so)


def test_a_wrong_rule_is_told_with_its_place_and_its_cure() -> None:
    rules = '[[routes.shadow.rules]]\nat = "score"\nignore = true\nreason = "x y z"\n'
    more = '[[routes.shadow.rules]]\nat = "/a"\ntolerance = { absolut = 1 }\nreason = "x y z"\n'

    told = problems(HEAD + ROUTE + rules + more + "[routes.gate]\nmismatch = 0.1\n")

    assert told[0].startswith('routes[0] "a", shadow.rules.0.at: "score" is no place: write a JSON pointer')
    assert 'shadow.rules.1.tolerance.absolut: there is no such field. Did you mean "absolute"?' in told[1]
    assert 'gate.mismatch: there is no such field. Did you mean "mismatches"?' in told[2]


@pytest.mark.parametrize("model", MODELS)
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    missing = [name for name, field in model.model_fields.items() if not field.description]

    assert missing == []


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_in_the_readme(model: type[BaseModel]) -> None:
    readme = README.read_text("utf-8")
    fields = [field.alias or name for name, field in model.model_fields.items()]

    assert [
        field for field in fields if not re.search(rf"`((split|shadow|live|tls|health|trip)\.)?{field}`", readme)
    ] == []


def test_every_stage_is_in_the_readme() -> None:
    readme = README.read_text("utf-8")

    assert [stage for stage in get_args(Route.model_fields["stage"].annotation) if f"`{stage}`" not in readme] == []


def test_files_that_it_names_begin_at_its_folder_wherever_a_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    file = tmp_path / "routes.toml"
    file.write_text(NAMING_FILES)

    config, relative = load(file), load(Path(tmp_path.name) / "routes.toml")
    copied = load(file, copy_of=tmp_path.parent / "routes.toml")

    assert config.evidence.url == relative.evidence.url == f"sqlite:///{tmp_path}/var/e.db"
    assert copied.evidence.url == f"sqlite:///{tmp_path.parent}/var/e.db"
    tls = config.upstreams["service"].tls
    assert (tls.ca, tls.certificate, tls.key) == (f"{tmp_path}/ca.pem", "/etc/own.pem", "")
    assert config.egress is not None
    assert config.egress.provider.tls.ca == f"{tmp_path}/ca.pem"


NAMING_FILES = """
[upstreams]
legacy = "http://127.0.0.1:1"
service = { url = "https://service", tls = { ca = "ca.pem", certificate = "/etc/own.pem" } }
[evidence]
url = "sqlite:///var/e.db"
[egress]
provider = { url = "https://provider", tls = { ca = "ca.pem" } }
"""


@pytest.mark.parametrize("url", ["sqlite:////srv/e.db", "postgresql://user@db/evidence", "sqlite://"])
def test_a_database_that_is_named_in_full_stays_what_it_is(tmp_path: Path, url: str) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(f'upstreams = {{ legacy = "http://127.0.0.1:1" }}\nevidence = {{ url = "{url}" }}\n')

    assert load(file).evidence.url == url
