"""Identity on a database of its own for tests: cheap hashes, a clock that stands still, a witness that remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from clew.identity import accounts
from clew.identity.accounts import Account, Kind
from clew.identity.assignments import Asked, Assignment
from clew.identity.desk import Desk, desk
from clew.identity.ports import SecurityEvent
from clew.identity.secrets import Cost, Hasher, Vault
from clew.kernel.context import Context, Person
from clew.storage.change import install
from clew.storage.engine import Connection
from clew.testing.blueprints import blueprint, entity
from clew.testing.clock import ManualClock
from clew.testing.databases import TestDatabase

CHEAP = Cost(1, 8, 1)
PASSWORD = "correct horse battery"
ADMIN = Person(id=UUID(int=77), login="root.admin", name="Admin")
BY_ADMIN = Context(ADMIN, "test-request")


@dataclass
class Remembering:
    """A witness for tests."""

    events: list[SecurityEvent] = field(default_factory=list)

    async def record(self, connection: Connection, event: SecurityEvent) -> None:
        self.events.append(event)

    def actions(self) -> list[str]:
        return [each.action for each in self.events]


@dataclass(frozen=True)
class Book:
    """Roles with the groups that exclude each other."""

    separations: Mapping[str, tuple[frozenset[str], ...]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset({"nonsense"})

    def knows(self, role: str) -> bool:
        return role not in self.unknown

    def given_to(self, role: str) -> str:
        return self.kinds.get(role, "person")

    def conflicts(self, roles: Iterable[str], until: date | None = None) -> tuple[str, ...]:
        held = set(roles)
        return tuple(
            name for name, groups in self.separations.items() if sum(bool(held & group) for group in groups) > 1
        )

    def names(self) -> tuple[str, ...]:
        return ("buyer", "sqe")

    def deciding(self) -> tuple[str, ...]:
        return ("sys_admin",)


BOOK = Book(
    {"buyer_is_not_approver": (frozenset({"buyer"}), frozenset({"sqe", "qa_manager"}))},
    {"connector": "service", "supplier": "external"},
)


@dataclass
class Case:
    desk: Desk
    clock: ManualClock
    witness: Remembering

    async def account(self, login: str, kind: Kind = "person", password: str = PASSWORD) -> Account:
        async def work(connection: Connection, at: datetime) -> Account:
            return await accounts.create(
                connection, self.witness, BY_ADMIN, login=login, name=login.title(), at=at, kind=kind
            )

        made = await self.desk.within(work)
        if password:
            await self.desk.credentials.set_password(made, password, BY_ADMIN, settled=True)
        return made

    async def assign(self, account: Account, role: str, **more: object) -> Assignment:
        async def work(connection: Connection, at: datetime) -> Assignment:
            asked = Asked(account.id, role, more.pop("valid_from", at), **more)  # type: ignore[arg-type]
            return await self.desk.assignments.assign(connection, BY_ADMIN, asked, at)

        return await self.desk.within(work)

    async def signed_in(self, login: str, password: str = PASSWORD) -> str:
        proof = await self.desk.credentials.sign_in(login, password, "")
        return await self.desk.begin(proof, BY_ADMIN)

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))


async def identity(case: TestDatabase) -> Case:
    clock, witness = ManualClock(), Remembering()
    database = await case.open(clock=clock)
    await install(database, blueprint(entity("lot", [])))
    made = desk(database, clock, witness, Vault("a key for tests"), hasher=Hasher(CHEAP), roles=BOOK)
    return Case(made, clock, witness)


def as_(account: Account) -> Context:
    return Context(Person(id=account.id, login=account.login, name=account.name), "test-request")
