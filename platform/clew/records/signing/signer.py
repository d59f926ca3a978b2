"""Takes the electronic signature of a transition or a process step: one atomic unit with what it signs for.

Before anything is written: the proof is the caller's and fresh, what was displayed is what stands here, the person may
sign, nobody objects. At the end of the unit, when every effect has been written, the version that came out is read and
signed. Whatever fails undoes everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from clew.audit import signatures
from clew.audit.leaf import Circumstances
from clew.kernel.errors import NotFound
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity
from clew.records.errors import SignatureRequired, Stale
from clew.records.participants import Change
from clew.records.signing.content import Content, key_of, present_content, version_content
from clew.records.signing.errors import (
    AlreadySigned,
    ComponentsMissing,
    NotASigner,
    NotWhatWasShown,
    RecordAltered,
)
from clew.records.signing.proven import PROOF_LASTS, SESSION_BREAK, Signing, enough
from clew.records.signing.signatories import STEP, Act, Objections, Signatories, Signatory
from clew.records.signing.verify import sources_digest
from clew.records.signing.zones import zone_of
from clew.records.unit import Unit

_BOOKKEEPING = ("row_version", "updated_at", "updated_by")


@dataclass(frozen=True, slots=True)
class Asked:
    """A signature that was accepted and is given when the unit ends."""

    entity: Entity
    record_id: UUID
    action: str
    meaning: str
    signing: Signing
    signatory: Signatory
    shown: Content
    definition: Mapping[str, Any]
    process_step: str | None
    """The step of a process in which it is given; by then another may be under way."""


class RecordSigner:
    """Implements `records.participants.Signer`. One per release."""

    def __init__(self, signatories: Signatories, objections: Objections = ()) -> None:
        self._signatories, self._objections = signatories, tuple(objections)

    async def sign(self, change: Change, meaning: str, unit: Unit) -> None:
        """The signature of a transition. Raises SignatureRequired and the errors of `records.signing.errors`."""
        move = change.transition
        assert move is not None
        assert change.old is not None
        if unit.signing is None:
            raise SignatureRequired(transition=move.label, meaning=meaning)
        definition = {
            "transition": move.name,
            "from": list(move.sources),
            "to": move.target,
            "guard": move.when.source if move.when is not None else None,
            "at": str(move.place),
        }
        repeats = move.target == change.old.get("state")
        await self._ask(unit, change.entity, change.old, change.action, meaning, unit.signing, definition, repeats)

    async def sign_step(
        self,
        unit: Unit,
        entity: Entity,
        record_id: UUID,
        step: str,
        meaning: str,
        signing: Signing | None,
        definition: Mapping[str, Any],
    ) -> None:
        """The signature of a process step over the record the step is about, inside the engine's transaction.

        `definition` says by which pinned workflow (name, digest, step, outcome); it is signed too. The record is signed
        as it is when the unit ends.
        """
        if signing is None:
            raise SignatureRequired(transition=step, meaning=meaning)
        record = await unit.lock(entity, record_id)
        if record is None:
            raise NotFound(what=entity.label)
        await self._ask(unit, entity, record, f"{STEP}{step}", meaning, signing, definition, repeats=True)

    async def _ask(
        self,
        unit: Unit,
        entity: Entity,
        record: Mapping[str, Any],
        action: str,
        meaning: str,
        signing: Signing,
        definition: Mapping[str, Any],
        repeats: bool,
    ) -> None:
        shown = await self._as_shown(unit, entity, record, meaning, signing)
        await self._proven(unit, meaning, signing)
        signatory = await self._may_sign(unit, entity, record, action, meaning)
        act = Act(entity, record["id"], action, meaning, record, signatory)
        for each in self._objections:
            await each.object(act, unit)
        if repeats:
            await _once(unit, act, shown, definition)
        step = action.removeprefix(STEP) if action.startswith(STEP) else unit.process_step
        asked = Asked(entity, record["id"], action, meaning, signing, signatory, shown, definition, step)
        unit.at_end.append(lambda: _give(unit, asked))

    async def _as_shown(
        self, unit: Unit, entity: Entity, record: Mapping[str, Any], meaning: str, signing: Signing
    ) -> Content:
        """Threat 31: the version, its content and the meaning are those the signer had in view."""
        if signing.row_version != record["row_version"]:
            raise Stale(
                path=["rowVersion"], what=entity.label, current=record["row_version"], given=signing.row_version
            )
        if signing.meaning != meaning:
            which = Bilingual("签名含义", "the meaning of the signature")
            raise NotWhatWasShown(path=["signature", "meaning"], what=entity.label, which=which)
        content = await version_content(unit.connection, unit.engine, entity, record["id"], record["row_version"])
        present = await present_content(unit.connection, unit.engine, entity, record["id"])
        if content is None or present is None or content.value != present.value:
            raise RecordAltered(what=entity.label)
        if signing.digest != content.shown(await key_of(unit.connection)):
            which = Bilingual("内容", "its content")
            raise NotWhatWasShown(path=["signature", "digest"], what=entity.label, which=which)
        return content

    async def _proven(self, unit: Unit, meaning: str, signing: Signing) -> None:
        """The proof is the caller's own, fresh, and of enough components for where the session stands."""
        proof, person = signing.proof, unit.context.person
        if proof.account != person.id:
            why = Bilingual("身份证明属于他人", "the proof is somebody else's")
            raise NotASigner(meaning=meaning, why=why)
        if not -PROOF_LASTS <= unit.at - proof.at <= PROOF_LASTS:
            raise ComponentsMissing(needed=_FRESH, given=_listed(proof.components))
        if enough(proof.components, continuing=False):
            return
        if not enough(proof.components, continuing=await self._continues(unit)):
            raise ComponentsMissing(needed=_ALL, given=_listed(proof.components))

    async def _continues(self, unit: Unit) -> bool:
        """Whether this is the same continuous session: signed in it before, not long ago, from the same address."""
        session = unit.context.session
        if session is None:
            return False
        last = await signatures.last_in_session(unit.connection, session, unit.context.person.id)
        if last is None or last.address != unit.context.client:
            return False
        # Where the clock was set back nobody knows how long ago that was.
        return -PROOF_LASTS <= unit.at - last.signed_at <= SESSION_BREAK

    async def _may_sign(
        self, unit: Unit, entity: Entity, record: Mapping[str, Any], action: str, meaning: str
    ) -> Signatory:
        found = await self._signatories.signatory(unit, entity, record, action, meaning)
        if found is None:
            why = Bilingual("没有对应的个人账号", "there is no account of a person behind this")
            raise NotASigner(meaning=meaning, why=why)
        obstacle = found.obstacle()
        if obstacle is not None:
            raise NotASigner(meaning=meaning, why=obstacle)
        return found


_ROUND = ("process", "round")
"""What of a step's definition says which time it is asked."""


async def _once(unit: Unit, act: Act, shown: Content, definition: Mapping[str, Any]) -> None:
    """Where a signature leads to no other state, the same person signing the same content again says nothing new and
    would count twice. A step that is asked anew, in another round or process, is answered anew."""
    mine = (act.signatory.account, act.meaning, act.action)
    for each in await signatures.of_record(unit.connection, act.entity.known_as, act.record_id):
        if (each.account, each.meaning, each.action) != mine:
            continue
        signed = each.signed()
        same_round = all(signed["definition"].get(name) == definition.get(name) for name in _ROUND)
        if same_round and _said(signed["content"]) == _said(shown.value):
            raise AlreadySigned(what=act.entity.label, meaning=act.meaning)


def _said(content: Mapping[str, Any]) -> dict[str, Any]:
    """A content without what every version changes."""
    fields = {name: value for name, value in content["fields"].items() if name not in _BOOKKEEPING}
    return {**content, "fields": fields}


async def _give(unit: Unit, asked: Asked) -> None:
    """Sign the version that has come out, in the unit that made it."""
    entity, signing, who = asked.entity, asked.signing, asked.signatory
    statements = unit.engine.statements.of(entity.name)
    row = await unit.connection.fetch_one(statements.lock, {"id": asked.record_id})
    if row is None:
        raise RecordAltered(what=entity.label)
    record = statements.shape.record(row)
    content = await version_content(unit.connection, unit.engine, entity, asked.record_id, record["row_version"])
    if content is None:
        raise RecordAltered(what=entity.label)
    context = unit.context
    known = {
        "signature_id": uuid7(),
        "entity": entity.name,
        "record_id": asked.record_id,
        "row_version": content.row_version,
        "record_sha256": content.sha256,
        "action": asked.action,
        "meaning": asked.meaning,
        "account": who.account,
        "employee": who.employee,
        "printed_name": who.printed_name,
        "role": who.role,
        "signed_at": unit.at,
        "time_zone": await zone_of(unit, record),
        "components_used": tuple(sorted(signing.proof.components)),
        "reason": unit.reason,
        "session": context.session,
        "address": context.client,
    }
    more = {
        "content": content.value,
        "shown": {"row_version": asked.shown.row_version, "record_sha256": asked.shown.sha256},
        "not_shown": sorted(_hidden(unit, entity)),
        "definition": dict(asked.definition),
        "release": unit.engine.release,
        "blueprint": unit.engine.blueprint.digest,
        "sources": sources_digest(unit.engine),
        "request_id": context.request_id,
        "on_behalf_of": context.on_behalf_of.id if context.on_behalf_of else None,
    }
    circumstances = Circumstances(unit.at, context, unit.engine.release, unit.reason)
    signature, leaf = signatures.make_signature(known, more, circumstances, asked.process_step)
    unit.leaves.append(leaf)
    await signatures.insert(unit.connection, signature)


def _hidden(unit: Unit, entity: Entity) -> set[str]:
    """Fields of the record the signer could not see, or not on every record: named, so that nobody can say later that
    more was approved than was shown."""
    access = unit.access(entity)
    stored = (each.name for each in entity.fields.values() if each.stored)
    return {name for name in stored if (found := access.fields.get(name)) is None or not found.read.always}


def _listed(components: frozenset[str]) -> Bilingual:
    names = sorted(components)
    return Bilingual("、".join(names) or "无", ", ".join(names) or "nothing")


_ALL = Bilingual("全部身份要素:登录账号与个人密码", "all components: your login and a secret of yours")
_FRESH = Bilingual("重新验证身份", "a fresh proof")
