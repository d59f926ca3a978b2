"""The release bundle: one file that carries a release from test to production. docs/promotion.md describes it.

Three parts, each built on the one before: `export` (sources, where it ran, test results; sealed by that installation),
`target` (the plan for the database it goes to, and whom it gives or takes access), and signatures over both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from clew.kernel.canonical import digest, wire
from clew.kernel.scalars import parse_instant
from clew.storage.promotion.errors import BundleUnreadable, SameSigner
from clew.storage.promotion.keys import SealingKey

FORMAT = "clew-release-1"
Meaning = Literal["authorship", "approval"]


@dataclass(frozen=True, slots=True)
class Endorsement:
    """One person's electronic signature under a bundle, sealed by the installation that checked who it was."""

    meaning: Meaning
    account: UUID
    employee: UUID | None
    login: str
    name: str
    at: datetime
    digest: str
    """Of the bundle's content: what was signed."""
    signature: UUID | None
    """The id of the stored electronic signature where it was given."""
    database: UUID
    """The installation that proved the person."""
    key: str
    seal: str = ""

    def statement(self) -> dict[str, Any]:
        """What the seal covers: everything but the seal."""
        return {name: wire(getattr(self, name)) for name in self.__dataclass_fields__ if name != "seal"}

    def same_person(self, other: Endorsement) -> bool:
        """True when both may be one human being: the account, the employee or the login is the same."""
        return (
            self.account == other.account
            or (self.employee is not None and self.employee == other.employee)
            or self.login.casefold() == other.login.casefold()
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """What travels. `export` and `target` are plain JSON data; `seal` names the key and covers `export`."""

    export: Mapping[str, Any]
    key: str
    seal: str
    target: Mapping[str, Any] | None = None
    signatures: tuple[Endorsement, ...] = ()

    @property
    def digest(self) -> str:
        """What people sign: everything the bundle says, but not who has signed."""
        return digest([FORMAT, self.export, self.key, self.seal, self.target])

    @property
    def sources(self) -> dict[str, str]:
        return dict(self.export["sources"])

    @property
    def plan_id(self) -> str | None:
        return str(self.target["plan"]["id"]) if self.target else None

    @property
    def consents(self) -> frozenset[str]:
        return frozenset(self.target["consents"]) if self.target else frozenset()

    def aimed(self, target: Mapping[str, Any]) -> Bundle:
        """The same export, planned for a database. Earlier signatures fall away: they were under something else."""
        return replace(self, target=wire(target), signatures=())

    def signed(self, endorsement: Endorsement, key: SealingKey) -> Bundle:
        """With one more signature. Raises SameSigner when that person has signed."""
        if any(endorsement.same_person(each) for each in self.signatures):
            raise SameSigner(name=endorsement.name)
        sealed = replace(endorsement, key=key.id, seal="")
        return replace(self, signatures=(*self.signatures, replace(sealed, seal=key.seal(sealed.statement()))))

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "digest": self.digest,
            "export": self.export,
            "key": self.key,
            "seal": self.seal,
            "target": self.target,
            "signatures": [{**each.statement(), "seal": each.seal} for each in self.signatures],
        }

    def without_sources(self) -> dict[str, Any]:
        """As JSON, for keeping beside a release that has the sources itself."""
        return self.to_json() | {"export": {name: part for name, part in self.export.items() if name != "sources"}}

    @classmethod
    def from_json(cls, data: Any, file: object = "") -> Bundle:
        """Strict: anything that is missing, unknown or of another shape refuses. Raises BundleUnreadable."""
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']}")
            if set(data) != {"format", "digest", "export", "key", "seal", "target", "signatures"}:
                raise ValueError("unknown or missing members")
            export, target = data["export"], data["target"]
            _shaped(export, EXPORT_MEMBERS)
            if target is not None:
                _shaped(target, TARGET_MEMBERS)
                _difference(target["access"])
            signatures = tuple(_endorsement(each) for each in data["signatures"])
            found = cls(export, str(data["key"]), str(data["seal"]), target, signatures)
            if found.digest != data["digest"]:
                raise ValueError("the digest does not fit the content")
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise BundleUnreadable(file=file, what=str(problem)) from None
        return found


EXPORT_MEMBERS: Mapping[str, type] = {
    "project": dict,
    "origin": dict,
    "compiler": str,
    "blueprint_digest": str,
    "release": dict,
    "sources": dict,
    "tests": list,
    "note": str,
    "at": str,
}
TARGET_MEMBERS: Mapping[str, type] = {"plan": dict, "consents": list, "access": dict, "at": str, "by": str}


ACCESS_MEMBERS: Mapping[str, type] = {
    "format": int,
    "changes": list,
    "new_conflicts": list,
    "roles_gone": list,
    "roles_new": list,
}
"""What a release changes in people's access; `records.review.promoted` makes it and asks it again."""
_CHANGE = ("login", "name", "entity", "action", "field", "subject", "label", "effect", "records_gained",
           "records_lost", "before", "after")  # fmt: skip
_WORDS = ("subject", "label", "before", "after")


def exported(content: Mapping[str, Any], key: SealingKey) -> Bundle:
    """A fresh bundle, sealed by the installation it comes from."""
    plain: dict[str, Any] = wire(content)
    _shaped(plain, EXPORT_MEMBERS)
    return Bundle(plain, key.id, key.seal(plain))


def _shaped(part: Mapping[str, Any], members: Mapping[str, type]) -> None:
    if set(part) != set(members):
        raise ValueError(f"members {sorted(set(part) ^ set(members))}")
    for name, kind in members.items():
        if not isinstance(part[name], kind):
            raise ValueError(f"{name} is not a {kind.__name__}")


def _difference(access: Mapping[str, Any]) -> None:
    _shaped(access, ACCESS_MEMBERS)
    for each in access["changes"]:
        if set(each) != set(_CHANGE) or any(set(each[name]) != {"zh", "en"} for name in _WORDS):
            raise ValueError("a change of access has unknown or missing members")
    for each in access["new_conflicts"]:
        if set(each) != {"login", "name", "separation", "roles"}:
            raise ValueError("a new conflict has unknown or missing members")


def _endorsement(data: Mapping[str, Any]) -> Endorsement:
    names: Sequence[str] = tuple(Endorsement.__dataclass_fields__)
    if set(data) != set(names):
        raise ValueError("a signature has unknown or missing members")
    if data["meaning"] not in get_args(Meaning):
        raise ValueError(f"meaning {data['meaning']}")
    values = dict(data)
    for name in ("account", "employee", "signature", "database"):
        values[name] = UUID(data[name]) if data[name] is not None else None
    values["at"] = parse_instant(data["at"])
    return Endorsement(**values)
