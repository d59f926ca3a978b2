"""`clew test`: scenarios of a small project that hold and that fail, counterexamples of the proof, the pack's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.process.play import PROJECT
from tests.unit.process.test_proof import ROLES

from clew.cli.app import run
from clew.metadata.load import load_folder
from clew.testing.plugin import Tier
from clew.testing.scenarios.coverage import covered
from clew.testing.scenarios.play import play_all

ROOT = Path(__file__).parents[2]
FLOW = """\
workflow: handling
label: {{zh: 处理, en: Handling}}
for: case
starts: [{{person: clerk}}]
steps:
  look:
    label: {{zh: 检查, en: Look}}
    who: clerk
    output: [title]
    exit: {{when: "title != null"}}
    state: {{done: checked}}
  sign_off:
    label: {{zh: 签批, en: Sign off}}
    who: head
    sign: approval
    within: 2 wd
    when_late: tell
    outcomes: {{yes_please: {{}}, back: {{against: true}}}}
    state: {{yes_please: closed}}
    returns_to: []
    then: {{back: tell}}
  tell: {{label: {{zh: 通知, en: Tell}}, who: clerk{back}}}
"""
CALENDAR = """\
calendar: plain
zone: Asia/Shanghai
default: true
days: [monday, tuesday, wednesday, thursday, friday]
hours: 08:00-16:00
years: {2026: {holidays: CN}}
"""
EMPLOYEE = """\
entity: employee
key: login_id
fields:
  login_id: {type: text, required: true, unique: true}
  printed_name: {type: text, required: true}
  id_verified_at: {type: datetime}
  esig_statement_at: {type: datetime}
  may_sign: {type: boolean, is: "state == 'active' && id_verified_at != null && esig_statement_at != null"}
states: {active: {en: Active}, left: {en: Left}}
transitions:
  leave: {from: active, to: left}
"""
RIGHTS = ROLES.replace(
    "label: {zh: 办事员, en: Clerk}\nmay: {case: {read: always}}",
    "label: {zh: 办事员, en: Clerk}\nmay: {case: {read: always, processes: {handling: {start: always}}}}",
)
HEAD = """\
people: {ann: clerk, bob: head}
given: {one: {case: {serious: true}}}
steps:
  - {by: ann, start: handling, of: one}
"""
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    for name in ("CLEW_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "CLEW_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    files = {
        **PROJECT,
        "clew.yaml": "project: small\nidentity: {people: {entity: employee, away: [], left: [left]}}\n",
        "models/employee.yaml": EMPLOYEE,
        "workflows/w.yaml": FLOW.format(back=""),
        "permissions/p.yaml": RIGHTS,
        "calendars/c.yaml": CALENDAR,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "scenarios").mkdir()

    def told(*arguments: str, text: str = "") -> tuple[int, str, str]:
        if text:
            (tmp_path / "scenarios" / "s.yaml").write_text(text, encoding="utf-8")
        code = run([*(arguments or ("test",))])
        said = capsys.readouterr()
        return code, said.out, said.err

    return told


def test_a_scenario_that_holds(say: Say) -> None:
    text = f"""\
scenario: signed
{HEAD}
  - {{by: bob, do: sign_off, refused: NO_TASK}}
  - {{by: ann, do: look, refused: NOT_FINISHED}}
  - {{by: ann, do: look, with: {{title: 标题}}}}
  - then: {{state: {{one: checked}}, record: {{one: {{title: 标题}}}}, tasks: {{ann: [], bob: [sign_off]}}}}
  - {{by: bob, do: sign_off, outcome: yes_please}}
  - {{by: ann, do: tell}}
  - then: {{state: {{one: closed}}, ended: {{handling: done}}, count: {{case: 1}}, trail: [case.check, case.close]}}
"""
    code, out, err = say("test", "--missing", text=text)
    assert code == 0, out + err
    assert "✓ Signed (signed)" in out
    assert "handling  3/3 (100%)  1/2 (50%)  2/2 (100%)" in out
    assert "not walked: handling sign_off: back" in out


def test_time_passes_in_working_time(say: Say) -> None:
    """Friday afternoon and two working days of the limit: on Monday it is not late, on Tuesday evening it is."""
    text = f"""\
scenario: late
at: "2026-03-06 15:00"
{HEAD}
  - {{by: ann, do: look, with: {{title: x}}}}
  - {{wait: 8 wh}}
  - then: {{tasks: {{bob: [sign_off]}}}}
  - {{wait: 9 wh}}
  - then: {{tasks: {{bob: [], ann: [tell]}}}}
"""
    code, out, err = say(text=text)
    assert code == 0, out + err


UNDONE = """\
workflow: undoing
label: {zh: 撤销, en: Undoing}
for: case
owner: head
starts: [{person: clerk}]
steps:
  mark:
    label: {zh: 标记, en: Mark}
    do: [{set: {title: "'marked'"}}]
    compensate: [{set: {title: "null"}}]
  check: {label: {zh: 核对, en: Check}, do: [{move: check}]}
  wait_on: {label: {zh: 等待, en: Wait}, who: clerk, within: 1 wd, when_late: finished}
  finished: {label: {zh: 完成, en: Finished}, end: finished}
"""


def test_a_process_is_suspended_retried_and_cancelled(say: Say, tmp_path: Path) -> None:
    """Its clock stands while it is suspended; what stopped it is tried again; cancelled, what it did is undone."""
    (tmp_path / "workflows" / "u.yaml").write_text(UNDONE, encoding="utf-8")
    path = tmp_path / "permissions" / "p.yaml"
    grants = RIGHTS.replace("{start: always}", "{start: always}, undoing: {start: always}")
    path.write_text(grants, encoding="utf-8")
    text = """\
scenario: undone
people: {ann: clerk, bob: head}
given: {one: {case: {state: closed}}, two: {case: {state: open}}}
steps:
  - {by: bob, cancel: undoing, of: one, because: Early, refused: NO_PROCESS}
  - {by: ann, start: undoing, of: one}
  - {wait: 1 wd}
  - then: {record: {one: {title: marked}}, tasks: {ann: []}}     # what is closed cannot be checked
  - {by: ann, retry: undoing, of: one, because: mended, refused: NOT_AN_OPERATOR}
  - {by: bob, retry: undoing, of: one, because: mended}
  - {by: bob, cancel: undoing, of: one, because: Not wanted}
  - then: {record: {one: {title: null}}, ended: {undoing: cancelled}}
  - {by: ann, start: undoing, of: two}
  - {by: bob, suspend: undoing, of: two, because: The press stands}
  - {wait: 3 wd}
  - then: {tasks: {ann: [wait_on]}}
  - {by: bob, resume: undoing, of: two}
  - {wait: 2 wd}
  - then: {tasks: {ann: []}, ended: {undoing: finished}}
"""
    code, out, err = say(text=text)
    assert code == 0, out + err
    code, out, _ = say("check", "--json", text=text.replace("cancel: undoing", "cancel: undoin"))
    assert "UNKNOWN_WORKFLOW" in out


WRONG = {
    "then: {state: {one: closed}}": ("one.state: expected closed, found open", "预期 closed,实际 open"),
    "then: {tasks: {bob: [sign_off]}}": ("tasks.bob: expected sign_off, found –", "预期 sign_off"),
    "then: {count: {case: 2}}": ("count.case: expected 2, found 1", "预期 2"),
    "then: {ended: {handling: done}}": ("ended.handling: expected done", "预期 done"),
    "then: {record: {one: {serious: false}}}": ("one.serious: expected False, found True", "预期 False"),
    "then: {trail: [case.close]}": ("trail: expected case.close", "预期 case.close"),
    "{by: bob, do: sign_off}": ("bob do sign_off was refused: NO_TASK", "被拒绝:NO_TASK"),
    "{by: ann, do: look, with: {title: x}, refused: SIGNATURE}": ("was to be refused (SIGNATURE)", "但成功了"),
    "wait: soon": ("soon is no time", "不是时间"),
}


def test_a_scenario_that_fails_says_where(say: Say) -> None:
    text = "---\n".join(f"scenario: wrong_{at}\n{HEAD}  - {act}\n" for at, act in enumerate(WRONG))
    code, out, _ = say("test", "--json", text=text)
    assert code == 1
    found = json.loads(out)
    assert not found["ok"]
    for at, ((act, (en, zh)), each) in enumerate(zip(WRONG.items(), found["scenarios"], strict=True)):
        assert each["failure"]["place"] == f"scenarios/s.yaml:{at * 7 + 6}:5", act
        assert en in each["failure"]["en"]
        assert zh in each["failure"]["zh"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("scenario: x\nsteps: [{by: ann, do: look}]\n", "UNKNOWN_PERSON"),
        ("scenario: x\npeople: {ann: clark}\n", "UNKNOWN_ROLE"),
        ("scenario: x\npeople: {ann: clerk}\nsteps: [{by: ann, do: lok}]\n", "UNKNOWN_STEP"),
        ("scenario: x\npeople: {ann: clerk}\nsteps: [{by: ann, do: look, wait: 1 h}]\n", "ONE_ACT"),
        ("scenario: x\ngiven: {one: {casse: {}}}\n", "UNKNOWN_ENTITY"),
        ("scenario: x\ngiven: {one: {case: {titel: a}}}\n", "UNKNOWN_FIELD"),
        ("scenario: x\nsteps: [{then: {state: {one: open}}}]\n", "UNKNOWN_RECORD"),
        ("scenario: x\ngiven: {one: {case: {}}}\nsteps: [{then: {state: {one: opn}}}]\n", "UNKNOWN_STATE"),
        (
            "scenario: x\ngiven: {one: {case: {}}}\npeople: {a: clerk}\nsteps: [{by: a, move: shut, of: one}]\n",
            "UNKNOWN_TRANSITION",
        ),
        ("scenario: x\nworkflow: handlin\n", "UNKNOWN_WORKFLOW"),
        ("scenario: x\n---\nscenario: x\n", "DUPLICATE_NAME"),
    ],
)
def test_a_scenario_is_checked(say: Say, text: str, code: str) -> None:
    found, out, err = say("check", "--json", text=text)
    assert found == 1
    assert code in [each["code"] for each in json.loads(out)["findings"]], out + err


def test_people_whose_roles_exclude_each_other(say: Say) -> None:
    code, out, _ = say(text="scenario: both\npeople: {ann: [clerk, head]}\nsteps: [{wait: 1 h}]\n")
    assert code == 1
    assert "cannot be made" in out


def test_a_counterexample_of_the_proof_is_played(say: Say, tmp_path: Path) -> None:
    """Sent back from the last step to the first, whose state cannot be reached again: it fails until that is mended."""
    code, out, _ = say("process", "prove", "--scenarios", "scenarios")
    assert code == 1
    assert "deadlock" in out
    (written,) = (tmp_path / "scenarios").glob("*.yaml")
    assert "sends “Tell” back to “Look”" in out
    code, out, _ = say("test")
    assert code == 1
    assert "no end can be reached" in out
    (tmp_path / "workflows" / "w.yaml").write_text(FLOW.format(back=", returns_to: []"), encoding="utf-8")
    code, out, _ = say("test")
    assert code == 0, out
    assert written.stem in out


ENOUGH = 0.9


@pytest.mark.anyio
async def test_the_scenarios_of_the_pack_hold(tmp_path: Path, tier: Tier) -> None:
    """All of them at full size, and then of every process nine in ten steps, branches and guards are walked; the
    shorter half of them each time."""
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None
    known = sorted(loaded.extras["scenario"].values(), key=lambda each: (len(each.acts), each.name))
    count = tier.count(len(known) // 2, len(known))
    played = await play_all(loaded.blueprint, known[:count], tmp_path, ROOT)
    assert played
    assert [(each.scenario.name, each.failure) for each in played if each.failure is not None] == []
    if count == len(known):
        found = covered(loaded.blueprint.workflows, played)
        few = {
            each.workflow: each.missing
            for each in found
            if any(met < ENOUGH * all_ for met, all_ in (each.steps, each.branches, each.guards))
        }
        assert few == {}
