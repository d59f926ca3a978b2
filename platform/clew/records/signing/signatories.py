"""Who may sign: one living person, known and bound, in a role that holds the meaning. A port, answered by the runtime.

domain F1: a signature is unique to one person and never reassigned; identity is verified and the statement is on file
before the first one. Administrators of accounts sign nothing (domain C: system administrator ≠ any signing role).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity

if TYPE_CHECKING:
    from clew.records.unit import Unit


STEP = "step:"
"""What the action of a signature begins with that was given in a step of a process."""


@dataclass(frozen=True, slots=True)
class Signatory:
    """The person behind an account, as the transaction finds them."""

    account: UUID
    kind: str
    """person | service | external: only a person signs."""
    active: bool
    employee: UUID | None
    printed_name: str
    may_sign: bool
    """Identity verified, statement on file, in service: the person entity says so."""
    role: str | None
    """The role that holds the meaning; None when no role of theirs does."""
    administers: bool = False
    """Holds a role that administers accounts."""

    def obstacle(self) -> Bilingual | None:
        """Why this person cannot sign; None when nothing stands in the way."""
        if self.kind != "person":
            return Bilingual("仅自然人账号可以签名", "only the account of a person signs")
        if not self.active:
            return Bilingual("账号已停用", "the account is disabled")
        if self.administers:
            return Bilingual("系统管理员不能签名", "an administrator of accounts signs nothing")
        if self.employee is None or not self.may_sign:
            return Bilingual(
                "尚未核验身份、未登记电子签名声明或不在职",
                "identity not verified, statement on electronic signatures not on file, or not in service",
            )
        if self.role is None:
            return Bilingual("没有具备该签名含义的角色", "no role of yours holds this meaning")
        return None


class Signatories(Protocol):
    """Finds the person behind an account, inside the transaction that signs."""

    async def signatory(
        self, unit: Unit, entity: Entity, record: Mapping[str, Any], action: str, meaning: str
    ) -> Signatory | None:
        """The caller's account, and the role of theirs that may give this meaning to this record; None when there is no
        account (a machine without accounts)."""
        ...


@dataclass(frozen=True, slots=True)
class Act:
    """What is about to be signed, for whoever else has a say: separation of duties, process rules."""

    entity: Entity
    record_id: UUID
    action: str
    """`transition:<name>`, or `step:<name>` of a process."""
    meaning: str
    record: Any
    """The record as it stands before the act."""
    signatory: Signatory


class Objection(Protocol):
    """Somebody who may refuse a signature, inside its transaction, before anything is written."""

    async def object(self, act: Act, unit: Unit) -> None:
        """Raise to refuse."""
        ...


Objections = Sequence[Objection]
