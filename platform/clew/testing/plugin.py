"""The pytest plugin: `database` (each test on both engines), `tier`, and the event loop that async tests run on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clew.kernel.collector import calm
from clew.testing.databases import PostgresServer, Templates, TestDatabase

_FOLDER = pytest.StashKey[str]()
_ROOM = 4 * 2**30
"""Bytes that the databases of one run may take at most, at the counts of the short tier."""


@dataclass(frozen=True, slots=True)
class Tier:
    """How long the long loops are: `small` in every run, `full` when CLEW_TEST_TIER says so."""

    name: str

    @property
    def full(self) -> bool:
        return self.name == "full"

    def count(self, small: int, full: int) -> int:
        return full if self.full else small


def tier_of(environ: Mapping[str, str]) -> Tier:
    """The tier that the environment names."""
    return Tier(environ.get("CLEW_TEST_TIER", "small"))


@pytest.fixture(scope="session")
def tier() -> Tier:
    return tier_of(os.environ)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests (`@pytest.mark.anyio`) run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> PostgresServer:
    """The PostgreSQL server of this run; CLEW_TEST_DATABASE_URL names another one to use."""
    given = os.environ.get("CLEW_TEST_DATABASE_URL")
    if given:
        return PostgresServer(given)
    return PostgresServer.start(Path(_folder(request.config)))


@pytest.fixture(scope="session")
def database_folder() -> Iterator[Path]:
    """Where the SQLite databases of this run are made. In memory a commit does not wait for a disk; what a process that
    is killed has committed is there all the same."""
    with tempfile.TemporaryDirectory(prefix="clew-sqlite-", dir=in_memory()) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def database_templates(database_folder: Path) -> Iterator[Templates]:
    """Installed projects, copied by `TestDatabase.installed`."""
    folder = database_folder / "templates"
    folder.mkdir()
    templates = Templates(folder)
    yield templates
    templates.close()


@pytest.fixture
def new_database(
    request: pytest.FixtureRequest, database_folder: Path, database_templates: Templates
) -> Iterator[Callable[[str], TestDatabase]]:
    """Make further empty databases: `new_database("sqlite")`, `new_database("postgresql")`."""
    made: list[tuple[TestDatabase, PostgresServer | None]] = []
    folder = Path(tempfile.mkdtemp(dir=database_folder))

    def make(dialect: str) -> TestDatabase:
        if dialect == "sqlite":
            url = f"sqlite:///{folder / f'clew{len(made)}.db'}"
            made.append((TestDatabase("sqlite", url, database_templates), None))
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            made.append((TestDatabase("postgresql", server.create(), database_templates), server))
            database_templates.know(made[-1][0].url, server)
        return made[-1][0]

    yield make
    for database, server in made:
        database.close()
        if server:
            server.drop(database.url)
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, new_database: Callable[[str], TestDatabase]) -> TestDatabase:
    """A fresh, empty database; the test runs once on each engine."""
    return new_database(request.param)


def pytest_configure(config: pytest.Config) -> None:
    calm()  # as in a server: a sixth of the time of a run is spent looking through projects that stay
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker:
        config.stash[_FOLDER] = worker["clew_postgres"]


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _FOLDER in config.stash:
        # The server itself stops with the last process that used it; only an unused folder is left to remove.
        folder = Path(config.stash[_FOLDER])
        if not (folder / "postmaster.pid").exists():
            shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Workers of one run share one server."""
    node.workerinput["clew_postgres"] = _folder(node.config)


def in_memory() -> Path | None:
    """A folder in the machine's memory, where it has one with room to spare, for the short tier. A copy of a large
    project is thousands of files: on a disk that others write to it takes ten seconds, here a quarter of one."""
    # What is put there are folders of mkdtemp, closed to others.
    shared = Path("/dev/shm")  # nosec B108
    if tier_of(os.environ).full:
        return None
    roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= _ROOM
    return shared if roomy else None


def _folder(config: pytest.Config) -> str:
    # Not below pytest's own folder: that one is closed to other users, and as root the server runs as another one.
    if _FOLDER not in config.stash:
        config.stash[_FOLDER] = tempfile.mkdtemp(prefix="clew-postgres-", dir=in_memory())
    return config.stash[_FOLDER]
