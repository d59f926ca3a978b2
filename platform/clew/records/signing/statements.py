"""Electronic signatures over what is no record: a release bundle, the attestation of an assignment.

The same bytes, table and leaf as for records; the content is the statement itself, so that it stands alone and is
verified by itself. Two components are asked every time: there is no continuous session on a command line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from clew.access.decision import Decision
from clew.audit import signatures
from clew.audit.leaf import Circumstances
from clew.audit.signatures import Signature
from clew.audit.trail import PLATFORM, append
from clew.identity.credentials import Proof
from clew.kernel.canonical import canonical_json, wire
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.records.engine import Engine
from clew.records.judge import Judge
from clew.records.signing.accounts import ACCOUNTS, knows_signers, signing_person
from clew.records.signing.errors import ComponentsMissing, NotASigner
from clew.records.signing.proven import PROOF_LASTS, enough
from clew.storage.engine import Connection

NOT_ON_FILE = Bilingual(
    "尚未核验身份、未登记电子签名声明或不在职",
    "identity not verified, statement on electronic signatures not on file, or not in service",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed. `entity` begins with `clew.`; `content` is everything the signer was shown."""

    entity: str
    subject: UUID
    action: str
    meaning: str
    content: Mapping[str, Any]
    reason: str | None = None


async def sign_statement(
    connection: Connection,
    context: Context,
    decision: Decision,
    proof: Proof,
    statement: Statement,
    engine: Engine,
) -> Signature:
    """Sign in the caller's transaction. `context.person` is the signer; `decision` is what they may.

    Where the project's persons say who may sign (identity verified, statement on file; domain F1), the signer must be
    one of them. Raises NotASigner and ComponentsMissing.
    """
    assert statement.entity.startswith(PLATFORM)
    at = await connection.now()
    release = engine.release
    role = _may_sign(context, decision, proof, statement.meaning)
    printed = proof.account.name
    if knows_signers(engine):
        judge = Judge(engine, connection, context.person, at, at.astimezone(engine.zone).date())
        printed, may = await signing_person(engine, connection, judge, proof.account.employee)
        if not may:
            raise NotASigner(meaning=statement.meaning, why=NOT_ON_FILE)
    components = frozenset(proof.components_used)
    if not -PROOF_LASTS <= at - proof.at <= PROOF_LASTS or not enough(components, continuing=False):
        needed = Bilingual("登录账号与个人密码", "your login and a secret of yours")
        given = ", ".join(sorted(components)) or "-"
        raise ComponentsMissing(needed=needed, given=given)
    content = wire(statement.content)
    known = {
        "signature_id": uuid7(),
        "entity": statement.entity,
        "record_id": statement.subject,
        "row_version": 0,
        "record_sha256": hashlib.sha256(canonical_json(content)).hexdigest(),
        "action": statement.action,
        "meaning": statement.meaning,
        "account": proof.account.id,
        "employee": proof.account.employee,
        "printed_name": printed or proof.account.name,
        "role": role,
        "signed_at": at,
        "time_zone": engine.blueprint.project.time_zone,
        "components_used": tuple(sorted(components)),
        "reason": statement.reason,
        "session": context.session,
        "address": context.client,
    }
    more = {"content": content, "release": release, "request_id": context.request_id}
    circumstances = Circumstances(at, context, release, statement.reason)
    signature, leaf = signatures.make_signature(known, more, circumstances)
    await append(connection, leaf, context.person.id)
    await signatures.insert(connection, signature)
    return signature


def _may_sign(context: Context, decision: Decision, proof: Proof, meaning: str) -> str:
    """One living person, who proved to be so, holds the meaning, and administers no accounts (domain C)."""
    account, why = proof.account, None
    if account.id != context.person.id:
        why = Bilingual("身份证明属于他人", "the proof is somebody else's")
    elif account.kind != "person" or not account.active:
        why = Bilingual("仅在用的自然人账号可以签名", "only the active account of a person signs")
    elif meaning not in decision.signs:
        why = Bilingual("没有具备该签名含义的角色", "no role of yours holds this meaning")
    elif ACCOUNTS in decision.administers:
        why = Bilingual("系统管理员不能签名", "an administrator of accounts signs nothing")
    if why is not None:
        raise NotASigner(meaning=meaning, why=why)
    return ", ".join(context.person.roles)
