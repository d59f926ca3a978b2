"""Forms whose conditions read what a role that is asked does not see: for it they always hold, whatever is stored."""

from __future__ import annotations

from collections.abc import Iterator

from clew.expressions.tree import Checked
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.forms import Form
from clew.metadata.policies import Policies, Role
from clew.metadata.processes import Workflow
from clew.process.proof.cast import roles_of


def blind_findings(blueprint: Blueprint, workflow: Workflow) -> Iterator[tuple[str, Bilingual]]:
    """The path of every step with such a form, and what to say of it."""
    policies = blueprint.policies
    if policies is None:
        return
    for flow, step in workflow.walk():
        if step.layout is None:
            continue
        for name in dict.fromkeys(roles_of(step)):
            role = policies.roles.get(name)
            hidden = role and next(_hidden(blueprint, policies, role, flow.entity, step.layout), None)
            if role is not None and hidden:
                say = Bilingual(
                    f"表单 {step.layout.name} 的条件读取 {hidden},而角色 {role.label.to('zh')} 看不到它:"
                    f"对其而言条件始终成立(显示、必填、只读)。",
                    f"A condition of the form {step.layout.name} reads {hidden}, which the role {role.label.to('en')} "
                    "does not see: for it the condition always holds (shown, required, read-only).",
                )
                yield step.path, say


def _hidden(blueprint: Blueprint, policies: Policies, role: Role, entity: str, form: Form) -> Iterator[str]:
    for section, each in form.fields():
        for when in (section.visible, each.visible, each.required_when, each.read_only_when):
            yield from _unseen(blueprint, policies, role, entity, when)


def _unseen(blueprint: Blueprint, policies: Policies, role: Role, entity: str, when: Checked | None) -> Iterator[str]:
    for path in when.reads if when is not None else ():
        at: tuple[str, ...] = (entity,)
        for name in path:
            if name.startswith("@"):
                name = "state"
            if not all(_sees(policies, role, each, name) for each in at):
                yield ".".join(path)
                break
            found: tuple[str, ...] = ()
            for each in at:
                known = blueprint.entities[each]
                if name in known.inverses:
                    found += (known.inverses[name].source,)
                elif name in known.fields:
                    found += known.fields[name].targets
            at = found


def _sees(policies: Policies, role: Role, entity: str, field: str) -> bool:
    """Whether a role by itself sees a field on every record of the entity that it reads."""
    lineage = policies.lineage(role.name)
    if any(field in each.never[entity].hide for each in lineage if entity in each.never):
        return False
    grants = [each.may[entity] for each in lineage if entity in each.may and each.may[entity].actions.get("read")]
    return any(
        field not in each.hide and field not in each.mask and (each.show is None or field in each.show)
        for each in grants
    ) or field in ("id", "owner")
