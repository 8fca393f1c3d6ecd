"""`learn` and `record`: a promise that is proposed from recorded traffic, and how it is recorded."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
import yaml

from contract_tests.contractkit.document import Promise, load
from contract_tests.contractkit.files import text_of
from contract_tests.contractkit.learn import Recorded, propose, read_har
from contract_tests.contractkit.recording import recorder
from contract_tests.contractkit.targets import TargetError
from contract_tests.contractkit.traffic import broken_in, unmet_in

from .ending import Below, end, problems_said, show

CONNECT_SECONDS = 5.0


def learn(
    har: Annotated[Path, typer.Argument(help="An HTTP Archive: from a browser, a proxy, or `record`.")],
    out: Annotated[Path | None, typer.Option(help="Where the proposal goes; else it is printed.")] = None,
    title: Annotated[str, typer.Option(help="Of the document.")] = "Learned",
    path: Below = "/",
    against: Annotated[Path | None, typer.Option(help="A promise: say in what the traffic breaks it.")] = None,
) -> None:
    """Propose a promise from recorded traffic, without a value of anybody's in it."""
    with problems_said():
        recorded = [each for each in read_har(text_of(har)) if each.path.startswith(path)]
        proposed = propose(recorded, title)
        told = yaml.safe_dump(proposed, sort_keys=False, allow_unicode=True, width=120)
        if out is None:
            print(told, end="")
        else:
            out.write_text(told, "utf-8")
            print(f"{len(proposed['paths'])} paths from {len(recorded)} requests, in {out}. Review it.", flush=True)
        promise = load(against) if against else None
        wrong = broken_in(recorded, promise, proposed) if promise else []
        if promise:
            show(wrong, "lines")
            for line in _unmet(recorded, promise):
                print(line, file=sys.stderr)
    end(wrong)


def record(
    to: Annotated[str, typer.Option(help="Who answers.")],
    har: Annotated[Path, typer.Option(help="Where the traffic is written, at the end.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to call instead; 0: a free one.")] = 0,
    path: Below = "/",
) -> None:
    """Pass traffic on and write it down, until Ctrl-C or SIGTERM. Bodies are kept, values of headers mostly not."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with problems_said():
        _must_answer(to)
        _must_be_free(port)
        har.open("ab").close()  # what cannot be written is said before the recording, not after it
    with problems_said(), recorder(to, har, port, path) as (url, count):
        print(f"Call {url} instead of {to}. Ctrl-C ends it, and writes {har}.", flush=True)
        stopped.wait()
    print(f"{count()} exchanges in {har}.")


def _must_answer(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise TargetError(f'"{url}" is no address that can be recorded: write http://HOST:PORT')
    try:
        socket.create_connection((parts.hostname, parts.port or 80), CONNECT_SECONDS).close()
    except OSError:
        raise TargetError(f"nobody answers at {url}: start it before the recorder") from None


def _must_be_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)  # without create_server's own words
        raise TargetError(f"port {port} cannot be used ({why}): choose another with --port") from None


def _unmet(recorded: Sequence[Recorded], promise: Promise) -> Iterator[str]:
    uncalled, unseen = unmet_in(recorded, promise)
    if uncalled:
        yield f"Promised, and not called: {', '.join(uncalled)}"
    if unseen:
        told = "; ".join(f"{name} {', '.join(statuses)}" for name, statuses in unseen.items())
        yield f"Promised, and not answered: {told}"
