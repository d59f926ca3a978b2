"""`identity:` in clew.yaml: which records of the project are people, their roles and their positions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from clew.metadata.spec.words import Name, OneOrMany, OneOrManyText, Path, Spec, doc


def _entity_alone(value: Any) -> Any:
    """`people: employee` is short for `people: {entity: employee}`."""
    return {"entity": value} if isinstance(value, str) else value


class PeopleSpec(Spec):
    """Records of people: linked to accounts by their login; leaving ends everything."""

    entity: Name = doc("Whose records are people.", "人员实体。")
    login: Name = doc("The field with the login.", "登录账号字段。", default="login_id")
    name: Name = doc("The field with the printed name.", "姓名字段。", default="printed_name")
    department: Name | None = doc("The reference to the department.", "部门引用。", default=None)
    site: Path | None = doc("The way to the person's own site.", "通向所属场所的路径。", default=None)
    manager: OneOrManyText = doc(
        "The ways to the person's manager; the first that leads to somebody else counts.",
        "通向上级的路径;取第一个指向他人的。",
        default=(),
    )
    away: OneOrMany = doc("States in which the account is disabled.", "账号停用的状态。", default=())
    left: OneOrMany = doc("States in which somebody has left.", "已离职的状态。", default=())


class AssignmentsSpec(Spec):
    """Records that give roles: approved, they count; revoked, they do not."""

    entity: Name = doc("Whose records give roles.", "授权实体。")
    person: Name = doc("The reference to the person.", "人员引用。", default="employee")
    role: Path = doc("The way to the role's name.", "通向角色名的路径。", default="role")
    sites: Name | None = doc("The reference to the site; empty there: all.", "场所引用,空为全部。", default=None)
    families: Name | None = doc("The product family; empty there: all.", "产品族字段,空为全部。", default=None)
    from_: Name = doc("The day it begins.", "开始日期。", alias="from", default="valid_from")
    to: Name | None = doc("The last day it counts.", "最后有效日期。", default="valid_to")
    delegator: Name | None = doc("Who stands behind a delegation.", "委托人引用。", default=None)
    active: OneOrMany = doc("States in which it counts.", "生效的状态。", default=("active",))


class PositionsSpec(Spec):
    """Positions and who holds them: asked in processes, and named as open handovers when somebody leaves."""

    entity: Name = doc("Whose records are positions.", "岗位实体。")
    code: Name = doc("The field by which processes name a position.", "流程引用岗位所用的代码字段。", default="code")
    active: OneOrMany = doc("States in which it counts; empty: all.", "生效的状态,空为全部。", default=())
    holders: Name = doc("The lines that list the holders.", "任职人明细。", default="holders")
    person: Name = doc("In a line: the reference to the person.", "明细中的人员引用。", default="employee")
    from_: Name | None = doc("In a line: the day it began.", "明细中的起始日期。", alias="from", default=None)
    to: Name = doc("In a line: the day it ended.", "明细中的截止日期。", default="valid_to")


class TrainingSpec(Spec):
    """Records of training: who is qualified for what."""

    entity: Name = doc("Whose records are training.", "培训记录实体。")
    person: Name = doc("The reference to the person.", "人员引用。", default="employee")
    course: Name = doc("The reference to what was learnt.", "课程引用。", default="course")
    to: Name | None = doc("The last day it is valid; empty there: for ever.", "有效期至,空为长期。", default=None)
    valid: OneOrMany = doc("States in which it counts.", "视为有效的状态。")


class IdentitySpec(Spec):
    """Which records of the project stand for what identity knows. Without it there are only the commands."""

    people: Annotated[PeopleSpec, BeforeValidator(_entity_alone, json_schema_input_type=PeopleSpec | Name)] = doc(
        "People.", "人员。"
    )
    assignments: (
        Annotated[AssignmentsSpec, BeforeValidator(_entity_alone, json_schema_input_type=AssignmentsSpec | Name)] | None
    ) = doc("Role assignments.", "角色授权。", default=None)
    positions: (
        Annotated[PositionsSpec, BeforeValidator(_entity_alone, json_schema_input_type=PositionsSpec | Name)] | None
    ) = doc("Positions.", "岗位。", default=None)
    training: TrainingSpec | None = doc("Training.", "培训。", default=None)
