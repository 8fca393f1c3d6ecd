"""`init`: writes the first routes.toml for somebody's own monolith and service, and says what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..config import LEGACY
from ..reading import parse

LegacyUrl = Annotated[str, typer.Option(help="where the monolith listens, like http://127.0.0.1:8001")]
Extracted = Annotated[str, typer.Option(metavar="NAME=URL", help="the service that routes will move to")]
Routes = Annotated[
    list[str],
    typer.Option("--route", metavar="NAME=PATH", help="a route to begin with, in stage legacy; may be repeated"),
]
To = Annotated[Path, typer.Option(help="the file to write; one that is there already is left alone")]

TEXT = """\
# Which requests leave the monolith, and how far each has come.
# Say what is wrong with this file:   python -m router check {file}
# Say who would answer a request:     python -m router explain {file} POST /some/path
# A running router takes a change over within a second.

[server]
answered_by = true   # say in X-Answered-By which upstream answered; take it out when you no longer look

[upstreams]
legacy = "{legacy}"   # answers whatever no route claims
{name} = "{url}"

# The service learns who is calling from a token that the monolith signs; see "[identity]" in the router's README.
# Without this table the service gets the caller's own headers, cookies included.
# [identity]
# from = "legacy"
# path = "/internal/identity"
"""
ROUTE = """
[[routes]]
name  = "{route}"
path  = "{path}"
to    = "{name}"
stage = "legacy"     # then: shadow, split, reverse, extracted. Nothing moves until you change this word
split = {{ percent = 1, by = "cookie:sessionid" }}
"""
EXAMPLE = """
# No route yet, so the monolith answers everything. Take the first one from `survey`, and take the marks away:
#
# [[routes]]
# name    = "slow-endpoint"
# path    = "/api/things/{{id}}/summary"
# methods = ["POST"]
# to      = "{name}"
# stage   = "legacy"
# split   = {{ percent = 1, by = "cookie:sessionid" }}
"""


def init(
    legacy: LegacyUrl,
    extracted: Extracted,
    route: Routes = [],  # noqa: B006
    file: To = Path("routes.toml"),
) -> None:
    """Write a first routes.toml. Exit status 2 if it is there already or something is wrong with what was said."""
    name, url = _pair(extracted, "--extracted assistant=http://127.0.0.1:8002")
    if name == LEGACY:
        raise typer.BadParameter(f'"{LEGACY}" is the monolith: give the extracted service another name')
    routes = [_pair(each, "--route ticket-summary='/api/tickets/{id}/summary'") for each in route]
    text = TEXT.format(file=file, legacy=legacy, name=name, url=url)
    text += "".join(ROUTE.format(route=each, path=path, name=name) for each, path in routes)
    text += "" if routes else EXAMPLE.format(name=name)
    parse(text, "What you said")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise typer.BadParameter(f"{file} is there already: name another with --file, or edit it") from None
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from None
    Console(highlight=False, soft_wrap=True).print(_next(file, bool(routes)))


def _pair(said: str, example: str) -> tuple[str, str]:
    name, equals, value = said.partition("=")
    if not (name and equals and value):
        raise typer.BadParameter(f'"{said}" has no name and value: write {example}')
    return name, value


def _next(file: Path, has_routes: bool) -> str:
    steps = [
        f"python -m router check {file}",
        f"python -m router serve {file} --port 8000    and let your site's address point here: nothing has changed",
        "trace the monolith for a day and find what to move: python -m router survey traces.jsonl --workers N",
    ]
    if not has_routes:
        steps.append(f"write that route into {file}, in stage legacy")
    steps += [
        "build the endpoint in the service, and put the same requests to both",
        f"change the route's stage in {file}: a running router follows within a second, and back as fast",
    ]
    return f"Wrote {file}. Next:\n" + "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1))
