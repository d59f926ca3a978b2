"""Who may start, cancel and oversee a process: grants of roles, of the process itself, and what overrides them."""

from __future__ import annotations

from uuid import uuid4

from clew.access.deciding import Deciding
from clew.access.decision import ALWAYS, NEVER
from clew.access.loading import load_bundle
from clew.kernel.context import Context, Person

PROJECT = {
    "clew.yaml": "project: sample\nlabel: {zh: 样例, en: Sample}\n",
    "models/m.yaml": """\
entity: case
label: {zh: 案例, en: Case}
key: [code]
fields: {code: {type: text, required: true, label: {zh: 编码, en: Code}}}
""",
    "workflows/w.yaml": """\
workflow: handling
label: {zh: 处理, en: Handling}
for: case
owner: head
starts: [{person: [clerk]}]
steps:
  look: {label: {zh: 查看, en: Look}, who: clerk, within: 4 wh}
""",
    "permissions/p.yaml": """\
role: clerk
label: {zh: 文员, en: Clerk}
may: {case: {read: always}}
---
role: head
label: {zh: 主管, en: Head}
---
role: helper
label: {zh: 协办, en: Helper}
may: {case: {processes: {handling: {start: "code == 'A'", oversee: always}}}}
---
role: barred
label: {zh: 禁止, en: Barred}
never: {case: {processes: {handling: {start: always}}}}
---
policy_test: helpers_start_a
label: {zh: 协办发起甲, en: Helpers start A}
as: {roles: [helper]}
cases:
  - {try: case.handling.start, given: {code: A}, expect: allow}
  - {try: case.handling.start, given: {code: B}, expect: deny, because: condition}
  - {try: case.handling.cancel, expect: deny, because: no_grant}
---
policy_test: barred_never_start
label: {zh: 禁止者不发起, en: The barred never start}
as: {roles: [clerk, barred]}
cases:
  - {try: case.handling.start, expect: deny, because: never}
""",
}


def test_processes_are_asked_of_the_decision() -> None:
    loaded = load_bundle(PROJECT)
    assert loaded.blueprint is not None, loaded.diagnostics
    decide = Deciding(loaded.blueprint, uuid4())

    def of(*roles: str) -> tuple[object, object, object]:
        found = decide(Context(Person(uuid4(), "p", "P", roles), "r", channel="test")).process("handling")
        return found.start, found.cancel, found.oversee

    assert of("clerk") == (ALWAYS, NEVER, NEVER)
    assert of("head") == (NEVER, ALWAYS, ALWAYS)
    assert of("clerk", "barred") == (NEVER, NEVER, NEVER)
    assert of() == (NEVER, NEVER, NEVER)
    start, cancel, oversee = of("helper")
    assert (cancel, oversee) == (NEVER, ALWAYS)
    assert start not in (ALWAYS, NEVER)


def test_a_process_that_does_not_exist_refuses_to_load() -> None:
    text = PROJECT["permissions/p.yaml"].replace('handling: {start: "code', 'handlin: {start: "code')
    loaded = load_bundle({**PROJECT, "permissions/p.yaml": text})
    assert loaded.blueprint is None
    (finding,) = [each for each in loaded.diagnostics if each.code == "UNKNOWN_WORKFLOW"]
    assert "handling" in str(finding)
