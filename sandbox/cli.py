"""The command line. Each command imports its own parts only: the provider starts sooner."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from . import provider as simulated
from .provider import Settings

PortBase = Annotated[int, typer.Option(min=0, max=65_000, help="Router's port; the others follow; 0: free ones.")]
Data = Annotated[Path, typer.Option(file_okay=False, help="Folder for everything the stack writes.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="A database that runs already.")]
Postgres = Annotated[bool, typer.Option("--postgres", help="Start a PostgreSQL of its own in the data folder.")]
Routes = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Live routes.toml; default: a copy.")]
Filled = Annotated[
    Path | None, typer.Option(file_okay=False, help="Folder that keeps a filled database: begin with a copy of it.")
]
ReadyFile = Annotated[Path | None, typer.Option(dir_okay=False, help="JSON file to write once everything is ready.")]
Latency = Annotated[float, typer.Option(min=0, help="The simulated provider's time to the first token.")]
Rate = Annotated[float, typer.Option(min=0, help="The simulated provider's tokens per second; 0: all at once.")]

Fault = Annotated[
    str | None, typer.Option(help="Put the faulty candidate around the service: a fault's name, or none for later.")
]

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def sandbox() -> None:
    """The stage on which the migration is shown, on real processes and real requests."""


@app.command()
def provider(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8020,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    latency_seconds: Annotated[float, typer.Option(min=0, help="Until the first token.")] = 0.5,
    tokens_per_second: Annotated[float, typer.Option(min=0, help="Pace of an answer; 0: all at once.")] = 60.0,
    embedding_latency_seconds: Annotated[float, typer.Option(min=0, help="Until an embedding.")] = 0.05,
    api_key: Annotated[str, typer.Option(help="The key callers must send.")] = "sandbox-key",
) -> None:
    """Play the LLM provider: OpenAI wire format, set latency, faults on demand."""
    settings = Settings(latency_seconds, tokens_per_second, embedding_latency_seconds)
    simulated.serve(host, port, settings, api_key)


@app.command()
def candidate(
    service: Annotated[str, typer.Option(help="Where the extracted service listens.")],
    provider: Annotated[str, typer.Option(help="Whom the service would ask itself, without a path.")],
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8012,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    fault: Annotated[str, typer.Option(help="What is spoiled from the beginning.")] = "none",
) -> None:
    """Play a faulty candidate: the extracted service with one planted fault. PUT /sandbox/fault plants another."""
    from . import candidate as faulty
    from .planted import planted

    faulty.serve(host, port, service, provider, planted(_known(fault)))


@app.command()
def up(
    port_base: PortBase = 8000,
    data: Data = Path("var"),
    database_url: DatabaseUrl = None,
    postgres: Postgres = False,
    routes: Routes = None,
    ready_file: ReadyFile = None,
    latency_seconds: Latency = 0.5,
    tokens_per_second: Rate = 60.0,
    fault: Fault = None,
    filled: Filled = None,
    no_router: Annotated[bool, typer.Option("--no-router", help="Leave the door to a router that you start.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No log lines of the processes.")] = False,
) -> None:
    """Start every process, show their logs, stop all of them on Ctrl-C."""
    from . import up as stage
    from .stack import Options

    settings = Settings(latency_seconds, tokens_per_second)
    fault = fault and _known(fault)  # before anything is started
    options = Options(
        port_base,
        data,
        database_url,
        postgres,
        routes,
        ready_file,
        settings,
        fault=fault,
        router=not no_router,
        filled=filled,
    )
    console = Console()
    raise typer.Exit(stage.run(stage.up(options, console, quiet=quiet), console))


@app.command()
def demo(
    port_base: PortBase = 8000,
    data: Data = Path("var"),
    database_url: DatabaseUrl = None,
    postgres: Postgres = False,
    routes: Routes = None,
    ready_file: ReadyFile = None,
    once: Annotated[bool, typer.Option("--once", help="End by itself; status 1 if a claim did not hold.")] = False,
    faulty: Annotated[
        bool, typer.Option("--faulty", help="Only the copies, with a candidate that has faults.")
    ] = False,
) -> None:
    """The whole story in about two minutes: starvation, copies, move, relief, roll-back; then the stack stays up."""
    from . import demo as story
    from . import up as stage
    from .stack import Options

    fault = "none" if faulty else None
    options = Options(port_base, data, database_url, postgres, routes, ready_file, story.SLOW, False, fault)
    console = Console()
    raise typer.Exit(stage.run(story.demo(options, console, once=once), console))


@app.command()
def callers(
    url: Annotated[str, typer.Option(help="Where they call: the router, or one application itself.")] = (
        "http://127.0.0.1:8000"
    ),
    readers: Annotated[int, typer.Option(min=0, max=500, help="Agents who read tickets.")] = 6,
    assistants: Annotated[int, typer.Option(min=0, max=500, help="Agents who use the assistant in turn.")] = 12,
    at_once: Annotated[int, typer.Option(min=0, max=500, help="Assistant calls under way at once.")] = 4,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long they work.")] = 20.0,
    think_seconds: Annotated[float, typer.Option(min=0, help="A reader's pause between two pages.")] = 0.25,
) -> None:
    """Play the callers against a stack that runs, and show what they saw; status 1 if a request failed."""
    from . import up as stage
    from .figures import people_at_work

    console = Console()
    people = people_at_work(url, readers, min(at_once, assistants), assistants, seconds, think_seconds, console)
    raise typer.Exit(stage.run(people, console))


@app.command()
def trace(
    trace_id: Annotated[str, typer.Argument(help="The id, or its beginning; the latest one if left out.")] = "",
    data: Data = Path("var"),
) -> None:
    """Show one trace as a tree with durations; status 1 if there is none."""
    from .traces import shown

    raise typer.Exit(shown(data, trace_id, Console()))


def _known(fault: str) -> str:
    from .planted import planted

    try:
        planted(fault)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return fault


def main() -> None:
    app()
