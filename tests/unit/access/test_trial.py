"""Policy tests of a project: what passes, what fails with which reason, and that a failing one loads nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.access.policy_world import MODELS, PROJECT

from clew.access.loading import load_bundle, load_project
from clew.cli.applying import checked_project
from clew.cli.terminal import Terminal
from clew.runtime import ProjectInvalid, stored_blueprint

GOLDEN = Path(__file__).parents[2] / "golden" / "check" / "permissions"
ROLES = """\
role: reader
label: {zh: 阅读, en: Reader}
sites: own
may:
  thing: {read: a, mask: {z: "b == true"}, hide: [x], update: "created_by == user.id", write: [y]}
---
role: closer
label: {zh: 关闭, en: Closer}
may:
  thing: {do: {close: "a && created_by != user.id"}, create: always}
never:
  thing: {do: {close: "d == true"}}
"""


def cases(*cases: str, roles: str = "reader", more: str = "") -> list[str]:
    """The findings of one test with these cases, each as `line: message`."""
    test = f"policy_test: t\nas: {{roles: [{roles}]{more}}}\ncases:\n" + "".join(f"  - {{{each}}}\n" for each in cases)
    sources = {"clew.yaml": PROJECT, "models/m.yaml": MODELS, "permissions/r.yaml": ROLES, "permissions/t.yaml": test}
    loaded = load_bundle(sources)
    assert (loaded.blueprint is None) == bool(loaded.diagnostics)
    return [f"{each.place.line}: {each.message('en')}" for each in loaded.diagnostics]


def test_the_example_passes() -> None:
    assert load_project(GOLDEN).diagnostics == ()


def test_what_must_be_is() -> None:
    assert (
        cases(
            "read: thing, given: {a: true}, expect: allow",
            "read: thing, given: {a: false}, expect: deny, because: condition",
            "read: thing, expect: deny, because: condition",
            "read: thing, given: {a: true}, site: other, expect: deny, because: site",
            "read: site, expect: deny, because: no_grant",
            "read: thing.x, given: {a: true}, expect: hidden, because: hidden",
            "read: thing.z, given: {a: true, b: true}, expect: shown",
            "read: thing.z, given: {a: true}, expect: masked, because: masked",
            "read: thing.z, expect: deny, because: condition",
            "write: thing.y, given: {created_by: me}, expect: allow",
            "write: thing.y, given: {created_by: me}, site: other, expect: deny, because: site",
            "write: thing.y, given: {created_by: other}, expect: deny, because: condition",
            "write: thing.z, given: {created_by: me, b: true}, expect: deny",
            "try: thing.close, expect: deny, because: no_grant",
            "try: thing.create, expect: deny, because: no_grant",
        )
        == []
    )
    assert (
        cases(
            "try: thing.close, given: {a: true}, expect: allow",
            "try: thing.close, given: {a: true, created_by: me}, expect: deny, because: condition",
            "try: thing.close, given: {a: true, d: true}, expect: deny, because: never",
            "try: thing.create, expect: allow",
            "try: thing.reopen, expect: deny, because: no_grant",
            roles="closer, reader",
        )
        == []
    )
    assert cases("read: thing, given: {a: true}, site: other, expect: allow", more=", sites: all") == []


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (
            "try: thing.close, expect: allow",
            "4: The policy test `t` fails: thing.close must be allowed, but is denied (no grant).",
        ),
        (
            "read: thing, given: {a: true}, expect: deny",
            "4: The policy test `t` fails: thing.read must be denied, but is allowed (granted).",
        ),
        (
            "read: thing.x, given: {a: true}, expect: shown",
            "4: The policy test `t` fails: thing.x must be shown, but is hidden (there is no such field).",
        ),
        (
            "read: thing, expect: deny, because: site",
            "4: The policy test `t` fails: thing.read must be denied (not of the assignment's sites), but is denied"
            " (no condition holds).",
        ),
    ],
)
def test_what_fails_says_so_and_loads_nothing(case: str, says: str) -> None:
    assert cases("read: thing, given: {a: true}, expect: allow", case)[0].replace("5:", "4:", 1) == says


def test_a_fact_of_the_wrong_kind_is_a_finding() -> None:
    (found,) = cases("read: thing, given: {a: maybe}, expect: allow")
    assert found.startswith("4: `given` cannot be used here")


APART = """\
role: opener
label: {zh: 打开, en: Opener}
may: {thing: {do: [reopen], create: always}}
---
separation: one_closes_another_opens
label: {zh: 开闭分离, en: Apart}
duties: {closer: [{of: thing, do: close}], opener: [{of: thing, do: reopen}]}
---
separation: two_hands
label: {zh: 双人, en: Two hands}
roles: [[opener], [closer]]
active: {from: 2999-01-01}
"""


def test_what_was_done_before_is_asked_of_the_separations() -> None:
    roles = f"{ROLES}---\n{APART}"

    def found(*given: str) -> list[str]:
        test = "policy_test: t\nas: {roles: [opener]}\ncases:\n" + "".join(f"  - {{{each}}}\n" for each in given)
        sources = {"clew.yaml": PROJECT, "models/m.yaml": MODELS, "permissions/r.yaml": roles}
        loaded = load_bundle({**sources, "permissions/t.yaml": test})
        return [f"{each.place.line}: {each.code}: {each.message('en')}" for each in loaded.diagnostics]

    passes = (
        "try: thing.reopen, expect: allow",
        "try: thing.reopen, already: thing.close, expect: deny, because: separation",
        "try: thing.reopen, already: [thing.create, thing.close], expect: deny, separation: one_closes_another_opens",
        "try: thing.reopen, already: [thing.create, thing.reopen], expect: allow",
        # Nobody is asked about before, who may not do it anyway.
        "try: thing.close, already: thing.reopen, expect: deny, because: no_grant",
        # In force from a day to come: a policy test tries it as if it were.
        "assign: closer, expect: deny, separation: two_hands",
        "assign: reader, expect: allow",
    )
    assert found(*passes) == []
    (wrong,) = found("try: thing.reopen, already: thing.close, expect: deny, separation: two_hands")
    assert wrong.endswith(
        "thing.reopen must be denied (a separation of duties forbids it: two_hands), but is denied"
        " (a separation of duties forbids it: one_closes_another_opens)."
    )
    assert "4: CASE_KEY" in found("read: thing, already: thing.close, expect: deny")[0]
    assert "4: CASE_KEY" in found("assign: reader, given: {a: true}, expect: allow")[0]
    (unknown,) = found("try: thing.reopen, already: thing.closes, expect: deny")
    assert unknown.startswith("4: UNKNOWN_TRANSITION")
    (unknown,) = found("try: thing.reopen, already: thing.close, expect: deny, separation: two_hand")
    assert unknown.startswith("4: UNKNOWN_SEPARATION")


def test_words_stand_for_the_person_and_for_whom_they_act() -> None:
    roles = """\
role: outside
label: {zh: 外部, en: Outside}
may: {site: {read: "id == user.party"}, thing: {read: "site == user.party || created_by == user.id"}}
"""
    test = """\
policy_test: t
as: {roles: [outside]}
cases:
  - {read: site, given: {id: mine}, expect: allow}
  - {read: site, given: {id: theirs}, expect: deny, because: condition}
  - {read: thing, given: {site: mine}, expect: allow}
  - {read: thing, given: {site: theirs, created_by: me}, expect: allow}
  - {read: thing, given: {site: theirs}, expect: deny, because: condition}
"""
    sources = {"clew.yaml": PROJECT, "models/m.yaml": MODELS, "permissions/r.yaml": roles, "permissions/t.yaml": test}
    assert load_bundle(sources).diagnostics == ()


def test_a_policy_whose_tests_fail_is_not_put_into_force(tmp_path: Path) -> None:
    """Neither planned from a folder nor taken by a server from the database."""
    test = "policy_test: t\nas: {roles: [reader]}\ncases:\n  - {try: thing.close, expect: allow}\n"
    sources = {"clew.yaml": PROJECT, "models/m.yaml": MODELS, "permissions/r.yaml": ROLES, "permissions/t.yaml": test}
    with pytest.raises(ProjectInvalid):
        stored_blueprint(sources)
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ProjectInvalid) as refused:
        checked_project(tmp_path, Terminal("en", as_json=True))
    assert [each.code for each in refused.value.diagnostics] == ["POLICY_TEST_FAILED"]
    (tmp_path / "permissions" / "t.yaml").unlink()
    assert checked_project(tmp_path, Terminal("en", as_json=True)).policies is not None


def test_a_plugin_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    action = "actions:\n  sum_up: {plugin: sums, for: thing, label: {zh: 汇总, en: Sum up}}\n"
    channel = "channels:\n  mail: {plugin: mails}\n"
    (tmp_path / "clew.yaml").write_text(PROJECT + action + channel, encoding="utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.yaml").write_text(MODELS, encoding="utf-8")
    (tmp_path / "plugins" / "sum").mkdir(parents=True)
    (tmp_path / "plugins" / "sum" / "plugin.toml").write_text("", encoding="utf-8")
    found, other = load_project(tmp_path).diagnostics
    assert (other.code, other.path, other.place.line) == (
        "UNKNOWN_PLUGIN", "channels.mail.plugin", PROJECT.count("\n") + 4,
    )  # fmt: skip
    (tmp_path / "clew.yaml").write_text(PROJECT + action, encoding="utf-8")
    (found,) = load_project(tmp_path).diagnostics
    assert (found.code, found.path, found.nearest) == ("UNKNOWN_PLUGIN", "actions.sum_up.plugin", "sum")
    assert found.place.line == PROJECT.count("\n") + 2
    (tmp_path / "plugins" / "sum").rename(tmp_path / "plugins" / "sums")
    assert load_project(tmp_path).blueprint is not None
