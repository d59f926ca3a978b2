"""Policy tests, run in memory: the same decisions that commands and reads ask, on records that exist only here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from clew.access import separations
from clew.access.decision import Grant
from clew.access.explain import explain
from clew.access.judgement import Judgement
from clew.access.unite import Held, Unite, held_by
from clew.expressions.interpret import compile_memory
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Checked
from clew.kernel.context import EVERYWHERE, Person, Scope
from clew.kernel.diagnostics import Diagnostic, Findings
from clew.kernel.scalars import parse_date, parse_decimal, parse_duration, parse_instant
from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.metadata.policies import ASSIGN, CONNECTOR, DO, Act, PolicyCase, PolicyTest

ME, MINE = "me", "mine"
"""Words that stand for the person, and for the company an external person acts for."""
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
_LISTS = frozenset({FieldKind.MANY, FieldKind.LINES, FieldKind.CHOICES, FieldKind.FILES})


def named_id(word: str) -> UUID:
    """The id that a word stands for: the same word, the same id."""
    try:
        return UUID(word)
    except ValueError:
        return uuid5(NAMESPACE_OID, word)


OWN, OTHER = named_id("own site"), named_id("other site")
OWN_FAMILY, OTHER_FAMILY = "own", "other"

OUTCOMES: Mapping[str, Bilingual] = {
    "allow": Bilingual("允许", "allowed"),
    "deny": Bilingual("拒绝", "denied"),
    "shown": Bilingual("显示", "shown"),
    "masked": Bilingual("遮蔽", "masked"),
    "hidden": Bilingual("隐藏", "hidden"),
}
REASONS: Mapping[str, Bilingual] = {
    "granted": Bilingual("已授予", "granted"),
    "no_grant": Bilingual("没有授权", "no grant"),
    "condition": Bilingual("条件不成立", "no condition holds"),
    "site": Bilingual("不属于所任工厂", "not of the assignment's sites"),
    "family": Bilingual("不属于所任产品族", "not of the assignment's product families"),
    "never": Bilingual("有角色禁止", "a role forbids it"),
    "hidden": Bilingual("字段不存在", "there is no such field"),
    "masked": Bilingual("字段在此记录上不显示", "the field is not shown on this record"),
    "separation": Bilingual("职责分离禁止", "a separation of duties forbids it"),
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came out of one case."""

    outcome: str
    reason: str
    separations: tuple[str, ...] = ()
    """Those that refuse."""

    def meets(self, case: PolicyCase) -> bool:
        """Whether it is what the case expects."""
        return (
            self.outcome == case.expect
            and case.because in ("", self.reason)
            and (not case.separation or case.separation in self.separations)
        )


class Trial:
    """Runs the policy tests of one project."""

    def __init__(self, blueprint: Blueprint, judgement: Judgement | None = None) -> None:
        assert blueprint.policies is not None
        self.blueprint = replace(blueprint, policies=blueprint.policies.in_force())
        self.unite = Unite(judgement or Judgement(self.blueprint))
        self._computed = {
            (entity.name, field.name): field.computed
            for entity in blueprint.entities.values()
            for field in entity.fields.values()
            if field.computed is not None
        }

    def failures(self) -> tuple[Diagnostic, ...]:
        """A finding for every case that does not come out as it must."""
        findings = Findings()
        for test in self.unite.policies.tests.values():
            who = person(test)
            roles = sorted(held_by(who, self.unite.policies))
            for case in test.cases:
                try:
                    tried = self.tried(case, who, roles)
                except (ValueError, TypeError, ArithmeticError) as error:
                    findings.add(
                        rules.BAD_VALUE, case.place, value="given", reason=str(error)[:200], reason_zh=str(error)[:200]
                    )
                    continue
                if not tried.meets(case):
                    _fail(findings, test, case, tried)
        return findings.sorted()

    def tried(self, case: PolicyCase, who: Person, roles: Sequence[Held]) -> Tried:
        """Try one case."""
        if case.action == ASSIGN:
            broken = separations.broken(self.unite.policies, (*who.roles, case.member))
            return Tried("deny", "separation", broken) if broken else Tried("allow", "granted")
        if case.action.startswith(CONNECTOR):
            return self._connector(case.member, case.action.removeprefix(CONNECTOR), roles)
        entity = self.blueprint.entities[case.entity]
        record = self._record(entity, case, who)
        if case.action == "read_field":
            return self._seen(entity, case.member, roles, record, who)
        if case.action == "write_field":
            return self._written(entity, case.member, roles, record, who)
        found = self._action(entity, case.action, roles, record, who)
        if found.outcome == "allow" and case.already:
            act = Act(case.entity, case.action.removeprefix(DO))
            kept = separations.between(self.unite.policies, act, case.already)
            return Tried("deny", "separation", kept) if kept else found
        return found

    def _connector(self, name: str, action: str, roles: Sequence[Held]) -> Tried:
        grant: Grant = getattr(self.unite.connector(name, roles), action)
        if grant.allowed:
            return Tried("allow", "granted")
        forbidden = any(self.unite.judgement.connector(each.role, name, action).denies for each in roles)
        return Tried("deny", "never" if forbidden else "no_grant")

    def _action(
        self, entity: Entity, question: str, roles: Sequence[Held], record: Mapping[str, Any], who: Person
    ) -> Tried:
        def truth(condition: Checked, on_error: bool) -> bool:
            return self._truth(condition, record, who, on_error)

        explanation = explain(self.unite, entity.name, question, roles, truth)
        grant = self.unite.grant(*self.unite.applied(entity.name, question, roles))
        # What is tested is the grant that commands ask; the explanation only says why.
        return Tried("allow" if self._granted(grant, record, who) else "deny", explanation.reason)

    def _seen(self, entity: Entity, name: str, roles: Sequence[Held], record: Mapping[str, Any], who: Person) -> Tried:
        access = self.unite.field(entity, name, roles)
        row = self._action(entity, "read", roles, record, who)
        if not access.read.allowed:
            return Tried("hidden", "hidden")
        if row.outcome == "deny":
            return row
        return Tried("shown", "granted") if self._granted(access.read, record, who) else Tried("masked", "masked")

    def _written(
        self, entity: Entity, name: str, roles: Sequence[Held], record: Mapping[str, Any], who: Person
    ) -> Tried:
        access = self.unite.field(entity, name, roles)
        found = Tried("deny", "no_grant")
        for verb in ("update", "create"):
            row = self._action(entity, verb, roles, record, who)
            grant = access.giving(verb)
            if row.outcome == "allow" and self._granted(grant, record, who):
                return Tried("allow", "granted")
            if row.reason != "no_grant":
                found = row if row.outcome == "deny" else Tried("deny", "condition" if grant.allowed else "no_grant")
        hidden = not access.read.allowed and found.reason == "no_grant"
        return Tried("deny", "hidden") if hidden else found

    def _granted(self, grant: Grant, record: Mapping[str, Any], who: Person) -> bool:
        return grant.always or (
            grant.allowed and any(self._truth(each, record, who, False) for each in grant.conditions)
        )

    def _truth(self, condition: Checked, record: Mapping[str, Any], who: Person, on_error: bool) -> bool:
        try:
            return compile_memory(condition, self._computed).run(record, now=NOW, person=who) is True
        except Undecidable:
            return on_error

    # ── records ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _record(self, entity: Entity, case: PolicyCase, who: Person) -> dict[str, Any]:
        given = dict(case.given)
        if entity.initial is not None:
            given.setdefault("state", entity.initial)
        record = self._facts(entity, given, who)
        reach = self.unite.policies.reach.get(entity.name)
        if reach is not None and reach.site is not None:
            self._place(entity, record, reach.site, OWN if case.own_site else OTHER)
        if reach is not None and reach.family is not None:
            self._place(entity, record, reach.family, OWN_FAMILY if case.own_family else OTHER_FAMILY)
        return record

    def _place(self, entity: Entity, record: dict[str, Any], reach: Checked, value: Any) -> None:
        """Let the way to the site or family end at a value, unless the case says something of it."""
        (path,) = reach.reads
        for step in path[:-1]:
            entity = self.blueprint.entities[entity.fields[step].target]
            below = record.get(step)
            if not isinstance(below, dict):
                below = record[step] = self._facts(entity, {} if below is None else {"id": str(below)}, None)
            record = below
        if record.get(path[-1]) is None:
            record[path[-1]] = value

    def _facts(self, entity: Entity, given: Mapping[str, Any], who: Person | None) -> dict[str, Any]:
        """A record of plain values as expressions see it; what is not given is missing."""
        record: dict[str, Any] = {
            name: () if field.kind in _LISTS else None
            for name, field in entity.fields.items()
            if field.computed is None
        }
        record.update({name: None if back.single else () for name, back in entity.inverses.items()})
        record["id"] = named_id(f"{entity.name} {sorted(given)}")
        record["created_by"] = record["updated_by"] = named_id("somebody else")
        record["row_version"] = 1
        record["created_at"] = record["updated_at"] = NOW
        record["@entered"] = {}
        for name, value in given.items():
            field = entity.fields.get(name)
            if field is None:
                back = entity.inverses[name]
                below = self.blueprint.entities[back.source]
                record[name] = self._related(below, value, who) if back.single else self._all(below, value, who)
            else:
                record[name] = self._value(field, value, who)
        return record

    def _value(self, field: Field, value: Any, who: Person | None) -> Any:
        if value is None:
            return () if field.kind in _LISTS else None
        if field.targets:
            below = self.blueprint.entities[field.targets[0]]
            return self._all(below, value, who) if field.kind in _LISTS else self._related(below, value, who)
        if field.kind is FieldKind.ID:
            return who.id if value == ME and who is not None else named_id(str(value))
        return _scalar(field, value)

    def _all(self, entity: Entity, values: Any, who: Person | None) -> tuple[Any, ...]:
        return tuple(self._related(entity, each, who) for each in values)

    def _related(self, entity: Entity, value: Any, who: Person | None) -> Any:
        if isinstance(value, Mapping):
            return self._facts(entity, value, who)
        word = str(value)
        known = who.employee if word == ME and who is not None else named_id(word)
        record = self._facts(entity, {}, who)
        record["id"] = known
        return record


def _scalar(field: Field, value: Any) -> Any:
    match field.kind:
        case FieldKind.DECIMAL | FieldKind.MONEY:
            amount = value.get("amount") if isinstance(value, Mapping) else value
            return parse_decimal(amount if isinstance(amount, str | int | Decimal) else str(amount), field.scale)
        case FieldKind.DATE:
            return value if isinstance(value, date) else parse_date(str(value))
        case FieldKind.DATETIME:
            return parse_instant(str(value))
        case FieldKind.DURATION:
            return parse_duration(str(value))
        case FieldKind.BOOLEAN | FieldKind.INTEGER:
            if not isinstance(value, bool if field.kind is FieldKind.BOOLEAN else int):
                raise ValueError(f"{field.name}: {value!r}")
            return value
        case FieldKind.CHOICES | FieldKind.FILES:
            return tuple(value)
        case FieldKind.JSON | FieldKind.TRANSLATED:
            return value
        case _:
            return str(value)


def person(test: PolicyTest) -> Person:
    """Who tries: every role for one site and one product family, unless the test says for all."""
    scope = Scope(
        EVERYWHERE.sites if test.all_sites else (OWN,),
        EVERYWHERE.families if test.all_families else (OWN_FAMILY,),
    )
    return Person(
        id=named_id("me"),
        login="me",
        name="me",
        roles=test.roles,
        sites=(OWN,),
        site=OWN,
        department=named_id("department"),
        employee=named_id("me, the employee"),
        party=named_id(MINE),
        families=(OWN_FAMILY,),
        scopes=dict.fromkeys(test.roles, scope),
    )


def _fail(findings: Findings, test: PolicyTest, case: PolicyCase, tried: Tried) -> None:
    what = f"{case.entity}.{case.member or case.action.removeprefix(DO)}"
    if case.action == ASSIGN:
        what = f"{ASSIGN}.{case.member}"
    elif case.action.startswith(CONNECTOR):
        what = f"connector.{case.member}.{case.action.removeprefix(CONNECTOR)}"
    expected, found = OUTCOMES[case.expect], OUTCOMES[tried.outcome]
    reason = _named(tried.reason, tried.separations)
    named = _named(case.because, (case.separation,) if case.separation else ()) if case.because else None
    because, because_zh = (f" ({named.to('en')})", f"({named.to('zh')})") if named else ("", "")
    findings.add(
        rules.POLICY_TEST_FAILED,
        case.place,
        related=[test.place],
        name=test.name,
        what=what,
        expected=expected.to("en") + because,
        expected_zh=expected.to("zh") + because_zh,
        found=found.to("en"),
        found_zh=found.to("zh"),
        reason=reason.to("en"),
        reason_zh=reason.to("zh"),
    )


def _named(reason: str, by: Sequence[str]) -> Bilingual:
    said, names = REASONS[reason], ", ".join(by)
    return Bilingual(f"{said.zh}:{names}", f"{said.en}: {names}") if names else said


def failures(blueprint: Blueprint) -> Iterator[Diagnostic]:
    """What the policy tests of a project find; nothing when it has none."""
    if blueprint.policies is not None and blueprint.policies.tests:
        yield from Trial(blueprint).failures()
