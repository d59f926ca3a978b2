"""What is wrong with a process, found by walking all of it, each with a way to see it happen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Step, Workflow
from clew.process.proof.blind import blind_findings
from clew.process.proof.cast import Cast, roles_of
from clew.process.proof.explore import MOST, explore
from clew.process.proof.graph import Graph, Move
from clew.process.proof.limits import too_short
from clew.process.proof.order import inside


class Flaw(StrEnum):
    """What may be wrong."""

    DEADLOCK = "deadlock"
    """It can come to a place from which nothing leads on."""
    NOBODY = "nobody"
    """A step that nobody of the shipped roles can do, by who is asked, what they did before, or what they may sign."""
    ENDLESS = "endless"
    """Automatic steps that lead round without anybody acting."""
    NO_END = "no_end"
    """Something can always be done, and yet no end can be reached."""
    IMPOSSIBLE = "impossible"
    """A step whose transition no record can make that comes to it that way, such as where it was taken up again."""
    UNREACHABLE = "unreachable"
    """A step that no way leads to."""
    CHECKPOINT = "checkpoint"
    """A way to an outcome that leads past a checkpoint before it. The engine stops there."""
    UNSIGNED = "unsigned"
    """A way on which a state that demands a signature would be reached without it. The engine refuses it."""
    BYPASS = "bypass"
    """A way on which a state is reached by a transition without a signature that another transition to it demands."""
    LIMIT = "limit"
    """A time limit that cannot be kept even if every step inside takes no longer than it may."""
    SIGNER = "signer"
    """Asked of a role that may not give the signature by itself: whoever is asked must hold another role beside it."""
    BLIND = "blind"
    """Asked of a role that does not see what a condition of its form reads: for it the condition always holds."""
    UNFINISHED = "unfinished"
    """The walk was stopped: there are too many ways."""

    @property
    def warning(self) -> bool:
        return self in (Flaw.SIGNER, Flaw.LIMIT, Flaw.BYPASS, Flaw.BLIND)


@dataclass(frozen=True, slots=True)
class Finding:
    """One flaw: the step, what is wrong, and the moves that lead there from the start."""

    flaw: Flaw
    step: str
    say: Bilingual
    story: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found out about one process."""

    workflow: str
    worlds: int
    ends: tuple[str, ...]
    """Outcomes it can end with."""
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        return not any(not each.flaw.warning for each in self.findings)


def prove(blueprint: Blueprint, workflow: Workflow, most: int = MOST) -> Proof:
    """Walk every way the process can go and judge what was found."""
    graph = explore(blueprint, workflow, most)
    findings = [*_stuck(workflow, graph), *_round(workflow, graph), *_unsigned(workflow, graph)]
    findings += [
        *_impossible(graph),
        *_passed_by(workflow, graph),
        *_unreached(workflow, graph),
        *_signers(blueprint, workflow),
        *_within_itself(blueprint, workflow),
        *too_short_findings(workflow),
        *(Finding(Flaw.BLIND, path, say) for path, say in blind_findings(blueprint, workflow)),
    ]
    if graph.walked is not None:
        say = Bilingual(
            f"走过 {most} 个状态后停止,尚有未走到的路径。",
            f"The walk was stopped after {most} states; there are more ways.",
        )
        findings.insert(0, Finding(Flaw.UNFINISHED, "", say))
    ends = {each.state.outcome for each in graph.worlds if not each.state.live}
    return Proof(workflow.name, len(graph.worlds), tuple(sorted(ends)), tuple(findings))


def _stuck(workflow: Workflow, graph: Graph) -> Iterator[Finding]:
    """Places nothing leads on from, and, where there are none ahead, those from which no end can be reached."""
    seen: set[tuple[Flaw, str, str]] = set()
    hopeless = _hopeless(graph)
    for number in sorted(hopeless):
        came = graph.came[number]
        if came is not None and came[0] in hopeless and graph.edges[number]:
            continue
        for flaw, step, why in _reasons(workflow, graph, number):
            if (flaw, step, why.en) not in seen:
                seen.add((flaw, step, why.en))
                yield Finding(flaw, step, why, tuple(graph.way(number)))


def _reasons(workflow: Workflow, graph: Graph, number: int) -> Iterator[tuple[Flaw, str, Bilingual]]:
    """Why it does not end: at this place, or, when something can still be done here, somewhere ahead."""
    world = graph.worlds[number]
    if graph.edges[number]:
        ahead = _ahead(graph, number)
        if any(not graph.edges[each] for each in ahead):
            return
        refusals = dict.fromkeys(refusal for each in ahead for refusal in graph.refusals[each])
        steps = ", ".join(sorted({each.step for each in world.state.tokens.values()}))
        zh, en = ";".join(each.why.zh for each in refusals), "; ".join(each.why.en for each in refusals)
        yield (
            Flaw.NO_END,
            steps,
            Bilingual(
                f"从这里无论怎么走都到不了结束{':' if zh else '。'}{zh}",
                f"From here no way leads to an end{': ' if en else '.'}{en}",
            ),
        )
        return
    for incident in world.state.incidents.values():
        step = workflow.step(world.state.tokens[incident.token].step)
        if incident.kind == "checkpoint":
            continue
        nobody = incident.kind == "nobody"
        yield Flaw.NOBODY if nobody else Flaw.DEADLOCK, step.path, _nobody(step) if nobody else _never(step)
    if world.state.incidents:
        return
    for refusal in graph.refusals[number]:
        yield Flaw.UNSIGNED if refusal.unsigned else Flaw.DEADLOCK, refusal.step, refusal.why
    if not graph.refusals[number]:
        token = next(iter(world.state.tokens.values()), None)
        say = Bilingual("这里再没有任何人或事能使流程继续。", "Nothing and nobody can take it on from here.")
        yield Flaw.DEADLOCK, token.step if token is not None else "", say


def _impossible(graph: Graph) -> Iterator[Finding]:
    """Transitions that cannot be made from where the record is, although something else still leads on. Where it was
    sent back by hand, it may be sent on by hand as well."""
    seen: set[str] = set()
    dead, straight, waiting = _hopeless(graph), {0}, [0]
    while waiting:
        for target, move in graph.moves[waiting.pop()]:
            if target not in straight and "send_back" not in move.replay:
                straight.add(target)
                waiting.append(target)
    for refusal, begins in graph.refused:
        yield Finding(Flaw.DEADLOCK, refusal.step, refusal.why, (begins,))
    for number, refusals in enumerate(graph.refusals):
        for refusal in refusals:
            if refusal.impossible and refusal.why.en not in seen and number in straight - dead:
                seen.add(refusal.why.en)
                yield Finding(Flaw.IMPOSSIBLE, refusal.step, refusal.why, tuple(graph.way(number)))


def _passed_by(workflow: Workflow, graph: Graph) -> Iterator[Finding]:
    """Checkpoints that a way leads past, the shortest such way of each."""
    seen: set[str] = set()
    for number, world in enumerate(graph.worlds):
        for incident in world.state.incidents.values():
            if incident.kind == "checkpoint" and incident.detail not in seen:
                seen.add(incident.detail)
                at = world.state.tokens[incident.token].step
                say = Bilingual(
                    f"到达「{workflow.step(at).label.to('zh')}」时尚未经过检查点 {incident.detail}。",
                    f"“{workflow.step(at).label.to('en')}” is reached without the checkpoint {incident.detail}.",
                )
                yield Finding(Flaw.CHECKPOINT, at, say, tuple(graph.way(number)))


def _hopeless(graph: Graph) -> set[int]:
    """The places from which no end can be reached. Where the walk was stopped nothing is said of what lies beyond."""
    walked = len(graph.worlds) if graph.walked is None else graph.walked
    before: list[list[int]] = [[] for _ in graph.worlds]
    for number, edges in enumerate(graph.edges):
        for target, _ in edges:
            before[target].append(number)
    good = [number for number, each in enumerate(graph.worlds) if not each.state.live or number >= walked]
    reached, waiting = set(good), deque(good)
    while waiting:
        for number in before[waiting.popleft()]:
            if number not in reached:
                reached.add(number)
                waiting.append(number)
    return {number for number in range(len(graph.worlds)) if number not in reached}


def _ahead(graph: Graph, number: int) -> list[int]:
    """Every place that can be reached from one, itself first."""
    seen, waiting = {number: None}, [number]
    while waiting:
        for target, _ in graph.edges[waiting.pop()]:
            if target not in seen:
                seen[target] = None
                waiting.append(target)
    return list(seen)


def _round(workflow: Workflow, graph: Graph) -> Iterator[Finding]:
    """A way round that nobody has a part in: it could go on for ever."""
    colour = [0] * len(graph.worlds)
    for start in range(len(graph.worlds)):
        if colour[start]:
            continue
        stack = [(start, iter(graph.edges[start]))]
        colour[start] = 1
        while stack:
            number, edges = stack[-1]
            for target, automatic in edges:
                if automatic and colour[target] == 1:
                    tokens = graph.worlds[target].state.tokens.values()
                    steps = ", ".join(sorted({each.step for each in tokens}))
                    say = Bilingual(
                        "自动步骤首尾相接,可能无休止地循环。",
                        "Automatic steps lead round and may never come to an end.",
                    )
                    yield Finding(Flaw.ENDLESS, steps, say, tuple(graph.way(number)))
                    return
                if automatic and not colour[target]:
                    colour[target] = 1
                    stack.append((target, iter(graph.edges[target])))
                    break
            else:
                colour[number] = 2
                stack.pop()


def _unsigned(workflow: Workflow, graph: Graph) -> Iterator[Finding]:
    """Signatures missing where something else still leads on."""
    seen: set[str] = set()
    dead = _hopeless(graph)
    for number, refusals in enumerate(graph.refusals):
        for refusal in refusals:
            if refusal.unsigned and refusal.why.en not in seen and number not in dead:
                seen.add(refusal.why.en)
                yield Finding(Flaw.UNSIGNED, refusal.step, refusal.why, tuple(graph.way(number)))
    for (path, say), number in graph.bypassed.items():
        yield Finding(Flaw.BYPASS, path, say, tuple(graph.way(number)))


def _unreached(workflow: Workflow, graph: Graph) -> Iterator[Finding]:
    """Steps that were never stood at. Decisions and ends are passed in the move that leads to them."""
    if graph.walked is not None:
        return
    stood = {each.step for world in graph.worlds for each in world.state.tokens.values()}
    stood |= {each.step for world in graph.worlds for each in world.state.done}
    stood |= graph.passed
    for _, step in workflow.walk():
        if step.path not in stood:
            say = Bilingual("没有任何路径会走到这一步。", "No way leads to this step.")
            yield Finding(Flaw.UNREACHABLE, step.path, say)


def _signers(blueprint: Blueprint, workflow: Workflow) -> Iterator[Finding]:
    cast = Cast(workflow, blueprint.policies)
    for _, step in workflow.walk():
        if step.sign is None:
            continue
        short = [role for role in dict.fromkeys(roles_of(step)) if not cast.signs_alone(role, step)]
        if short:
            names = ", ".join(short)
            say = Bilingual(
                f"签名 {step.sign} 不在这些角色之内:{names};被指派的人须另外持有可以签署的角色。",
                f"Of those asked, {names} may not sign {step.sign}: they must hold another role beside it that may.",
            )
            yield Finding(Flaw.SIGNER, step.path, say)


def _within_itself(blueprint: Blueprint, workflow: Workflow) -> Iterator[Finding]:
    """Calls that lead to this process again, about the same record: it lives there already, so the engine stops."""
    for step in inside(workflow.flow):
        if step.call and not step.about and workflow.name in _called(blueprint, step.call):
            zh, en = step.label.to("zh"), step.label.to("en")
            say = Bilingual(
                f"「{zh}」最终会就同一记录再次调用本流程,而本流程已在该记录上运行,无法开始。",
                f"“{en}” leads to this process again, about the same record, where it lives already: it cannot begin.",
            )
            yield Finding(Flaw.DEADLOCK, step.path, say)


def _called(blueprint: Blueprint, name: str) -> set[str]:
    """A process and all that it calls about its own record."""
    seen, waiting = {name}, [name]
    while waiting:
        for step in inside(blueprint.workflows[waiting.pop()].flow):
            if step.call and not step.about and step.call not in seen:
                seen.add(step.call)
                waiting.append(step.call)
    return seen


def too_short_findings(workflow: Workflow) -> Iterator[Finding]:
    for path, say in too_short(workflow):
        yield Finding(Flaw.LIMIT, path, say)


def _nobody(step: Step) -> Bilingual:
    asked = ", ".join(dict.fromkeys(roles_of(step))) or "–"
    return Bilingual(
        f"「{step.label.to('zh')}」没有人可做:被指派者({asked})或不存在,或因先前做过的步骤而不得再做。",
        f"Nobody can do “{step.label.to('en')}”: of those asked ({asked}) there is none, or what they did before bars "
        "them.",
    )


def _never(step: Step) -> Bilingual:
    condition = step.entry.when.source if step.entry is not None else ""
    return Bilingual(
        f"「{step.label.to('zh')}」的进入条件不可能成立:{condition}",
        f"What “{step.label.to('en')}” demands before it begins cannot be so: {condition}",
    )
