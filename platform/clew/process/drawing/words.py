"""What pictures say of a process: who does a step, its limit, the way on, what begins it; in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass

from clew.kernel.text import Bilingual, Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import ApprovalMode, Schedule, Start, Step, StepKind, TimeLimit, Who, Workflow
from clew.process.checkpoints import clauses_of
from clew.process.drawing.graph import ERROR, LATE, PLATFORM, lane

PLATFORM_LABEL = Bilingual("平台", "Platform")
_UNITS = {
    "wh": Bilingual("工时", "wh"),
    "wd": Bilingual("工作日", "wd"),
    "cd": Bilingual("自然日", "cd"),
    "h": Bilingual("小时", "h"),
}
_MODES = {
    ApprovalMode.COUNTERSIGN: Bilingual("会签", "countersign"),
    ApprovalMode.ANY_SIGN: Bilingual("或签", "any signs"),
    ApprovalMode.ONE_BY_ONE: Bilingual("依次签", "one by one"),
}
_PERIODS = {
    "year": Bilingual("每年", "every year"),
    "quarter": Bilingual("每季度", "every quarter"),
    "month": Bilingual("每月", "every month"),
    "week": Bilingual("每周", "every week"),
    "day": Bilingual("每个工作日", "every working day"),
}
_VERBS = {
    "create": Bilingual("新建", "created"),
    "update": Bilingual("修改", "changed"),
    "void": Bilingual("作废", "voided"),
    "call": Bilingual("运行", "runs"),
    "start": Bilingual("启动", "starts"),
}
_WAYS = {LATE: Bilingual("逾期", "late"), ERROR: Bilingual("出错", "error"), "": Bilingual("否则", "otherwise")}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one project in one language."""

    blueprint: Blueprint
    locale: Locale

    def of(self, text: Bilingual) -> str:
        return text.to(self.locale)

    def role(self, name: str) -> str:
        policies = self.blueprint.policies
        known = policies.roles.get(name) if policies is not None else None
        return known.label.to(self.locale) or name if known is not None else name

    def lane(self, step: Step, workflow: Workflow) -> tuple[str, ...]:
        """Who does a step, a line each."""
        if step.approval is not None:
            posts = [*step.approval.posts, *(post for post, _ in step.approval.also)]
            joint = " / " if step.approval.mode is ApprovalMode.ANY_SIGN else " + "
            return _joined([self.role(each) for each in posts], joint)
        if step.who is None or lane(step) == PLATFORM:
            return (self.of(PLATFORM_LABEL),)
        return _joined(self._people(step.who, workflow), " / ")

    def _people(self, who: Who, workflow: Workflow) -> list[str]:
        found = [*map(self.role, who.roles), *who.positions]
        if who.actor_of:
            done = next((each for _, each in workflow.walk() if who.actor_of in (each.path, each.name)), None)
            label = self.of(done.label) if done is not None else who.actor_of
            found.append(self.of(Bilingual(f"「{label}」办理人", f"who did “{label}”")))
        if who.starter:
            found.append(self.of(Bilingual("发起人", "who started it")))
        if who.person is not None:
            found.append(self._field(who.person.source, workflow.entity))
        if who.manager_of is not None:
            person = self._field(who.manager_of.source, workflow.entity)
            found.append(self.of(Bilingual(f"{person}的上级", f"manager of {person}")))
        return found

    def _field(self, path: str, entity: str) -> str:
        known = self.blueprint.entities[entity].fields.get(path) if entity in self.blueprint.entities else None
        return self.of(known.label) or path if known is not None else path

    def limit(self, limit: TimeLimit) -> str:
        return f"{limit.amount} {self.of(_UNITS[limit.unit])}"

    def notes(self, step: Step) -> str:
        """The small line of a step: how votes are taken, its limit, that it is signed."""
        parts = []
        if step.approval is not None and len(step.approval.posts) + len(step.approval.also) > 1:
            votes = step.approval.enough or (f"{step.approval.share}%" if step.approval.share is not None else "")
            parts.append(f"{self.of(_MODES[step.approval.mode])} {votes}".rstrip())
        if step.wait is not None and step.wait.limit is not None:
            parts.append(self.limit(step.wait.limit))
        if step.wait is not None and step.wait.entity:
            parts.append(self.event(step.wait.entity, step.wait.verb))
        if step.limit is not None:
            parts.append(self.limit(step.limit))
        if step.sign is not None:
            parts.append("✍")
        if step.checkpoint is not None:
            parts.append(f"§ {clauses_of(step)}")
        return " · ".join(parts)

    def outcome(self, step: Step, name: str) -> str:
        """What an arrow after an outcome says; several outcomes stand with commas."""
        if name in _WAYS:
            return self.of(_WAYS[name])
        known = [self.of(step.outcomes[each].label) if each in step.outcomes else each for each in name.split(", ")]
        return ("、" if self.locale == "zh" else ", ").join(known)

    def way(self, step: Step, when: str) -> str:
        """What an arrow says: the outcomes it follows, or the condition under which a decision goes this way."""
        if step.kind is StepKind.DECISION and when != ERROR:
            return when or (self.of(_WAYS[""]) if len(step.branches) > 1 else "")
        return self.outcome(step, when) if when else ""

    def event(self, entity: str, verb: str) -> str:
        """“Complaint created”; a transition by its label."""
        known = self.blueprint.entities.get(entity)
        if known is None:
            return f"{entity}.{verb}"
        label = self.of(known.label) or entity
        if verb in known.transitions:
            return f"{label} · {self.of(known.transitions[verb].label) or verb}"
        done = _VERBS.get(verb)
        return f"{label} · {self.of(done) if done is not None else verb}"

    def hand(self, how: str) -> str:
        """What an arrow between processes says."""
        entity, _, verb = how.partition(".")
        return self.event(entity, verb) if verb else self.of(_VERBS[how])

    def begins(self, start: Start) -> str:
        """One way in which a process begins."""
        if start.entity:
            return self.event(start.entity, start.verb)
        if start.schedule is not None:
            return self._schedule(start.schedule)
        return ("、" if self.locale == "zh" else ", ").join(map(self.role, start.roles))

    def _schedule(self, schedule: Schedule) -> str:
        return self.of(_PERIODS[schedule.every])

    def kind(self, step: Step) -> str:
        """What is said of a step that holds others."""
        if step.kind is StepKind.EACH:
            return self.of(Bilingual("逐条", "for each"))
        if step.needed is None:
            return self.of(Bilingual("并行", "side by side"))
        return self.of(Bilingual(f"并行,满 {step.needed} 项即可", f"side by side, {step.needed} will do"))


def _joined(names: list[str], joint: str) -> tuple[str, ...]:
    """A line each, every one but the last with what joins it to the next."""
    return tuple(name + joint.rstrip() for name in names[:-1]) + tuple(names[-1:])
