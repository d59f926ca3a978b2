"""What the tests of signatures share: the mini project with people who may sign, and somebody who checks secrets."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.signatures import Signature
from clew.kernel.context import Context
from clew.kernel.errors import Forbidden
from clew.kernel.ids import uuid7
from clew.metadata.blueprint import Entity
from clew.records.commands import Call
from clew.records.signing.content import key_of, version_content
from clew.records.signing.proven import Proof, Signing
from clew.records.signing.signatories import Objection, Signatory
from clew.records.signing.signer import RecordSigner
from clew.records.signing.verify import Verifier
from clew.records.unit import Unit
from clew.storage import identity_tables, system
from clew.storage.engine import Connection, Database

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import PERSON, Plant, a_lot, mini, plant

OTHER = replace(PERSON, id=UUID("0190c000-0000-7000-8000-00000000000b"), login="li", name="李工")
EMPLOYEES = {
    PERSON.id: UUID("0190c000-0000-7000-8000-0000000000ea"),
    OTHER.id: UUID("0190c000-0000-7000-8000-0000000000eb"),
}


@dataclass
class People:
    """Everybody known may sign everything, unless a test says otherwise."""

    known: dict[UUID, Signatory] = field(default_factory=dict)

    async def signatory(
        self, unit: Unit, entity: Entity, record: Mapping[str, Any], action: str, meaning: str
    ) -> Signatory | None:
        return self.known.get(unit.context.person.id)


def everybody() -> People:
    return People(
        {
            each.id: Signatory(each.id, "person", True, EMPLOYEES[each.id], each.name, True, "qc_inspector")
            for each in (PERSON, OTHER)
        }
    )


class WrongSecret(Forbidden):
    """What the double of the credential room raises."""

    code = "TEST_WRONG_SECRET"
    en = zh = "wrong"


@dataclass
class Secrets:
    """Knows each person's login, and one secret word for all that is personal."""

    plant: Plant
    word: str = "open sesame"
    tries: int = 0

    async def prove(self, context: Context, components: Mapping[str, str]) -> Proof:
        self.tries += 1
        for name, value in components.items():
            if value != (context.person.login if name == "login" else self.word):
                raise WrongSecret()
        async with self.plant.database.read() as connection:
            return Proof(context.person.id, frozenset(components), await connection.now())


@dataclass
class Office:
    """An installed project in which people sign."""

    plant: Plant
    people: People
    secrets: Secrets
    verifier: Verifier

    async def session(self, *names: str) -> None:
        """Sessions that are open; who holds them does not matter here."""

        async def work(connection: Connection) -> None:
            at = await connection.now()
            for name in names:
                row: dict[str, Any] = {"id": name, "account": PERSON.id, "data": {}, "epoch": 0}
                row |= {"created_at": at, "seen_at": at}
                row |= {"expires_at": at + timedelta(days=1), "revoked_at": None}
                await connection.execute(sa.insert(identity_tables.session), row)

        await self.plant.database.run_write(work)

    async def lot(self, **changes: Any) -> UUID:
        made = await self.plant.commands.create(self.plant.call, "lot", a_lot(self.plant, **changes))
        return made.id

    async def shown(self, record_id: UUID, version: int, entity: str = "lot") -> str:
        """The digest a signer of this version gets to see."""
        engine = self.plant.commands.engine
        async with self.plant.database.read() as connection:
            known = engine.blueprint.entities[entity]
            content = await version_content(connection, engine, known, record_id, version)
            assert content is not None
            return content.shown(await key_of(connection))

    async def signing(
        self, record_id: UUID, version: int, meaning: str = "release", components: str = "login password",
        at: datetime | None = None, entity: str = "lot", person: Any = PERSON,
    ) -> Signing:  # fmt: skip
        """A signing as the door makes it."""
        async with self.plant.database.read() as connection:
            now = at or await connection.now()
        digest = await self.shown(record_id, version, entity)
        return Signing(Proof(person.id, frozenset(components.split()), now), version, digest, meaning)

    def call(self, person: Any = PERSON, session: str | None = "s1", client: str = "10.0.0.1", **more: Any) -> Call:
        context = replace(self.plant.call.context, person=person, session=session, client=client)
        return replace(self.plant.call, context=context, **more)

    async def release(self, record_id: UUID, version: int = 1, **options: Any) -> Any:
        """Sign and release a lot."""
        made = {name: options.pop(name) for name in ("components", "at", "meaning") if name in options}
        person = options.get("person", PERSON)
        signing = options.pop("signing", None) or await self.signing(record_id, version, person=person, **made)
        call = self.call(signing=signing, reason="checked", **options)
        return await self.plant.commands.transition(call, "lot", record_id, "release", version)

    async def signatures(self) -> list[Signature]:
        async with self.plant.database.read() as connection:
            rows = await connection.fetch(sa.select(system.signature.c.signature_id).order_by("signature_id"))
            from clew.audit import signatures

            found = [await signatures.one(connection, row[0]) for row in rows]
        return [each for each in found if each is not None]

    async def problems(self) -> list[tuple[str, ...]]:
        """What each broken signature does not agree with."""
        return [each.problems async for each in self.verifier.broken(self.plant.database)]


async def office(database: Database, *objections: Objection, **options: Any) -> Office:
    people = everybody()
    made = await plant(database, signer=RecordSigner(people, objections), **options)
    found = Office(made, people, Secrets(made), Verifier(made.commands.engine, made.commands.engine.blobs))
    if options.get("fresh", True):
        await found.session("s1")
    return found


__all__ = ["OTHER", "PERSON", "Office", "People", "Secrets", "a_lot", "mini", "office", "uuid7"]
