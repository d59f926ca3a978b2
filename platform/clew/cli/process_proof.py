"""`clew process prove`: every way a process can go, walked before it goes live; what is wrong is told as a story."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import AsJson, Lang, Project, situation
from clew.cli.terminal import Terminal
from clew.cli.usage import WrongUsage
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint
    from clew.metadata.processes import Workflow
    from clew.process.proof.findings import Finding, Proof

FORMAT = "clew.process-proof/1"


class UnknownProcess(WrongUsage):
    code = "UNKNOWN_PROCESS"
    en = "There is no process {name}; there are: {known}."
    zh = "没有流程 {name};现有:{known}。"


def register(group: typer.Typer) -> None:
    @group.command(
        "prove",
        help=t(
            "Walk every way processes can go: deadlocks, steps nobody can do, missing signatures. 1 when one is found.",
            "走遍流程的每条路径:死锁、无人可做的步骤、缺失的签名。发现问题时退出码为 1。",
        ),
    )
    def prove_command(
        names: Annotated[
            list[str] | None,
            typer.Argument(metavar="NAME...", help=t("Processes; all of them.", "流程名称,不写则为全部。")),
        ] = None,
        most: Annotated[
            int, typer.Option("--most", min=100, help=t("States after which to stop.", "走过多少个状态后停止。"))
        ] = 60_000,
        scenarios: Annotated[
            Path | None,
            typer.Option("--scenarios", help=t("A folder for counterexamples.", "将反例写为场景的目录。")),
        ] = None,
        project: Project = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        from clew.metadata.load import load_folder
        from clew.process.proof.findings import prove
        from clew.runtime import usable

        given = situation(project, None, None, lang, as_json)
        blueprint = usable(load_folder(given.settings.project))
        proofs = []
        for workflow in named(blueprint, names):
            proof = prove(blueprint, workflow, most)
            proofs.append(proof)
            told(given.terminal, workflow, proof)
            if scenarios is not None:
                for path in kept(scenarios, proof):
                    given.terminal.note(f"Wrote {path}", f"已写入 {path}")
        holds = all(each.holds for each in proofs)
        given.terminal.emit(format=FORMAT, ok=holds, processes=[proof_json(each) for each in proofs])
        if not holds:
            raise typer.Exit(1)


REMEDIES: dict[str, Bilingual] = {
    "deadlock": Bilingual(
        "补上缺少的转换或 `then`;由退回造成的,在退回的那一步写明 `returns_to`(`returns_to: []` 为不可退回)",
        "Add the transition or the `then` that is missing; where something was sent back, say under `returns_to` of "
        "the step that sent it where it may go (`returns_to: []`: nowhere)",
    ),
    "nobody": Bilingual(
        "再请一个角色办理,给该角色所需的权限或签名含义,或放宽 `not_same_person_as`",
        "Ask one more role, give the role the right or the meaning it signs for, or loosen `not_same_person_as`",
    ),
    "no_end": Bilingual("让其中一步的 `then` 通向 `end`", "Let `then` of one of these steps lead to an `end`"),
    "endless": Bilingual("在其中放一个由人办理的步骤或一个等待", "Put a step of people or a wait among them"),
    "impossible": Bilingual(
        "在流程开头按记录所处状态分流(`decide`),用 `starts` 的 `when` 排除该状态,或补上该转换",
        "Let a `decide` at its beginning lead on by the state the record is in, leave that state out by a `when` under "
        "`starts`, or add the transition",
    ),
    "unreachable": Bilingual("让某个 `then` 通向它,或删去", "Let some `then` lead to it, or take it out"),
    "checkpoint": Bilingual(
        "让每条通向该结果的路径都经过检查点,或从 `before` 中去掉该结果",
        "Lead every way to that outcome through the checkpoint, or take the outcome out of `before`",
    ),
    "unsigned": Bilingual("在该步骤写明 `sign`", "Say `sign` at that step"),
    "bypass": Bilingual("给那个转换也要求签名,或说明为何不需要", "Ask for the signature there too, or know why not"),
    "signer": Bilingual(
        "在角色的 `signs` 中加入该含义,或确保被请的人另有可签署的角色",
        "Add the meaning to the role's `signs`, or see that whoever is asked holds another role that has it",
    ),
    "limit": Bilingual("放宽外层时限,或收紧内部步骤", "Give the outer step more time, or the inner ones less"),
    "blind": Bilingual(
        "让该角色可见条件所读的字段,或换一个其可见的条件",
        "Let the role see what the condition reads, or ask for something that it sees",
    ),
    "unfinished": Bilingual(
        "用 --most 允许更多状态,或拆成子流程", "Allow more with --most, or make parts sub-processes"
    ),
}
"""What to do about each flaw."""


def named(blueprint: Blueprint, names: Sequence[str] | None) -> list[Workflow]:
    """The processes with these names; all when none is given. Raises UnknownProcess."""
    workflows = blueprint.workflows
    for name in names or ():
        if name not in workflows:
            raise UnknownProcess(name=name, known=", ".join(workflows) or "–")
    return [workflows[name] for name in names or workflows]


def told(terminal: Terminal, workflow: Workflow, proof: Proof) -> None:
    """One process for people: a line when nothing is wrong, else each flaw with the way that leads to it."""
    label, ends = workflow.label, ", ".join(proof.ends) or "–"
    mark = "✓" if proof.holds else "✗"
    terminal.say(
        f"{mark} {label.to('en')} ({proof.workflow}): {proof.worlds:,} states, ends: {ends}",
        f"{mark} {label.to('zh')}({proof.workflow}):{proof.worlds:,} 个状态,结局:{ends}",
    )
    for finding in proof.findings:
        at = f" [{finding.step}]" if finding.step else ""
        warning = finding.flaw.warning
        terminal.say(
            f"  {'warning' if warning else 'error'} {finding.flaw}{at}: {finding.say.to('en')}",
            f"  {'警告' if warning else '错误'} {finding.flaw}{at}:{finding.say.to('zh')}",
        )
        for number, line in enumerate(story(finding), 1):
            terminal.say(f"    {number}. {line.to('en')}", f"    {number}. {line.to('zh')}")
    for flaw in dict.fromkeys(each.flaw for each in proof.findings):
        terminal.say(f"  → {flaw}: {REMEDIES[flaw].to('en')}", f"  → {flaw}:{REMEDIES[flaw].to('zh')}")


def story(finding: Finding) -> list[Bilingual]:
    """What has to happen for the flaw to be met, a line for each thing."""
    found = []
    for move in finding.story:
        zh, en = move.text.to("zh"), move.text.to("en")
        if move.assuming:
            zh += f"(假定 {';'.join(move.assuming)})"
            en += f" (assuming {'; '.join(move.assuming)})"
        found.append(Bilingual(zh, en))
    return found


def kept(folder: Path, proof: Proof) -> list[Path]:
    """Each flaw that can be walked as a scenario for `clew test`: it fails until the flaw is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, finding in enumerate((each for each in proof.findings if each.story and not each.flaw.warning), 1):
        name = f"{proof.workflow}_{finding.flaw}_{number}"[:48]
        document = {
            "scenario": name,
            "label": {"zh": finding.say.to("zh"), "en": finding.say.to("en")},
            "workflow": proof.workflow,
            "moves": [
                {**move.replay, **({"assuming": list(move.assuming)} if move.assuming else {})}
                for move in finding.story
            ],
        }
        path = folder / f"{name}.yaml"
        path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        found.append(path)
    return found


def proof_json(proof: Proof) -> dict[str, Any]:
    return {
        "process": proof.workflow,
        "holds": proof.holds,
        "states": proof.worlds,
        "ends": list(proof.ends),
        "findings": [
            {
                "flaw": each.flaw,
                "severity": "warning" if each.flaw.warning else "error",
                "step": each.step,
                "hint": {"zh": REMEDIES[each.flaw].to("zh"), "en": REMEDIES[each.flaw].to("en")},
                "message": {"zh": each.say.to("zh"), "en": each.say.to("en")},
                "story": [{"zh": line.to("zh"), "en": line.to("en")} for line in story(each)],
                "replay": [{**move.replay, "assuming": list(move.assuming)} for move in each.story],
            }
            for each in proof.findings
        ],
    }
