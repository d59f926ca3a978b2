"""Why a record's transition is blocked, and the smallest set of actions that unblocks it, with who may do each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from clew.api.blocked_case import Case, Deed, Seen, Way
from clew.api.blocked_doers import Doers, holders
from clew.api.blocked_needs import leads_to, route
from clew.api.blocked_people import Able
from clew.api.operations import Call
from clew.api.process_sight import reads
from clew.expressions.way_out import Advice, Atom, atoms, holding, in_the_way, least, taken_apart
from clew.kernel.errors import NotFound
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, Transition
from clew.process.engine import Processes
from clew.records.judge import Judge, in_memory
from clew.records.review.desk import ReviewDesk
from clew.storage.engine import Connection

_BURDEN = {"alter": 1, "wait": 1, "unknown": 2, "hidden": 2}
"""What goes after other ways, however short: a value that is recorded is not to be bent to a condition."""


@dataclass(slots=True)
class _Found:
    """What is in the way of one transition. `must`: deeds that nothing else can stand in for; None: nothing helps."""

    blockers: list[dict[str, Any]] = field(default_factory=list)
    must: set[Deed] = field(default_factory=set)
    possible: bool = True
    whole: bool = True
    """False when more has to follow that is not told yet."""


@dataclass(frozen=True, slots=True)
class WhyBlocked:
    """The query `whyBlocked`. Nothing in its answer is more than the caller sees by reading; whether a condition holds
    as a whole, whoever may make the transition learns as by trying it."""

    doers: Doers
    desk: ReviewDesk | None = None
    """Knows people and their assignments; without it everybody who holds a role is named."""

    async def __call__(self, processes: Processes, call: Call, connection: Connection) -> Any:
        asked, record_id = call.arguments["entity"], call.arguments["record"]
        entity = processes.blueprint.entities.get(asked)
        caller = call.caller
        if entity is None or not await reads(processes, caller, connection, caller.decision, entity.name, record_id):
            raise NotFound(path=["record"], what=_what(call, entity, asked))
        case = await self._case(processes, call, connection, entity, record_id)
        wanted = call.arguments.get("transition")
        if wanted is not None and wanted not in entity.transitions:
            raise NotFound(path=["transition"], what=Bilingual(f"{asked}.{wanted}", f"{asked}.{wanted}"))
        # Which transitions there are is told by the state, so by who sees it.
        if not call.caller.decision.on(entity.name).fields["state"].read.always or case.record["voided_at"] is not None:
            return []
        state = case.record["state"]
        moves = [
            each
            for each in entity.transitions.values()
            if (each.name == wanted if wanted is not None else state in each.sources)
        ]
        found = [await self._of(case, each) for each in moves]
        return await self._with_people(case, found)

    async def _case(
        self, processes: Processes, call: Call, connection: Connection, entity: Entity, record_id: Any
    ) -> Case:
        engine, now = processes.commands.engine, await connection.now()
        statements = engine.statements.of(entity.name)
        row = await connection.fetch_one(statements.select.where(statements.current.c.id == record_id))
        if row is None or not entity.states:
            raise NotFound(path=["record"], what=entity.label)
        today = now.replace(tzinfo=now.tzinfo or UTC).astimezone(engine.zone).date()
        judge = Judge(engine, connection, call.caller.context.person, now, today)
        return Case(processes, call, connection, self.doers, entity, statements.shape.record(row), judge, now)

    # ── one transition ────────────────────────────────────────────────────────────────────────────────────────────

    async def _of(self, case: Case, move: Transition) -> dict[str, Any]:
        grant = case.call.caller.decision.on(case.entity.name).transitions.get(move.name)
        may = grant is not None and await case.judge.granted(grant, case.entity, case.record)
        found, locale = _Found(), case.words().locale
        await self._state(case, move, found)
        moved = await self._process(case, move, found)
        await self._required(case, move, found)
        roles = self.doers.moving(case.entity.name, move.name, move.sign)
        if move.sign is not None and not moved:
            self._signature(case, move, found, roles)
        advice, whole, guarded = await self._guard(case, move, found, may)
        deeds = sorted(advice.deeds or (), key=lambda each: (each.kind, each.text))
        possible = found.possible and advice.deeds is not None
        signs = move.sign is None or move.sign in case.call.caller.decision.signs
        return {
            "transition": move.name,
            "label": move.label.to(locale),
            "to": move.target,
            "ready": all(each["kind"] == "signature" for each in found.blockers),
            "mayDo": bool(may) and signs,
            "roles": list(roles),
            "say": (move.say.to(locale) or None) if guarded else None,
            "blockers": found.blockers,
            "actions": [_told(each) for each in deeds] if possible else [],
            "possible": possible,
            "exact": advice.exact and whole and found.whole,
        }

    async def _state(self, case: Case, move: Transition, found: _Found) -> None:
        state, locale = case.record["state"], case.words().locale
        if state in move.sources:
            return
        states = case.entity.states
        sources = case.say("、", ", ").join(states[each].label.to(locale) for each in move.sources if each in states)
        now = states[state].label.to(locale) if state in states else state
        text = case.say(f"现为“{now}”,须为:{sources}", f"It is {now}; it goes from: {sources}")
        found.blockers.append(_blocker("state", text, field="state"))
        here = Seen(case.entity.name, str(case.id), case.entity.label.to(locale), state)
        deed = await case.moving(here, frozenset(move.sources))
        if deed is None:
            found.possible = False
        else:
            found.must.add(deed)
            found.whole &= len(route(case.entity, state, frozenset(move.sources))) == 1

    async def _process(self, case: Case, move: Transition, found: _Found) -> bool:
        """What the process that moves it waits for."""
        owner = move.moved_by or case.entity.moved_by
        steps = [each for each in await case.open_steps(case.id) if each["workflow"] == owner]
        never = bool(steps) and not leads_to(case.blueprint.workflows[str(owner)], move)
        for each in steps:
            deed = case.ending_deed(each) if never else case.step_deed(each)
            incident, step = each["incident"], case.step_of(each)
            common = {key: each[key] for key in ("workflow", "step", "process", "incident", "dueAt")}
            people = {"people": list(deed.people or ()), "roles": list(deed.roles)}
            kind = "incident" if incident is not None else "process"
            found.blockers.append(_blocker(kind, case.step_deed(each).text, **common, **people))
            found.must.add(deed)
            found.whole &= never or (step is not None and move.target in step.states.values())
        return bool(steps) and not never

    async def _required(self, case: Case, move: Transition, found: _Found) -> None:
        """Fields that must be filled in where it leads, as far as the record itself decides it."""
        sets = {name for name, _ in move.sets}
        then = {**case.record, "state": move.target}
        for known in case.entity.fields.values():
            condition = known.required_when
            if condition is None or known.name in sets or known.name not in then:
                continue
            access = case.call.caller.decision.on(case.entity.name).fields.get(known.name)
            seen = access is not None and access.read.always
            if seen and then[known.name] is not None:
                continue
            if not case.shows(condition):
                # That it must be filled in would tell what is hidden.
                found.whole = False
                continue
            if not in_memory(condition, case.entity) or not await case.judge.holds(condition, case.entity, then):
                continue
            if not seen:
                # Whether it is filled in already is not told either.
                found.whole = False
                text = case.say("须填写一个您看不到的字段", "A field that you may not see must be filled in")
                found.blockers.append(_blocker("hidden", text))
                found.must.add(Deed("hidden", case.entity.name, str(case.id), text=text))
                continue
            label = known.label.to(case.words().locale)
            found.blockers.append(
                _blocker("field", case.say(f"须填写{label}", f"{label} is missing"), field=known.name)
            )
            way = await case.filled(known)
            if way.deeds is None:
                found.possible = False
            else:
                found.must |= way.deeds

    def _signature(self, case: Case, move: Transition, found: _Found, roles: tuple[str, ...]) -> None:
        meaning = move.sign or ""
        text = case.say(f"须电子签名,含义:{meaning}", f"It takes an electronic signature; it means: {meaning}")
        found.blockers.append(_blocker("signature", text, roles=list(roles)))
        found.must.add(Deed("sign", case.entity.name, str(case.id), meaning, text, roles))

    async def _guard(self, case: Case, move: Transition, found: _Found, may: bool) -> tuple[Advice[Deed], bool, bool]:
        """The advice, whether all that it rests on was looked at, and whether to say what the condition says."""
        must = frozenset(found.must)
        if move.when is None or (may and await case.judge.holds(move.when, case.entity, case.record)):
            return Advice(must), True, False
        guard = move.when
        part = case.remembered("apart", guard, lambda: taken_apart(guard))
        truths = await case.truths(list(atoms(part)))
        if holding(part, truths):
            if not may:
                return Advice(must), True, False
            text = case.say("有您看不到的记录或字段", "Something stands in the way that you may not see")
            found.blockers.append(_blocker("hidden", text))
            return Advice(must | {Deed("hidden", case.entity.name, str(case.id), text=text)}), False, True
        ways: dict[Atom, Way] = {}
        for each in in_the_way(part, truths):
            ways[each] = way = await case.way(each)
            found.blockers.append(self._told_atom(case, each, way))
        known = {each: ways[each].deeds if each in ways else frozenset() for each in atoms(part)}
        burden = {deed: _BURDEN.get(deed.kind, 0) for way in ways.values() for deed in way.deeds or ()}
        advice = least(part, known, burden, must)
        # What is said when the condition fails may speak of what is hidden: only whoever may try it reads that anyway.
        told = may or all(case.shows(each.condition) for each in ways)
        return advice, all(each.whole for each in ways.values()), told

    def _told_atom(self, case: Case, atom: Atom, way: Way) -> dict[str, Any]:
        if not case.shows(atom.condition):
            return _blocker("hidden", case.say("一项您看不到的条件", "A condition on what you may not see"))
        records = [
            {"entity": each.entity, "id": each.record, "title": each.title, "state": each.state} for each in way.records
        ]
        text = case.say(f"不满足:{case.text(atom)}", f"It does not hold that {case.text(atom)}")
        return _blocker("condition", text, field=way.field, records=records)

    async def _with_people(self, case: Case, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Beside every list of roles, the people who hold them, as far as the caller sees these."""
        told = [part for each in found for part in (each, *each["actions"], *each["blockers"])]
        roles = {role for part in told for role in part["roles"]}
        people = await holders(case.processes, case.call, case.connection, roles, case.record.get("site"))
        able = Able(case, self.desk)
        for each in found:
            for part in (each, *each["actions"], *each["blockers"]):
                if not part.get("people"):
                    held = [one for role in part["roles"] for one in people.get(role, ())]
                    part["people"] = await able.of(held, part, each["transition"])
        return found


def _what(call: Call, entity: Entity | None, asked: str) -> Bilingual:
    """The label of an entity the caller knows; else what they said themselves."""
    known = entity is not None and call.caller.decision.on(entity.name).read.allowed
    return entity.label if entity is not None and known else Bilingual(asked, asked)


def _blocker(kind: str, text: str, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("field", "workflow", "step", "process", "incident", "dueAt"))
    return {"kind": kind, "text": text, **empty, "people": [], "roles": [], "records": [], **more}


def _told(deed: Deed) -> dict[str, Any]:
    def where(*kinds: str) -> str | None:
        return deed.name if deed.kind in kinds else None

    return {
        "kind": deed.kind,
        "text": deed.text,
        "entity": deed.entity,
        "recordId": deed.record,
        "field": where("fill", "alter"),
        "transition": where("move"),
        "workflow": deed.workflow,
        "step": deed.step,
        "meaning": where("sign"),
        "roles": list(deed.roles),
        "people": list(deed.people or ()),
    }
