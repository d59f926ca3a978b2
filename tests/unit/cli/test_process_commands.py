"""`clew process prove` and `simulate` as an analyst uses them: words, JSON, exit codes, wrong files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.cli.plain_calendar import CALENDAR
from tests.unit.process.play import PROJECT

from clew.cli.app import run
from clew.cli.process_proof import REMEDIES
from clew.process.proof.findings import Flaw

STEPS = """\
  look: {{label: {{zh: 检查, en: Look}}, who: clerk, state: {{done: checked}}{back}}}
  sign_off: {{label: {{zh: 签批, en: Sign off}}, who: head, sign: approval, state: {{done: closed}}{back}}}
  tell: {{label: {{zh: 通知, en: Tell}}, who: clerk{back}}}
"""
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    for name in ("CLEW_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "CLEW_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "workflows").mkdir()

    def told(*arguments: str, back: str = "") -> tuple[int, str, str]:
        steps = STEPS.format(back=back)
        text = f"workflow: handling\nlabel: {{zh: 处理, en: Handling}}\nfor: case\nsteps:\n{steps}"
        (tmp_path / "workflows" / "w.yaml").write_text(text, encoding="utf-8")
        code = run(["process", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return told


def test_prove_tells_a_story(say: Say) -> None:
    code, out, _ = say("prove", "handling")
    assert code == 1
    assert "✗ Handling (handling)" in out
    assert "4. clerk 1 sends “Tell” back to “Look”" in out
    code, out, _ = say("prove", "handling", "--lang", "zh")
    assert "clerk 1 从「通知」退回到「检查」" in out
    assert "→ deadlock:" in out
    assert "`returns_to`" in out, "and what to do about it"


def test_every_flaw_has_a_remedy() -> None:
    assert set(REMEDIES) == set(Flaw)


def test_prove_for_programs(say: Say) -> None:
    code, out, _ = say("prove", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["format"]) == (1, False, "clew.process-proof/1")
    (process,) = found["processes"]
    assert {each["flaw"] for each in process["findings"]} == {"deadlock"}
    assert process["findings"][0]["replay"][-1]["send_back"] == "tell"
    code, out, _ = say("prove", "--json", back=", returns_to: []")
    assert (code, json.loads(out)["ok"]) == (0, True)


def test_prove_knows_no_such_process(say: Say) -> None:
    code, _, err = say("prove", "handlin")
    assert code == 2
    assert "handlin" in err


def test_help_is_whole_in_chinese(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text without spaces is not cut at the end of its column, and the headings are in the same language."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("CLEW_LANG", "zh")
    _, out, _ = say("simulate", "--help")
    assert "…" not in out
    assert all(heading in out for heading in ("用法:", "参数", "选项", "显示本帮助。"))
    monkeypatch.setenv("CLEW_LANG", "en")
    _, out, _ = say("simulate", "--help")
    assert all(heading in out for heading in ("Usage:", "Arguments", "Options", "Show this help."))


def test_simulate_for_people_and_programs(say: Say, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cases: 40\nruns: 2\nsteps: {look: {takes: [1, 2, 3]}}\n", encoding="utf-8")
    arguments = ("simulate", "handling", "--with", "a.yaml", "--from", "2026-03-02", "--seed", "3")
    code, _, err = say(*arguments, back=", returns_to: []")
    assert code != 0
    assert "CALENDAR_MISSING" in err, "without a calendar nothing is assumed"
    assert "--from" in err
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "c.yaml").write_text(CALENDAR, encoding="utf-8")
    code, out, _ = say(*arguments, back=", returns_to: []")
    assert code == 0
    assert "40 cases in 2 runs" in out
    assert "Utilisation" in out
    code, out, _ = say(*arguments, "--lang", "zh", back=", returns_to: []")
    assert "40 个案例" in out
    code, out, _ = say(*arguments, "--json", back=", returns_to: []")
    found = json.loads(out)
    assert found["format"] == "clew.process-simulation/1"
    assert found["steps"][0]["working"]["mean"] == pytest.approx(2, abs=0.4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: {lok: {takes: [1, 2, 3]}}", "did you mean look?"),
        ("staff: {clerc: 1}", "did you mean clerk?"),
        ("per_day: -1", "per_day: it must be above 0"),
        ("casess: 1", "casess: this is not known here"),
        ("steps: {look: {takes: [1, 2]}}", "steps.look.takes.2: this is missing"),
        ("staff: {clerk: many}", "staff.clerk: it must be a whole number"),
        ("a: [", "a.yaml:2"),
    ],
)
def test_simulate_refuses_what_it_does_not_know(say: Say, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.yaml").write_text(text + "\n", encoding="utf-8")
    code, _, err = say("simulate", "handling", "--with", "a.yaml")
    assert code == 2
    assert told in err
    code, _, err = say("simulate", "handling", "--with", "a.yaml", "--lang", "zh")
    about = err.partition("docs/")[0]
    assert not re.search(r"\b(it|this|must|input|should)\b", about.partition(":")[2].lower()), "in Chinese as well"


@pytest.mark.parametrize(
    ("name", "more", "begins"),
    [
        ("m.svg", (), "<svg"),
        ("m.bpmn", (), "<?xml"),
        ("m.mmd", (), "flowchart"),
        ("m.txt", ("--form", "svg"), "<svg"),
        ("m.svg", ("--form", "mermaid"), "flowchart"),
    ],
)
def test_a_map_takes_its_form_from_the_ending(
    say: Say, tmp_path: Path, name: str, more: tuple[str, ...], begins: str
) -> None:
    code, _, _ = say("map", "handling", "--out", name, *more)
    assert code == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)
