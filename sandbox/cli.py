"""The command line: provider, up, demo, callers."""

from typing import Annotated

import typer

from . import provider as simulated
from .provider import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


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


def main() -> None:
    app()
