"""Every kind of finding about workflows and decision tables, with its text in both languages."""

from __future__ import annotations

from clew.kernel.diagnostics import Rule, Severity

UNKNOWN_STEP = Rule("UNKNOWN_STEP", "There is no step `{name}` here.", "此处没有步骤 `{name}`。")
UNKNOWN_WORKFLOW = Rule("UNKNOWN_WORKFLOW", "There is no workflow `{name}`.", "没有流程 `{name}`。")
UNKNOWN_ALERT = Rule("UNKNOWN_ALERT", "There is no alert `{name}`.", "没有预警 `{name}`。")
UNKNOWN_ACTION = Rule(
    "UNKNOWN_ACTION",
    "No plugin action is called `{name}`.",
    "没有名为 `{name}` 的插件动作。",
    "Actions of plugins are named in clew.yaml, under `actions`.",
    "插件动作须在 clew.yaml 的 `actions` 中声明。",
)
UNKNOWN_PLUGIN = Rule(
    "UNKNOWN_PLUGIN",
    "There is no plugin `{name}` in the folder plugins/.",
    "plugins/ 目录中没有插件 `{name}`。",
    "What a plugin consists of: docs/plugins.md",
    "插件的组成见 docs/plugins.zh.md",
)
UNKNOWN_ROLE_IN_STEP = Rule("UNKNOWN_ROLE_IN_STEP", "There is no role `{name}`.", "没有角色 `{name}`。")
UNKNOWN_TRANSITION = Rule(
    "UNKNOWN_TRANSITION", "`{entity}` has no transition `{name}`.", "`{entity}` 没有状态迁移 `{name}`。"
)
UNKNOWN_OUTCOME = Rule("UNKNOWN_OUTCOME", "`{name}` is no outcome of this step.", "`{name}` 不是该步骤的结果。")
UNKNOWN_END = Rule("UNKNOWN_END", "The process does not end with `{name}`.", "该流程没有以 `{name}` 结束的路径。")
UNKNOWN_RELATION = Rule("UNKNOWN_RELATION", "`{entity}` has no relation `{name}`.", "`{entity}` 没有关联 `{name}`。")
UNKNOWN_EVENT = Rule(
    "UNKNOWN_EVENT",
    "`{name}` is no event: write an entity and what happens to it.",
    "`{name}` 不是事件:应写实体及其动作。",
    "Such as complaint.create, lot.update or lot.release (a transition).",
    "例如 complaint.create、lot.update 或 lot.release(状态迁移)。",
)
CALL_NOT_IN_USE = Rule(
    "CALL_NOT_IN_USE",
    "`{name}` is not in use everywhere that this process is: elsewhere this step would stop as an incident.",
    "`{name}` 的启用范围小于本流程:在范围之外,该步骤会成为异常而停下。",
    "Give this process an `active` that goes no further.",
    "请为本流程写明不大于它的 `active`。",
    Severity.WARNING,
)
UNKNOWN_TABLE = Rule("UNKNOWN_TABLE", "There is no decision table `{name}`.", "没有决策表 `{name}`。")
UNKNOWN_COLUMN = Rule("UNKNOWN_COLUMN", "The table has no `{name}`.", "决策表没有 `{name}`。")
STEP_KIND = Rule(
    "STEP_KIND",
    "The step `{name}` says {count} of: {kinds}.",
    "步骤 `{name}` 写了 {count} 项,应为其中之一:{kinds}。",
    "A step is exactly one of these.",
    "每个步骤只能是其中一种。",
)
STEP_KEY = Rule("STEP_KEY", "`{key}` does not apply to a step with `{kind}`.", "`{key}` 不适用于含 `{kind}` 的步骤。")
STEP_UNREACHED = Rule("STEP_UNREACHED", "Nothing leads to the step `{name}`.", "没有任何步骤通向 `{name}`。")
STEP_CIRCLE = Rule(
    "STEP_CIRCLE",
    "These steps follow each other without anybody or anything to wait for: {circle}.",
    "这些步骤循环往复而无人办理也无等待:{circle}。",
)
STATE_NOT_REACHED = Rule(
    "STATE_NOT_REACHED", "No transition of `{entity}` leads to `{name}`.", "`{entity}` 没有通向 `{name}` 的状态迁移。"
)
SIGN_MISSING = Rule(
    "SIGN_MISSING",
    "To reach `{name}` takes a signature ({meaning}), and this step takes none with that meaning.",
    "到达 `{name}` 需要签名({meaning}),而该步骤没有此含义的签名。",
    "Add sign to the step, or reach the state in a step that has it.",
    "请为该步骤加上 sign,或由有签名的步骤到达该状态。",
)
ACTION_KIND = Rule(
    "ACTION_KIND",
    "An action is exactly one of: set, create, move, start, run, notify.",
    "动作只能是 set、create、move、start、run、notify 之一。",
)
ACTION_INPUT = Rule("ACTION_INPUT", "`{name}` of `{entity}` needs a value.", "须给出 `{entity}` 的 `{name}`。")
ENOUGH_TOO_MANY = Rule(
    "ENOUGH_TOO_MANY", "{enough} votes are wanted of {posts}.", "要求 {enough} 票,但只有 {posts} 票。"
)
POST_NOT_ASKED = Rule("POST_NOT_ASKED", "`{name}` is not among those who are asked.", "`{name}` 不在审批人之列。")
NO_OUTCOME_FOR = Rule(
    "NO_OUTCOME_FOR", "An approval needs an outcome that is not against.", "审批至少要有一个表示同意的结果。"
)
NO_OUTCOME_AGAINST = Rule(
    "NO_OUTCOME_AGAINST",
    "The votes may split between the outcomes, and none of them stands for that.",
    "各方意见可能不一致,而没有任何结果可以代表这种情况。",
    "Add an outcome with `against: true`, and say in `then` where it goes on.",
    "请增加一个 `against: true` 的结果,并在 `then` 中写明后续步骤。",
)
NO_WAY_ON = Rule(
    "NO_WAY_ON",
    "`then` does not say where it goes on after `{name}`.",
    "`then` 未写明结果为 `{name}` 时的后续步骤。",
    "What is decided against never just goes on with the next step.",
    "表示反对的结果不能默认进入下一步骤。",
)
ANY_SIGN_ALONE = Rule(
    "ANY_SIGN_ALONE",
    "With `any_sign` one signature decides; `enough`, `must` and `veto` have no meaning.",
    "`any_sign`(或签)一人即可决定,不能再写 `enough`、`must`、`veto`。",
)
SIGNED_ONCE = Rule(
    "SIGNED_ONCE",
    "`once` cannot be said of a signed step: each post gives its own signature.",
    "需签名的步骤不能使用 `once`:每个岗位各自签名。",
)
LAST_BRANCH = Rule(
    "LAST_BRANCH",
    "The last branch must have no condition, so that one always holds.",
    "最后一个分支不应有条件,以保证总有一个成立。",
)
BRANCH_AFTER_ELSE = Rule(
    "BRANCH_AFTER_ELSE", "A branch without a condition must be the last.", "没有条件的分支必须在最后。"
)
STEP_INCOMPLETE = Rule(
    "STEP_INCOMPLETE",
    "The step `{name}` does not say its {missing}.",
    "步骤 `{name}` 未写明 {missing}。",
    "Every step of a process states inputs, outputs, owner, time limit and alerts.",
    "流程的每个步骤都应写明输入、输出、负责人、时限与提醒。",
    Severity.WARNING,
)
UNKNOWN_FORM = Rule("UNKNOWN_FORM", "There is no form `{name}`.", "没有表单 `{name}`。")
PEOPLE_NOT_DECLARED = Rule(
    "PEOPLE_NOT_DECLARED",
    "`{key}` asks for people by records, and `identity:` of clew.yaml does not say which: {missing}.",
    "`{key}` 按业务记录找人,而 clew.yaml 的 `identity:` 未声明:{missing}。",
    "Without it nobody could ever be found.",
    "未声明则永远找不到人。",
)
DECISION_WIDTH = Rule("DECISION_WIDTH", "{count} cells; {wanted} are needed.", "有 {count} 个单元格,应为 {wanted} 个。")
DECISION_CELL = Rule(
    "DECISION_CELL",
    "This cell cannot be read: {reason}.",
    "无法读取单元格:{reason_zh}。",
    "Cells are: any, 5, < 5, 2..8, (2..8], A, B, not(A), null.",
    "单元格可写:any、5、< 5、2..8、(2..8]、A, B、not(A)、null。",
)
DECISION_GAP = Rule(
    "DECISION_GAP",
    "No row holds for: {case}.",
    "以下情形没有行命中:{case}。",
    "Add a row, or a default.",
    "请补充行,或写明 default。",
)
DECISION_OVERLAP = Rule(
    "DECISION_OVERLAP",
    "Rows {first} and {second} both hold for: {case}.",
    "第 {first} 行与第 {second} 行在以下情形同时命中:{case}。",
    "Narrow one of them, or say which counts with `hit`.",
    "请收窄其一,或用 `hit` 说明以哪一行为准。",
)
DECISION_NEVER = Rule(
    "DECISION_NEVER",
    "Row {number} never counts: the rows before it hold wherever it does.",
    "第 {number} 行永远不会生效:其前各行已覆盖它的全部情形。",
    severity=Severity.WARNING,
)
DECISION_UNKNOWN = Rule(
    "DECISION_UNKNOWN",
    "Whether `{name}` has gaps cannot be told: there are too many cases.",
    "情形过多,无法判断 `{name}` 是否有遗漏。",
    "Split the table, or add a default.",
    "请拆分决策表,或写明 default。",
    Severity.WARNING,
)
DECISION_EXAMPLE = Rule(
    "DECISION_EXAMPLE",
    "This example comes out otherwise: {found} (rows {rows}).",
    "该例子的结果不同:{found}(第 {rows} 行)。",
)
FORM_FIELD = Rule("FORM_FIELD", "Say one of field, scan or camera.", "应写 field、scan、camera 之一。")
FORM_TWICE = Rule("FORM_TWICE", "`{name}` stands on the form twice.", "`{name}` 在表单中出现两次。")
FORM_WIDGET = Rule(
    "FORM_WIDGET",
    "`{name}` cannot be filled in with `{widget}`.",
    "`{name}` 不能使用控件 `{widget}`。",
    "Fitting: {fitting}.",
    "可用:{fitting}。",
)
FORM_READ_ONLY = Rule(
    "FORM_READ_ONLY",
    "`{name}` is required and cannot be filled in here.",
    "`{name}` 必填,但在此处不能填写。",
)
FORM_LACKS = Rule(
    "FORM_LACKS",
    "The step asks for `{name}`, and the form `{form}` does not offer it.",
    "步骤要求填写 `{name}`,但表单 `{form}` 未提供该字段。",
)
FORM_NOT_ASKED = Rule(
    "FORM_NOT_ASKED",
    "The form `{form}` requires `{name}`, which the step does not ask for.",
    "表单 `{form}` 要求填写 `{name}`,但该步骤的 output 中没有它。",
    "Name it among the step's output.",
    "请将其写入该步骤的 output。",
)
ONE_ACT = Rule(
    "ONE_ACT",
    "An entry of a scenario says exactly one of {known}; this one says {given}.",
    "场景的每一项恰为 {known} 之一;此项为 {given}。",
)
UNKNOWN_PERSON = Rule("UNKNOWN_PERSON", "There is no `{name}` among `people`.", "`people` 中没有 `{name}`。")
UNKNOWN_RECORD = Rule(
    "UNKNOWN_RECORD",
    "No record is called `{name}` here: it must be given, or created before.",
    "此处没有名为 `{name}` 的记录:须在 `given` 中给出,或在之前新建。",
)
SCHEDULE_DAY = Rule(
    "SCHEDULE_DAY",
    "`{by}` is no day of a {every}.",
    "`{by}` 不是 {every} 中的日期。",
    "In a year 03-31, in a quarter or month 1 to 31, in a week 1 to 7.",
    "一年中写 03-31,季度或月中写 1 至 31,周中写 1 至 7。",
)
