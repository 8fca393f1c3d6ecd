"""`init`: writes the first routes.toml for somebody's own monolith and service, and says what to do next."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from .. import fields
from ..config import LEGACY
from ..reading import parse

LegacyUrl = Annotated[str, typer.Option(help="where the monolith listens, like http://127.0.0.1:8001")]
Extracted = Annotated[str, typer.Option(metavar="NAME=URL", help="the service that routes will move to")]
Routes = Annotated[
    list[str],
    typer.Option(
        "--route",
        metavar="NAME=[METHOD ]PATH",
        help="a route to begin with, in stage legacy, like quote='GET /quotes/{id}'; may be repeated",
    ),
]
To = Annotated[Path, typer.Option(help="the file to write; one that is there already is left alone")]

ME = f"python -m {__package__.partition('.')[0]}"
"""The command under which this folder, or a copy of it, is called."""
READS = frozenset(("GET", "HEAD"))
"""Methods that are copied without further words."""

TEXT = """\
# Which requests leave the monolith, and how far each has come.
# Say what is wrong with this file:   {me} check {file}
# Say who would answer a request:     {me} explain {file} {example}
# A running router takes a change over within a second.

[server]
answered_by = true   # say in X-Answered-By which upstream answered; take it out when you no longer look

[upstreams]
legacy = "{legacy}"   # answers whatever no route claims
{name} = {{ url = "{url}", build = "1" }}   # change build with each deployment: new code needs new evidence

# The service learns who is calling from a token that the monolith signs; see "[identity]" in the router's README.
# Without this table the service gets the caller's own headers, cookies included.
# [identity]
# from = "legacy"
# path = "/internal/identity"

[evidence]
url = "sqlite:///var/evidence.db"   # what copies have shown, and who moved which route when
"""
ROUTE = """\
[[routes]]
name    = "{route}"
path    = "{path}"
{methods}
to      = "{to}"
stage   = "legacy"   # then: shadow, split, reverse, extracted. `{me} advance {route}{option}` changes this word
{shadow}
split   = {{ percent = 1, by = "cookie:sessionid" }}   # what keeps a caller on one side: or "header:authorization"
gate    = {{ mismatches = 0.01 }}   # may differ at most so often, or it does not move on: 377 equal copies show that
"""
ALL_METHODS = '# methods = ["GET"]   # without this line: all of them'
COPY_READS = "shadow  = { percent = 100 }   # the share of the requests that is copied"
COPY_WRITES = '# shadow = { effects = "none" }   # what a copy may cause; say it before stage shadow, see the README'
EXAMPLE = """
# No route yet, so the monolith answers everything. Take the first one from `survey`, and take the marks away:
#
"""


class Beginning(NamedTuple):
    """A route to begin with. No methods: all of them."""

    name: str
    path: str
    methods: tuple[str, ...]


A_ROUTE = Beginning("slow-endpoint", "/api/things/{id}/summary", ("POST",))


def init(
    legacy: LegacyUrl,
    extracted: Extracted,
    route: Routes = [],  # noqa: B006
    file: To = Path("routes.toml"),
) -> None:
    """Write a first routes.toml. Exit status 2 if it is there already or something is wrong with what was said."""
    name, url = _pair(extracted, "--extracted assistant=http://127.0.0.1:8002")
    if not fields.is_upstream_name(name):
        raise typer.BadParameter(f'"{name}" is no name: take small letters, digits and dashes')
    if name == LEGACY:
        raise typer.BadParameter(f'"{LEGACY}" is the monolith: give the extracted service another name')
    routes = [_beginning(each) for each in route]
    text = TEXT.format(me=ME, file=file, example=_request(routes), legacy=legacy, name=name, url=url)
    text += "".join(f"\n{_route(each, name, file)}" for each in routes) or EXAMPLE + _marked(
        _route(A_ROUTE, name, file)
    )
    parse(text, "What you said")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise typer.BadParameter(f"{file} is there already: name another with --file, or edit it") from None
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from None
    Console(highlight=False, markup=False, soft_wrap=True).print(_next(file, routes))


def _pair(said: str, example: str) -> tuple[str, str]:
    name, equals, value = said.partition("=")
    if not (name and equals and value.strip()):
        raise typer.BadParameter(f'"{said}" has no name and value: write {example}')
    return name, value


def _beginning(said: str) -> Beginning:
    name, value = _pair(said, "--route ticket-summary='POST /api/tickets/{id}/summary'")
    *methods, path = value.split()
    return Beginning(name, path, tuple(",".join(methods).upper().split(",")) if methods else ())


def _route(route: Beginning, to: str, file: Path) -> str:
    methods = f"methods = {json.dumps(route.methods)}" if route.methods else ALL_METHODS
    shadow = COPY_READS if route.methods and READS.issuperset(route.methods) else COPY_WRITES
    words = {"me": ME, "option": _option(file), "methods": methods, "shadow": shadow}
    return ROUTE.format(route=route.name, path=route.path, to=to, **words)


def _marked(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _request(routes: list[Beginning]) -> str:
    if not routes:
        return "POST /some/path"
    return f"{(*routes[0].methods, 'POST')[0]} '{routes[0].path}'"


def _option(file: Path) -> str:
    """What `advance` and `rollback` must be told of a file that is not where they look."""
    return "" if file == Path("routes.toml") else f" --file {file}"


def _next(file: Path, routes: list[Beginning]) -> str:
    name = routes[0].name if routes else "ROUTE"
    steps = [
        (f"{ME} check {file}", "the routes, and what is wrong with them"),
        (f"{ME} serve {file} --port 8000", "let your site's address point there: nothing has changed"),
    ]
    if not routes:
        steps += [
            (f"{ME} survey traces.jsonl --workers N", "what to move, from a day of the monolith's spans"),
            (f"edit {file}", "write that route, in stage legacy"),
        ]
    steps += [
        (f"{ME} advance {name}{_option(file)}", "a step on: first the service gets copies, and nobody its answers"),
        (f"{ME} report {file}", "what differs, and whether the route may move on"),
        (f"{ME} rollback {name}{_option(file)}", "back to the monolith, from anywhere, within a second"),
    ]
    width = max(len(command) for command, _ in steps)
    lines = [f"  {number}. {command:{width}}   {what}" for number, (command, what) in enumerate(steps, 1)]
    if find_spec("sqlalchemy") is None:
        lines.append("Before the first copies: pip install sqlalchemy, with which evidence is kept.")
    return "\n".join([f"Wrote {file}. Next:", *lines])
