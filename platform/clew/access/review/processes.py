"""Processes in the review: who may begin, cancel and oversee them, and which roles their steps ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clew.access.judgement import questions
from clew.access.review.words import Words, in_words
from clew.expressions.tree import Checked, Node
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.naming import human
from clew.metadata.policies import PROCESS_ACTIONS, process_question
from clew.metadata.processes import SEPARATOR, Step, Who, Workflow

STEP = "step:"
DECIDE = "decide"
"""How the steps of processes are asked about on the command line: `decide handling.board`."""

PROCESS_WORDS = {
    "start": Bilingual("发起", "start"),
    "cancel": Bilingual("取消、暂停、恢复", "cancel, suspend, resume"),
    "oversee": Bilingual("监督", "oversee"),
}
WHEN_ASKED = Bilingual("流程指派时,限个案所在场所", "when the process asks, at the site of the case")


@dataclass(frozen=True, slots=True)
class Asking:
    """A role that a step asks to decide. `when` says under which condition beyond being asked; empty for none."""

    workflow: Workflow
    step: Step
    role: str
    when: Bilingual = Bilingual()
    condition: Checked | None = None

    @property
    def place(self) -> Place:
        return self.step.place


def asked_of(blueprint: Blueprint, entity: Entity) -> Iterator[str]:
    """Everything that can be asked about records of an entity: actions on it, and on the processes about it."""
    yield from questions(entity)
    for workflow in processes_about(blueprint, entity):
        yield from (process_question(workflow.name, action) for action in PROCESS_ACTIONS)


def processes_about(blueprint: Blueprint, entity: Entity) -> list[Workflow]:
    return [each for _, each in sorted(blueprint.workflows.items()) if each.entity == entity.name]


def process_of(question: str) -> tuple[str, str] | None:
    """The workflow and the action a question is about; None when it is about the record itself."""
    kind, _, rest = question.partition(":")
    workflow, _, action = rest.partition(":")
    return (workflow, action) if kind == "process" and action else None


def process_asked(blueprint: Blueprint, entity: Entity, given: str) -> str | None:
    """`handling.start` or `process:handling:start`: the question meant; None when there is no such process."""
    workflow, _, action = given.partition(".")
    workflow, action = process_of(given) or (workflow, action)
    known = blueprint.workflows.get(workflow)
    if known is None or known.entity != entity.name or action not in PROCESS_ACTIONS:
        return None
    return process_question(workflow, action)


def process_words(blueprint: Blueprint, workflow: str, action: str) -> Bilingual:
    """What people call an action on a process: `Nonconformance handling: start`."""
    known = blueprint.workflows.get(workflow)
    label = known.label if known is not None and known.label else Bilingual(workflow, workflow)
    said = PROCESS_WORDS[action]
    return Bilingual(f"{label.to('zh')}:{said.zh}", f"{label.to('en')}: {said.en}")


def step_words(asking: Asking) -> Bilingual:
    """`Nonconformance handling: decide “Board”`."""
    process, step = asking.workflow.label, asking.step.label or Bilingual(asking.step.name, asking.step.name)
    return Bilingual(f"{process.to('zh')}:处理“{step.to('zh')}”", f"{process.to('en')}: decide “{step.to('en')}”")


def step_question(workflow: str, path: str) -> str:
    return f"{STEP}{workflow}:{path}"


def step_of(question: str) -> tuple[str, str] | None:
    """The workflow and the path of the step a question is about; None when it is about something else."""
    workflow, _, path = question.removeprefix(STEP).partition(":")
    return (workflow, path) if question.startswith(STEP) and path else None


def steps_asking(workflow: Workflow) -> dict[str, Step]:
    """The steps that ask people, by path."""
    return {step.path: step for _, step in workflow.walk() if step.who is not None or step.approval is not None}


def step_meant(workflow: Workflow, given: str) -> Step | None:
    """`board`, `assess.quality.verdict` or `assess/quality/verdict`: the step meant; its own name is enough where only
    one step has it."""
    steps = steps_asking(workflow)
    path = given.replace(".", SEPARATOR)
    if path in steps:
        return steps[path]
    named = [each for each in steps.values() if each.name == given]
    return named[0] if len(named) == 1 else None


def askings_of(blueprint: Blueprint, workflow: Workflow, step: Step) -> Iterator[Asking]:
    """Every role that a step names."""
    for role in step.who.roles if step.who is not None else ():
        yield Asking(workflow, step, role)
    if step.approval is not None:
        yield from (Asking(workflow, step, role) for role in step.approval.posts)
        for role, when in step.approval.also:
            yield Asking(workflow, step, role, in_words(blueprint, when), when)


def others_asked(blueprint: Blueprint, workflow: Workflow, step: Step) -> tuple[Bilingual, ...]:
    """Whom a step asks otherwise than by a role, in words; who that is depends on the case."""
    return tuple(_others(blueprint, workflow, step.who)) if step.who is not None else ()


def _others(blueprint: Blueprint, workflow: Workflow, who: Who) -> Iterator[Bilingual]:
    def said(zh: str, en: str, node: Node) -> Bilingual:
        return Bilingual(zh.format(Words(blueprint, "zh").value(node)), en.format(Words(blueprint, "en").value(node)))

    for code in who.positions:
        yield Bilingual(f"在岗位 {code} 任职者", f"whoever holds position {code}")
    if who.person is not None:
        yield said("{}", "{}", who.person.root)
    if who.manager_of is not None:
        yield said("{}的上级", "the manager of {}", who.manager_of.root)
    if who.starter:
        yield Bilingual("发起人", "whoever started the case")
    if who.actor_of is not None:
        known = next((step.label for _, step in workflow.walk() if step.name == who.actor_of), Bilingual())
        name = human(who.actor_of)
        yield Bilingual(f"处理“{known.to('zh') or name}”者", f"whoever did “{known.to('en') or name}”")


def askings(blueprint: Blueprint, entity: Entity) -> Iterator[Asking]:
    """Every role that a step of a process about an entity names. People named by a field, a position or an earlier
    step are no matter of roles."""
    for workflow in processes_about(blueprint, entity):
        for _, step in workflow.walk():
            yield from askings_of(blueprint, workflow, step)
