"""The stack: every process of the sandbox, started in order, watched, and stopped without a rest."""

import asyncio
import fcntl
import json
import os
import shutil
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import routes_file
from .database import postgres_plans, stamp_of
from .filled import copy_filled
from .keys import make_keys
from .plans import EVIDENCE, TRACES, Layout, database_plans, egress_plan, jobs_plan, provider_plan, server_plans
from .ports import check_free, ports_from
from .processes import Plan, ProcessFailed, Running, Say, run_to_the_end, start, until_ready
from .provider import Settings

ROOT = Path(__file__).resolve().parent.parent
PIDS = "pids"
READY_SECONDS = 60.0
DATABASE_SECONDS = 240.0
PASSWORD = "helpdesk"  # noqa: S105  (of everybody in the sample data)


@dataclass(frozen=True)
class Options:
    """What `up` and `demo` may be told."""

    port_base: int = 8000
    data: Path = Path("var")
    database_url: str | None = None
    postgres: bool = False
    routes: Path | None = None
    ready_file: Path | None = None
    settings: Settings = field(default_factory=Settings)
    keeps_evidence: bool = True  # False: what earlier runs compared is forgotten, as a demo begins at the beginning
    fault: str | None = None  # of the faulty candidate; "none" starts it without one; None: there is no such candidate
    router: bool = True  # False: whoever wants one in front starts it
    filled: Path | None = None  # a folder that keeps a filled database, to begin with a copy

    @property
    def kind(self) -> str:
        """Of the database."""
        return "given" if self.database_url else "postgres" if self.postgres else "sqlite"


class DataInUse(Exception):
    """Another stack runs on the same data folder."""


@dataclass
class Stack:
    """The running processes and where to find them."""

    layout: Layout
    say: Say
    running: dict[str, Running] = field(default_factory=dict)

    async def failed(self) -> ProcessFailed:
        """Waits until a process ends that should not."""
        tasks = [asyncio.create_task(running.ended()) for running in self.running.values()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return done.pop().result()

    async def start(self, *plans: Plan) -> None:
        """Starts processes side by side and waits until all of them are ready."""
        for plan in plans:
            running = self.running[plan.name] = await start(plan, ROOT, self._log(plan), self.say)
            (_made(self.layout.data / PIDS) / plan.name).write_text(f"{running.pid}\n", "utf-8")
        started = [self.running[plan.name] for plan in plans]
        async with _first_failure() as group:
            for running in started:
                group.create_task(until_ready(running, READY_SECONDS))

    async def run(self, plan: Plan) -> None:
        await run_to_the_end(plan, ROOT, self._log(plan), self.say, DATABASE_SECONDS)

    async def stop(self) -> None:
        """The router first, so that nobody is let in any more; the database last."""
        first, last = self.running.pop("router", None), self.running.pop("postgres", None)
        for stage in ([first], list(self.running.values()), [last]):
            await asyncio.gather(*(running.stop() for running in stage if running is not None))
        self.running.clear()

    def ready(self) -> dict[str, Any]:
        """Everything a test or a tool needs to know, as JSON."""
        layout = self.layout
        return {
            **{name: layout.url(name) for name in self.running if name in layout.ports and name != "postgres"},
            **({"admin": layout.url("admin")} if "router" in self.running else {}),
            "routes_file": str(layout.routes_file),
            "data": str(layout.data),
            "database_url": layout.database_url,
            "stack_pid": os.getpid(),
            "pids": {name: running.pid for name, running in self.running.items()},
            "logins": logins(ROOT),
        }

    def _log(self, plan: Plan) -> Path:
        return _made(self.layout.data / "logs") / f"{plan.name}.log"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@asynccontextmanager
async def running_stack(options: Options, say: Say) -> AsyncIterator[Stack]:
    """A stack that is ready; whatever ends the block, no process of it is left."""
    data = options.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as leaving:
        leaving.enter_context(_alone_in(data))
        if options.ready_file is not None:
            options.ready_file.parent.mkdir(parents=True, exist_ok=True)
            options.ready_file.unlink(missing_ok=True)  # of a stack that was killed
        (data / TRACES).unlink(missing_ok=True)  # one run, one file
        if not options.keeps_evidence:
            for file in data.glob(f"{EVIDENCE}*"):
                file.unlink()
        if options.filled is not None and not _stamp_file(options, data).exists():
            await copy_filled(_made(options.filled), options.kind, data, lambda draft: _fill(options, draft, say))
            _stamp_file(options, data).write_text(_stamp(options), "utf-8")
        layout, before = _layout(options, data)
        stack = Stack(layout, say)
        leaving.callback(shutil.rmtree, data / PIDS, ignore_errors=True)  # or a later signal would reach a stranger
        leaving.push_async_callback(stack.stop)
        await _start_all(stack, options, before)
        if options.ready_file is not None:
            _write_ready(options.ready_file, stack.ready())
            leaving.callback(options.ready_file.unlink, missing_ok=True)
        yield stack


async def _start_all(stack: Stack, options: Options, before: list[tuple[list[Plan], Plan]]) -> None:
    await _start_database(stack, before)
    layout = stack.layout
    provider = [] if layout.real_provider else [provider_plan(layout)]
    provider += [egress_plan(layout)] if layout.has_egress else []
    stamp_file, stamp = _stamp_file(options, layout.data), _stamp(options)
    known = stamp_file.read_text("utf-8") if stamp_file.exists() else None
    if known == stamp and _still_there(layout.database_url):
        await stack.start(*provider, *_servers(layout, options))
        await stack.start(jobs_plan(layout))
        return
    await stack.start(*provider)
    stamp_file.unlink(missing_ok=True)
    await _fill_database(stack, fresh=known is not None and options.database_url is None)
    stamp_file.write_text(stamp, "utf-8")
    await stack.start(*_servers(layout, options))
    await stack.start(jobs_plan(layout))


async def _start_database(stack: Stack, before: list[tuple[list[Plan], Plan]]) -> None:
    for preparing, server in before:
        for plan in preparing:
            await stack.run(plan)
        await stack.start(server)


async def _fill_database(stack: Stack, *, fresh: bool) -> None:
    stack.say("stack", "Filling the database (once) …")
    for plan in database_plans(stack.layout, fresh=fresh):
        await stack.run(plan)


async def _fill(options: Options, data: Path, say: Say) -> None:
    """A database in a folder of its own, with nobody left who uses it."""
    layout, before = _layout(Options(port_base=0, data=data, postgres=options.postgres), data)
    stack = Stack(layout, say)
    try:
        await _start_database(stack, before)
        await stack.start(*([] if layout.real_provider else [provider_plan(layout)]))
        await _fill_database(stack, fresh=False)
    finally:
        await stack.stop()


def _stamp_file(options: Options, data: Path) -> Path:
    return data / f"{options.kind}.stamp"


def _stamp(options: Options) -> str:
    return stamp_of(ROOT, options.database_url or options.kind, os.environ.get("LLM_BASE_URL", "sandbox"))


def _servers(layout: Layout, options: Options) -> list[Plan]:
    return [plan for plan in server_plans(layout) if options.router or plan.name != "router"]


def _layout(options: Options, data: Path) -> tuple[Layout, list[tuple[list[Plan], Plan]]]:
    real = bool(os.environ.get("LLM_BASE_URL"))
    ports = ports_from(options.port_base)
    unused = {"provider"} if real else set()
    unused |= set() if options.postgres else {"postgres"}
    has_egress = routes_file.has_egress(options.routes or ROOT / "routes.toml")
    unused |= set() if has_egress else {"egress"}
    unused |= {"candidate"} if options.fault is None else set()
    unused |= set() if options.router else {"router", "admin"}
    check_free({name: port for name, port in ports.items() if name not in unused})
    before: list[tuple[list[Plan], Plan]] = []
    database_url = options.database_url or f"sqlite:///{data / 'helpdesk.sqlite3'}"
    if options.postgres:
        preparing, server, database_url = postgres_plans(data / "postgres", ports["postgres"])
        before.append((preparing, server))
    routes = options.routes.resolve() if options.routes else data / "routes.toml"
    keys = make_keys(data)
    layout = Layout(
        ROOT,
        data,
        ports,
        keys,
        database_url,
        routes,
        options.settings,
        real,
        options.postgres,
        has_egress,
        options.fault,
    )
    if options.routes is None:
        routes_file.copy_with_urls(ROOT / "routes.toml", routes, layout.upstream_urls)
    else:
        routes_file.set_urls(routes, layout.upstream_urls)
    return layout, before


def logins(root: Path) -> list[dict[str, str]]:
    """The people of the sample data, all with one password."""
    found = []
    for file in sorted((root / "legacy_app" / "seed").glob("*.toml")):
        sample = tomllib.loads(file.read_text("utf-8"))
        found += [
            {
                "username": agent["username"],
                "password": PASSWORD,
                "role": agent["role"],
                "organisation": sample["slug"],
            }
            for agent in sample["agents"]
        ]
    return found


def _still_there(database_url: str) -> bool:
    """A SQLite file may have been deleted by hand; its stamp then says nothing."""
    scheme, _, path = database_url.partition(":///")
    return scheme != "sqlite" or Path(path).exists()


def _write_ready(file: Path, value: dict[str, Any]) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(value, indent=2), "utf-8")
    draft.replace(file)


@contextmanager
def _alone_in(data: Path) -> Iterator[None]:
    """Two stacks on one folder would write each other's routes."""
    with (data / "stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataInUse(
                f"Another stack runs on {data}. Stop it, or give this one a folder of its own: --data DIR."
            ) from None
        yield


@asynccontextmanager
async def _first_failure() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises its first failure itself rather than a group of them."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except* ProcessFailed as failures:
        failure: BaseException = failures
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        raise failure from None
