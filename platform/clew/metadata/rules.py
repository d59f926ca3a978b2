"""Every kind of finding the metadata compiler reports, with its text in both languages.

Codes are stable: they appear in `clew check --json`, in SARIF and in docs/errors.md.
"""

from __future__ import annotations

import sys

from clew.kernel.diagnostics import Rule, Severity

# Files and YAML
NO_PROJECT = Rule(
    "NO_PROJECT",
    "This folder has no clew.yaml, so it is not a project.",
    "该文件夹没有 clew.yaml,不是项目。",
    "Create one with: clew init",
    "可用 clew init 创建",
)
EMPTY_PROJECT = Rule(
    "EMPTY_PROJECT",
    "clew.yaml does not say which project this is.",
    "clew.yaml 未说明项目名称。",
    "Begin it with: project: its_name",
    "请以 project: 项目名 开头",
)
FILE_UNREADABLE = Rule("FILE_UNREADABLE", "The file cannot be read: {reason}.", "无法读取文件:{reason}。")
FILE_NOT_UTF8 = Rule(
    "FILE_NOT_UTF8",
    "The file is not UTF-8 (byte {offset} is wrong).",
    "文件不是 UTF-8 编码(第 {offset} 字节有误)。",
    "Save it as UTF-8 in your editor.",
    "请在编辑器中另存为 UTF-8。",
)
FILE_TOO_LARGE = Rule(
    "FILE_TOO_LARGE",
    "The file is larger than {limit}.",
    "文件超过 {limit}。",
    "Split it into several files.",
    "请拆分为多个文件。",
)
TOO_DEEP = Rule("TOO_DEEP", "Nested deeper than {limit} levels.", "嵌套超过 {limit} 层。")
TOO_MANY_NODES = Rule(
    "TOO_MANY_NODES",
    "More than {limit} values in one file.",
    "单个文件中的值超过 {limit} 个。",
    "Split it into several files.",
    "请拆分为多个文件。",
)
YAML_SYNTAX = Rule(
    "YAML_SYNTAX",
    "This is not valid YAML: {problem}.",
    "YAML 语法错误:{problem_zh}。",
    "Often a missing quote, a missing space after a colon, or a wrong indent.",
    "常见原因:缺少引号、冒号后缺空格或缩进不对。",
)
YAML_TAG = Rule(
    "YAML_TAG",
    "Tags are not allowed: {tag}.",
    "不允许使用 YAML 标签:{tag}。",
    "Write the plain value; put it in quotes if it begins with an exclamation mark.",
    "请写普通值;以感叹号开头的文字请加引号。",
)
YAML_ALIAS = Rule(
    "YAML_ALIAS",
    "Anchors and aliases (& and *) are not allowed: {name}.",
    "不允许使用锚点和别名(& 与 *):{name}。",
    "Write the value again, or put text that begins with & or * in quotes.",
    "请重复书写该值;以 & 或 * 开头的文字请加引号。",
)
YAML_DIRECTIVE = Rule(
    "YAML_DIRECTIVE", "Directives such as %YAML or %TAG are not allowed.", "不允许使用 %YAML、%TAG 等指令。"
)
INVISIBLE_CHARACTER = Rule(
    "INVISIBLE_CHARACTER",
    "An invisible or direction-changing character {character} stands here.",
    "此处有不可见或改变书写方向的字符 {character}。",
    "Delete it.",
    "请删除。",
)
AMBIGUOUS_SCALAR = Rule(
    "AMBIGUOUS_SCALAR",
    "`{text}` is read differently by different YAML versions.",
    "`{text}` 在不同 YAML 版本中含义不同。",
    "For text write it in quotes: '{text}'. For a truth value write true or false; for a number plain digits.",
    "若是文字请加引号:'{text}';真值请写 true 或 false;数字请写普通数字。",
)
DUPLICATE_KEY = Rule("DUPLICATE_KEY", "The key `{key}` is written twice.", "键 `{key}` 重复。")
BAD_KEY = Rule("BAD_KEY", "A key must be a single word.", "键必须是单个名称。")
EMPTY_VALUE = Rule(
    "EMPTY_VALUE",
    "`{key}` has no value.",
    "`{key}` 没有值。",
    "Give it a value or delete the line. Text with a comma inside { } needs quotes.",
    "请填写值或删除该行。花括号内含逗号的文字须加引号。",
)
NOT_A_MAPPING = Rule("NOT_A_MAPPING", "A document must consist of `key: value` lines.", "文档应由“键: 值”行组成。")

# Shape: what one document may contain
UNKNOWN_KIND = Rule(
    "UNKNOWN_KIND",
    "`{kind}` is not a kind of document.",
    "没有名为 `{kind}` 的文档种类。",
    "The first key says the kind: {kinds}.",
    "第一个键表示种类:{kinds}。",
)
KIND_NOT_HERE = Rule(
    "KIND_NOT_HERE",
    "`{kind}` does not belong in this folder.",
    "`{kind}` 不应放在此文件夹。",
    "Put it under: {folders}",
    "请放到:{folders}",
)
UNKNOWN_KEY = Rule(
    "UNKNOWN_KEY",
    "`{key}` is not known here.",
    "此处没有名为 `{key}` 的键。",
    "Known here: {known}",
    "此处可用:{known}",
)
MISSING_KEY = Rule("MISSING_KEY", "`{key}` is missing.", "缺少 `{key}`。")
WRONG_TYPE = Rule("WRONG_TYPE", "`{value}` is not {expected}.", "`{value}` 不是{expected_zh}。")
NOT_ONE_OF = Rule("NOT_ONE_OF", "`{value}` is not one of: {known}.", "`{value}` 不在可选值之内:{known}。")
BAD_NAME = Rule(
    "BAD_NAME",
    "`{name}` is not a good name.",
    "`{name}` 不是合规的名称。",
    "A name starts with a lower-case letter, has only a-z, 0-9 and _, and at most 48 characters.",
    "名称以小写字母开头,只含 a-z、0-9 和 _,至多 48 个字符。",
)
BAD_CODE = Rule(
    "BAD_CODE",
    "`{name}` is not a good code.",
    "`{name}` 不是合规的代码。",
    "A code starts with a letter, has only letters, digits and _, at most 48 characters, and is none of "
    "true, false, null, yes, no, on, off.",
    "代码以字母开头,只含字母、数字和 _,至多 48 个字符,且不能是 true、false、null、yes、no、on、off。",
)
BAD_VALUE = Rule("BAD_VALUE", "`{value}` cannot be used here: {reason}.", "`{value}` 不能用在此处:{reason_zh}。")
NO_LABEL = Rule("NO_LABEL", "A label needs at least one of `zh` and `en`.", "标签至少要有 `zh` 或 `en`。")

# Names: what they refer to and what they clash with
DUPLICATE_NAME = Rule("DUPLICATE_NAME", "There are two {kind} named `{name}`.", "名为 `{name}` 的{kind_zh}有两个。")
RESERVED_NAME = Rule(
    "RESERVED_NAME", "`{name}` is a name of the platform's own.", "`{name}` 是平台保留名称。", "{reason}", "{reason_zh}"
)
NAME_CLASH = Rule(
    "NAME_CLASH",
    "`{name}` and `{other}` both become `{generated}` in GraphQL.",
    "`{name}` 与 `{other}` 在 GraphQL 中都成为 `{generated}`。",
    "Rename one of them.",
    "请改名其中之一。",
)
UNKNOWN_ENTITY = Rule("UNKNOWN_ENTITY", "There is no entity `{name}`.", "没有实体 `{name}`。")
UNKNOWN_CODE_LIST = Rule("UNKNOWN_CODE_LIST", "There is no code list `{name}`.", "没有代码表 `{name}`。")
UNKNOWN_CODE = Rule("UNKNOWN_CODE", "`{name}` is not a code of `{list}`.", "`{name}` 不是代码表 `{list}` 的代码。")
UNKNOWN_CODING_RULE = Rule("UNKNOWN_CODING_RULE", "There is no coding rule `{name}`.", "没有编码规则 `{name}`。")
UNKNOWN_FIELD = Rule("UNKNOWN_FIELD", "`{entity}` has no field `{name}`.", "`{entity}` 没有字段 `{name}`。")
UNKNOWN_STATE = Rule("UNKNOWN_STATE", "`{entity}` has no state `{name}`.", "`{entity}` 没有状态 `{name}`。")
UNKNOWN_UNIT = Rule(
    "UNKNOWN_UNIT",
    "`{name}` is neither a code of `unit` nor a path to a unit.",
    "`{name}` 既不是代码表 `unit` 的代码,也不是指向单位的路径。",
    "An amount of a currency is `type: money`.",
    "带币种的金额请用 `type: money`。",
)
UNKNOWN_OVERLAY = Rule("UNKNOWN_OVERLAY", "There is no folder overlays/{name}.", "没有文件夹 overlays/{name}。")
UNKNOWN_TEXT = Rule("UNKNOWN_TEXT", "Nothing is named `{name}`.", "没有名为 `{name}` 的对象。")

# Entities
INVERSE_TAKEN = Rule(
    "INVERSE_TAKEN",
    "The way back `{name}` on `{target}` is taken already.",
    "`{target}` 上的反向名称 `{name}` 已被占用。",
    "Give it a name with `inverse:`, or write `inverse: none`.",
    "请用 `inverse:` 另起名称,或写 `inverse: none`。",
)
BAD_FIELD_USE = Rule("BAD_FIELD_USE", "`{name}` cannot be used here: {reason}.", "`{name}` 不能用在此处:{reason_zh}。")
NOT_FOR_KIND = Rule("NOT_FOR_KIND", "`{key}` does not apply to {what}.", "`{key}` 不适用于{what_zh}。")
BOUNDS_CROSSED = Rule("BOUNDS_CROSSED", "`{low}` is greater than `{high}`.", "`{low}` 大于 `{high}`。")
NO_KEY = Rule(
    "NO_KEY",
    "`{entity}` has no business key.",
    "`{entity}` 没有业务主键。",
    "Declare `key: [field]` or `number:`; without it records cannot be looked up or imported by key.",
    "请声明 `key: [字段]` 或 `number:`;否则无法按业务主键查找或导入。",
    Severity.WARNING,
)
LINE_OWNER = Rule(
    "LINE_OWNER",
    "The line entity `{line}` is part of `{part_of}`, not of `{owner}`.",
    "明细实体 `{line}` 属于 `{part_of}`,而不是 `{owner}`。",
)
LINE_UNLISTED = Rule(
    "LINE_UNLISTED",
    "`{owner}` has no field of type lines for `{line}`.",
    "`{owner}` 没有对应 `{line}` 的明细(lines)字段。",
    "Add to {owner}: {plural}: {type: lines, of: {line}}",
    "请在 {owner} 中添加 {plural}: {type: lines, of: {line}}",
)
LINE_LISTED_TWICE = Rule(
    "LINE_LISTED_TWICE", "The lines of `{line}` are listed by two fields.", "`{line}` 的明细被两个字段列出。"
)
LINES_NESTED = Rule(
    "LINES_NESTED",
    "Inline lines may not contain lines.",
    "内联明细不能再含明细。",
    "Declare an entity with `part_of` instead.",
    "请改用带 `part_of` 的实体。",
)
NOT_A_LINE = Rule(
    "NOT_A_LINE",
    "`{name}` is not a line entity.",
    "`{name}` 不是明细实体。",
    "Add `part_of: {owner}` to it.",
    "请为其添加 `part_of: {owner}`。",
)
NOT_FOR_LINES = Rule("NOT_FOR_LINES", "A line entity has no `{key}` of its own.", "明细实体不能有自己的 `{key}`。")
NO_STATES = Rule("NO_STATES", "`{key}` needs `states`.", "`{key}` 需要先声明 `states`。")
STATE_UNREACHABLE = Rule(
    "STATE_UNREACHABLE",
    "No transition leads to the state `{name}`.",
    "没有任何迁移到达状态 `{name}`。",
    severity=Severity.WARNING,
)
STATE_NO_LABEL = Rule(
    "STATE_NO_LABEL",
    "The state `{name}` has no label: neither here nor in the code list `state`.",
    "状态 `{name}` 没有标签:此处和代码表 `state` 中都没有。",
    severity=Severity.WARNING,
)
REQUIRED_CYCLE = Rule(
    "REQUIRED_CYCLE",
    "These required references form a circle, so no record can be the first: {circle}.",
    "这些必填引用构成循环,无法创建第一条记录:{circle}。",
)
COMPUTED_CYCLE = Rule(
    "COMPUTED_CYCLE", "These computed fields need each other: {circle}.", "这些计算字段互相依赖:{circle}。"
)
COMPUTED_TOO_DEEP = Rule(
    "COMPUTED_TOO_DEEP",
    "The computed field {name} contains too many others, one within the other: no database could read it.",
    "计算字段 {name} 层层包含的其他计算字段过多,数据库无法读取。",
    hint_en="Keep a value on the way in a stored field, or write it with fewer fields.",
    hint_zh="请将中间值存入普通字段,或减少所经过的字段。",
)
RANGE_TYPES = Rule(
    "RANGE_TYPES", "The ends of the range must both be dates or both be instants.", "区间两端必须同为日期或同为时刻。"
)
ACYCLIC_TARGET = Rule(
    "ACYCLIC_TARGET",
    "`{name}` leads to `{found}`, not to `{expected}`.",
    "`{name}` 指向 `{found}`,而不是 `{expected}`。",
)
POSTING_KEY = Rule(
    "POSTING_KEY",
    "The posting's key must give every field of the balance's key: `{name}` is missing.",
    "过账的 key 必须给出余额主键的每个字段:缺少 `{name}`。",
)
POSTING_TARGET = Rule(
    "POSTING_TARGET",
    "`{name}` is not a balance: it needs `derived: true` and a key.",
    "`{name}` 不是余额实体:需要 `derived: true` 和主键。",
)
BAD_PATTERN = Rule("BAD_PATTERN", "The pattern is wrong at `{part}`: {reason}.", "模式在 `{part}` 处有误:{reason_zh}。")
BAD_REGEX = Rule(
    "BAD_REGEX",
    "This is not a regular expression that can be used: {reason}.",
    "正则表达式不可用:{reason}。",
    "Characters, classes, groups, | and ? * + {n,m} can be used; no look-around and no back references.",
    "可用字符、字符类、分组、| 与 ? * + {n,m};不支持环视和反向引用。",
)
BAD_JSON_SCHEMA = Rule("BAD_JSON_SCHEMA", "This is not a JSON Schema: {reason}.", "不是有效的 JSON Schema:{reason}。")

RENAMED_STILL_THERE = Rule(
    "RENAMED_STILL_THERE",
    "`{name}` cannot be renamed from `{old}`: that name is still in use.",
    "`{name}` 不能由 `{old}` 改名而来:该名称仍在使用。",
)

# Expressions
ACTIVE_EMPTY = Rule(
    "ACTIVE_EMPTY",
    "`active` needs `sites`, `from`, or both.",
    "`active` 须写 `sites`、`from` 或两者。",
)
ACTIVE_NO_SITE = Rule(
    "ACTIVE_NO_SITE",
    "Records of `{entity}` belong to no site, so this cannot be switched on by site.",
    "`{entity}` 的记录不属于任何场所,无法按场所启用。",
    "Use only `from`, or give the entity `scope: site`.",
    "只写 `from`,或为该实体声明 `scope: site`。",
)
ACTIVE_ROLES = Rule(
    "ACTIVE_ROLES",
    "Roles belong to no site, so a separation of `roles` cannot be switched on by site.",
    "角色不属于任何场所,`roles` 的分离无法按场所启用。",
    "Use only `from`, or separate `duties`.",
    "只写 `from`,或改为分离 `duties`。",
)
UNKNOWN_SITE = Rule(
    "UNKNOWN_SITE",
    "No site has the code `{name}`, so nothing is switched on there.",
    "没有代码为 `{name}` 的场所,因此不会在那里启用。",
    "Correct the code, or make the site before the day on which it begins.",
    "请更正代码,或在生效日之前建立该场所。",
    Severity.WARNING,
)
NOT_SAME_ROW = Rule(
    "NOT_SAME_ROW",
    "`while` may only use fields of the same row; `{read}` is not one.",
    "`while` 只能使用同一行的字段;`{read}` 不是。",
)

DEFAULT_TEXT = Rule(
    "DEFAULT_TEXT",
    "`{text}` is read as an expression here, and there is no such name.",
    "此处 `{text}` 被当作表达式,而没有这个名称。",
    "For the text itself write: \"'{text}'\"",
    "若指文字本身,请写:\"'{text}'\"",
)

# Permissions
UNKNOWN_ROLE = Rule("UNKNOWN_ROLE", "There is no role `{name}`.", "没有角色 `{name}`。")
UNKNOWN_TRANSITION = Rule("UNKNOWN_TRANSITION", "`{entity}` has no action `{name}`.", "`{entity}` 没有操作 `{name}`。")
UNKNOWN_CONNECTOR = Rule("UNKNOWN_CONNECTOR", "There is no connector `{name}`.", "没有连接器 `{name}`。")
ROLE_CYCLE = Rule("ROLE_CYCLE", "These roles inherit from each other: {circle}.", "这些角色互相继承:{circle}。")
ROLE_SEPARATED = Rule(
    "ROLE_SEPARATED",
    "The role `{name}` by itself is in two groups that `{separation}` keeps apart.",
    "角色 `{name}` 自身同时属于 `{separation}` 所分离的两组。",
    "Nobody could hold it. Inherit from fewer roles.",
    "任何人都无法持有它;请减少继承。",
)
UNKNOWN_SEPARATION = Rule("UNKNOWN_SEPARATION", "There is no separation `{name}`.", "没有职责分离 `{name}`。")
CASE_KEY = Rule(
    "CASE_KEY",
    "`{key}` does not go with `{kind}` in a policy test.",
    "策略测试中 `{key}` 不能与 `{kind}` 同用。",
    "`already` goes with `try`; `given`, `site` and `family` are of a record, which `assign` and `connector` have not.",
    "`already` 只与 `try` 同用;`given`、`site`、`family` 说的是记录,`assign` 与 `connector` 不涉及记录。",
)
SEPARATES_NOTHING = Rule(
    "SEPARATES_NOTHING",
    "`{name}` needs at least two groups of `roles` or two `duties`.",
    "`{name}` 至少需要两组 `roles` 或两项 `duties`。",
)
SEPARATION_SUBJECTS = Rule(
    "SEPARATION_SUBJECTS",
    "The duties are about different things: `{first}` and `{second}`.",
    "各项职责所涉对象不同:`{first}` 与 `{second}`。",
    "Let every `about` lead to the same entity.",
    "请让每个 `about` 指向同一实体。",
)
CONDITION_NOT_IN_SQL = Rule(
    "CONDITION_NOT_IN_SQL",
    "The condition cannot run in the database: {source}.",
    "该条件不能在数据库中执行:{source}。",
    "See docs/expressions.md for where each function runs.",
    "各函数可执行的位置见 docs/expressions.zh.md。",
)
POLICY_TEST_FAILED = Rule(
    "POLICY_TEST_FAILED",
    "The policy test `{name}` fails: {what} must be {expected}, but is {found} ({reason}).",
    "策略测试 `{name}` 未通过:{what} 应为 {expected_zh},实际为 {found_zh}({reason_zh})。",
    "A policy whose tests fail is not put into force.",
    "测试未通过的策略不会生效。",
)

# Overlays
OVERLAY_LOOSENS = Rule(
    "OVERLAY_LOOSENS", "An overlay may only add or tighten: {reason}.", "叠加层只能新增或收紧:{reason_zh}。"
)

# Working calendars
CALENDAR_EMPTY = Rule("CALENDAR_EMPTY", "Nobody ever works by `{name}`.", "`{name}` 没有任何工作时段。")
CALENDAR_TWICE = Rule(
    "CALENDAR_TWICE",
    "`{site}` works by `{other}` already.",
    "`{site}` 已按 `{other}` 工作。",
    "A site works by one calendar, and one calendar is the default.",
    "一个场所只按一份日历工作,默认日历也只有一份。",
)
CALENDAR_COUNTRY = Rule(
    "CALENDAR_COUNTRY",
    "The holidays of `{name}` are not known.",
    "没有 `{name}` 的节假日数据。",
    "Use an ISO 3166-1 code such as CN, or list the days under free.",
    "请用 ISO 3166-1 代码(如 CN),或在 free 中列出日期。",
)
CALENDAR_NOT_ANNOUNCED = Rule(
    "CALENDAR_NOT_ANNOUNCED",
    "The make-up working days of {name} in {year} are not known yet.",
    "{name} {year} 年的调休安排尚未公布。",
    "List them under working when they are announced; until then leave the year out.",
    "公布后请在 working 中列出;在此之前不要发布该年份。",
    Severity.WARNING,
)
CALENDAR_OTHER_YEAR = Rule("CALENDAR_OTHER_YEAR", "{day} lies in another year.", "{day} 不在该年份内。")
SHIFTS_OVERLAP = Rule("SHIFTS_OVERLAP", "These working hours overlap.", "工作时段相互重叠。")


def all_rules() -> tuple[Rule, ...]:
    """Every rule of this room, by code."""
    module = sys.modules[__name__]
    found = [value for value in vars(module).values() if isinstance(value, Rule)]
    return tuple(sorted(found, key=lambda rule: rule.code))
