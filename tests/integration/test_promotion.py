"""Promotion: production takes a release only from a sealed, tested, planned bundle that two people have signed."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clew.audit.leaf import entries_of
from clew.cli.app import run
from clew.cli.bundle_files import read_bundle
from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.promotion.bundle import Bundle, Endorsement, Meaning
from clew.storage.promotion.keys import SealingKey, read_key
from clew.testing.databases import TestDatabase, in_thread

MINI = Path(__file__).parents[1] / "projects" / "mini"
WANG, LI = (uuid7(), "wang"), (uuid7(), "li")


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CLEW_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "CLEW_DATABASE_URL", "CLEW_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


class Journey:
    """A test and a production database of one kind, and the commands between them."""

    def __init__(self, test: TestDatabase, production: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
        self.test, self.production, self._capsys = test, production, capsys
        self.project = Path("project")
        shutil.copytree(MINI, self.project)
        Path("passed.json").write_text('{"suite": "scenarios", "total": 12, "failed": 0}', encoding="utf-8")

    def clew(self, *arguments: str, on: TestDatabase | None = None) -> tuple[int, Any]:
        """Exit code and JSON answer of one command."""
        self._capsys.readouterr()
        where = ["--database-url", on.url, "-p", str(self.project)] if on else []
        code = run([*arguments, *where, "--json"])
        printed = self._capsys.readouterr().out
        return code, json.loads(printed) if printed else None

    def done(self, *arguments: str, on: TestDatabase | None = None) -> Any:
        code, answer = self.clew(*arguments, on=on)
        assert code == 0, answer
        return answer

    def refused(self, *arguments: str, on: TestDatabase | None = None) -> Any:
        code, answer = self.clew(*arguments, on=on)
        assert code == 1
        return answer["error"]

    def begin(self) -> SealingKey:
        """Keys, environments and a first release on the test database."""
        public = self.done("release", "key", "seal.key")["public"]
        Path("trusted").write_text(f"{public} test installation\n", encoding="utf-8")
        self.done("environment", "set", "test", "--by", "it", "--reason", "tests", on=self.test)
        told = self.done(
            "environment", "set", "production", "--by", "it", "--reason", "go-live", "--trust", "trusted",
            on=self.production,
        )  # fmt: skip
        assert told["environment"] == "production"
        self.done("plan", "--out", "plan.json", on=self.test)
        self.done("apply", "plan.json", "--note", "changed", on=self.test)
        return read_key(Path("seal.key"))

    def bundle(self) -> Bundle:
        """Exported from test and planned for production; nobody has signed."""
        self.done(
            "release",
            "export",
            "--note",
            "the new form",
            "--out",
            "release.json",
            "--tests",
            "passed.json",
            on=self.test,
        )
        self.done("release", "plan", "release.json", "--by", "it", on=self.production)
        return read_bundle(Path("release.json"))

    def reasons(self, bundle: Bundle) -> str:
        """Why production refuses this bundle."""
        keep(bundle)
        error = self.refused("release", "promote", "release.json", "--by", "it", on=self.production)
        assert error["code"] == "NOT_PROMOTED", error
        return str(error["message"])


@pytest.fixture
def journey(
    database: TestDatabase,
    new_database: Callable[[str], TestDatabase],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Journey:
    monkeypatch.setenv("CLEW_RELEASE_KEY", "seal.key")
    return Journey(database, new_database(database.dialect), capsys)


def keep(bundle: Bundle) -> None:
    Path("release.json").write_text(json.dumps(bundle.to_json()), encoding="utf-8")


def signature(bundle: Bundle, who: tuple[Any, str], meaning: Meaning) -> Endorsement:
    at = datetime(2026, 11, 26, 9, tzinfo=UTC)
    return Endorsement(meaning, who[0], None, who[1], who[1].title(), at, bundle.digest, None, uuid7(), "")


def signed(bundle: Bundle, key: SealingKey) -> Bundle:
    author = bundle.signed(signature(bundle, WANG, "authorship"), key)
    return author.signed(signature(bundle, LI, "approval"), key)


def test_production_accepts_nothing_but_a_promoted_release(journey: Journey) -> None:
    key = journey.begin()
    # A plan alone, which any other database would take.
    journey.done("plan", "--out", "direct.json", on=journey.production)
    error = journey.refused("apply", "direct.json", "--note", "changed", on=journey.production)
    assert error["code"] == "NOT_PROMOTED"
    assert "no release bundle" in error["message"]
    for command in ("dev", "demo"):
        error = journey.refused(command, "--port", "0", on=journey.production)
        assert error["code"] == "PRODUCTION_REFUSES", command

    bundle = journey.bundle()
    assert "the author's signature is missing; the approver's signature is missing" in journey.reasons(bundle)
    author = bundle.signed(signature(bundle, WANG, "authorship"), key)
    assert "the approver's signature is missing" in journey.reasons(author)

    code, answer = journey.clew("release", "show", "release.json", on=journey.production)
    assert (code, len(answer["lacks"])) == (1, 1)
    keep(signed(bundle, key))
    assert journey.done("release", "show", "release.json", on=journey.production)["lacks"] == []
    promoted = journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)
    assert promoted["release"]["number"] == 1
    error = journey.refused("seed", on=journey.production)
    assert error["code"] in ("NO_SEED", "PRODUCTION_REFUSES")

    # What was promoted stays on record, and can be taken nowhere else.
    kept = in_thread(lambda: stored(journey.production))
    assert kept[0][0] == 1
    assert kept[0][1] == signed(bundle, key).digest
    assert [each["login"] for each in kept[0][2]["signatures"]] == ["wang", "li"]
    assert "sources" not in kept[0][2]["export"]


def test_what_makes_a_bundle_worthless(journey: Journey) -> None:
    key = journey.begin()
    bundle = journey.bundle()
    good = signed(bundle, key)

    # The same person twice, however the second account is made to look.
    author = bundle.signed(signature(bundle, WANG, "authorship"), key)
    assert "SAME_SIGNER" in refusal(lambda: author.signed(signature(bundle, WANG, "approval"), key))
    assert "SAME_SIGNER" in refusal(lambda: author.signed(signature(bundle, (uuid7(), "WANG"), "approval"), key))
    forced = replace(signature(bundle, (WANG[0], "wang2"), "approval"), key=key.id)
    forced = replace(forced, seal=key.seal(forced.statement()))
    twice = replace(author, signatures=(*author.signatures, forced))
    assert "author and approver are the same person" in journey.reasons(twice)

    # Content changed after signing: new digest, or a seal that no longer fits.
    other = replace(good, export={**good.export, "note": "something else"})
    told = journey.reasons(other)
    assert "not sealed by a trusted key" in told
    assert "Wang signed something else" in told
    # Somebody else's key.
    journey.done("release", "key", "mine.key")
    mine = read_key(Path("mine.key"))
    assert "signature of Wang cannot be verified" in journey.reasons(signed(bundle, mine))
    # A signature transplanted from another bundle.
    elsewhere = signed(bundle.aimed({**bundle.target, "by": "other"} if bundle.target else {}), key)
    assert "Li signed something else" in journey.reasons(replace(bundle, signatures=elsewhere.signatures))
    # Failed tests, or none at all.
    for tests, why in (([], "no test results"), ([{"suite": "s", "total": 3, "failed": 1}], "1 tests of s failed")):
        export = {**bundle.export, "tests": tests}
        resealed = replace(bundle, export=export, seal=key.seal(export))
        assert why in journey.reasons(signed(resealed, key))
    # Planned for another state of the database.
    assert bundle.target is not None
    stale = bundle.aimed({**bundle.target, "plan": {**bundle.target["plan"], "id": "0" * 64}})
    keep(signed(stale, key))
    assert journey.refused("release", "promote", "release.json", "--by", "it", on=journey.production)["code"] == (
        "PLAN_STALE"
    )
    # A file that was edited without care is not even read.
    text = json.dumps(good.to_json()).replace('"note": "changed"', '"note": "x"', 1)
    Path("release.json").write_text(text, encoding="utf-8")
    assert journey.refused("release", "show", "release.json")["code"] == "BUNDLE_UNREADABLE"
    # Untouched, it is taken.
    keep(good)
    journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)


def test_a_bundle_from_development_does_not_reach_production(journey: Journey) -> None:
    public = journey.done("release", "key", "seal.key")["public"]
    Path("trusted").write_text(public, encoding="utf-8")
    journey.done(
        "environment", "set", "production", "--by", "it", "--reason", "go", "--trust", "trusted", on=journey.production
    )
    journey.done("plan", "--out", "plan.json", on=journey.test)
    journey.done("apply", "plan.json", "--note", "changed", on=journey.test)
    bundle = journey.bundle()
    assert "does not come from a test environment" in journey.reasons(signed(bundle, read_key(Path("seal.key"))))


SECRETS = {"wang": "correct horse battery", "li": "staple correct horse", "both": "battery staple correct"}
SIGNING_ROLES = """
role: author
label: {zh: 编制人, en: Author}
signs: [authorship]
may: {item: {read: always}}
---
role: approver
label: {zh: 批准人, en: Approver}
signs: [approval]
may: {item: {read: always}}
---
policy_test: author_reads_items
as: {roles: [author]}
cases:
  - {try: item.read, expect: allow}
  - {try: item.create, expect: deny, because: no_grant}
"""


def test_author_and_approver_sign_with_their_own_credentials(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Electronic signatures of two people of the test installation carry the release into production."""
    (journey.project / "permissions").mkdir()
    (journey.project / "permissions" / "signing.yaml").write_text(SIGNING_ROLES, encoding="utf-8")
    journey.begin()

    def typing(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))

    for login, role in (("wang", "author"), ("li", "approver"), ("both", "author")):
        typing(SECRETS[login])
        journey.done("user", "add", login, "--role", role, "--password-stdin", on=journey.test)
    journey.done("user", "assign", "both", "approver", "--reason", "x", on=journey.test)

    def sign(login: str, meaning: str, secret: str = "") -> Any:
        typing(secret or SECRETS[login])
        arguments = ("release", "sign", "release.json", "--as", login, "--meaning", meaning, "--password-stdin")
        return journey.clew(*arguments, on=journey.test)

    # Without other results: the policy tests of the project are run and told.
    journey.done("release", "export", "--note", "the new form", "--out", "release.json", on=journey.test)
    assert sign("wang", "authorship")[1]["error"]["code"] == "BUNDLE_NOT_PLANNED"
    journey.done("release", "plan", "release.json", "--by", "it", on=journey.production)
    bundle = read_bundle(Path("release.json"))
    assert bundle.export["tests"] == [{"suite": "policy_tests", "total": 2, "failed": 0}]
    assert bundle.target is not None
    assert bundle.target["access"]["roles_new"] == ["approver", "author"]

    assert sign("wang", "authorship", "not my password")[1]["error"]["code"] == "WRONG_CREDENTIALS"
    assert sign("wang", "approval")[1]["error"]["code"] == "NOT_A_SIGNER"
    assert sign("wang", "authorship")[0] == 0
    assert sign("wang", "authorship")[1]["error"]["code"] == "SAME_SIGNER"
    assert "the approver's signature is missing" in journey.reasons(read_bundle(Path("release.json")))
    assert sign("li", "approval")[0] == 0
    signed_by = read_bundle(Path("release.json")).signatures
    assert [(each.login, each.meaning, each.signature is not None) for each in signed_by] == [
        ("wang", "authorship", True),
        ("li", "approval", True),
    ]
    assert journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)["ok"]

    # Who holds both roles still signs once.
    journey.done("release", "export", "--note", "the new form", "--out", "release.json", on=journey.test)
    journey.done("release", "plan", "release.json", "--by", "it", on=journey.production)
    assert sign("both", "authorship")[0] == 0
    assert sign("both", "approval")[1]["error"]["code"] == "SAME_SIGNER"


ACCESS_ROLES = """
role: clerk
label: {zh: 文员, en: Clerk}
may: {item: {read: always}}
"""


def test_what_a_release_changes_in_access_is_asked_again_where_it_goes(journey: Journey) -> None:
    """Signed is what was planned; under the lock it is computed on the people of that database as they are then."""
    (journey.project / "permissions").mkdir()
    roles = journey.project / "permissions" / "roles.yaml"
    roles.write_text(ACCESS_ROLES, encoding="utf-8")
    key = journey.begin()
    keep(signed(journey.bundle(), key))
    journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)
    for login in ("wang", "li"):
        journey.done("user", "add", login, "--role", "clerk", on=journey.production)

    roles.write_text(ACCESS_ROLES.replace("{read: always}", "{read: always, export: always}"), encoding="utf-8")
    journey.done("plan", "--out", "plan.json", on=journey.test)
    journey.done("apply", "plan.json", "--note", "changed", on=journey.test)
    bundle = journey.bundle()
    assert bundle.target is not None
    changes = bundle.target["access"]["changes"]
    # Of items and of their lines.
    assert {(each["login"], each["action"]) for each in changes} == {("li", "export"), ("wang", "export")}
    good = signed(bundle, key)

    li = [each for each in changes if each["login"] == "li"]
    # Whoever planned left somebody out of what was signed, or called a gain none.
    hidden = bundle.aimed({**bundle.target, "access": {**bundle.target["access"], "changes": li}})
    softened = [{**each, "after": each["before"]} for each in changes]
    called = bundle.aimed({**bundle.target, "access": {**bundle.target["access"], "changes": softened}})
    for forged, names in ((hidden, ["wang"]), (called, ["li", "wang"])):
        keep(signed(forged, key))
        lacks = journey.clew("release", "show", "release.json", on=journey.production)[1]["lacks"]
        assert sorted({each["en"].split(": ")[1] for each in lacks}) == names
        error = journey.refused("release", "promote", "release.json", "--by", "it", on=journey.production)
        assert error["code"] == "ACCESS_STALE"
        assert all(f"{name}: Item · export (always)" in error["message"] for name in names)

    # Somebody came after the signatures; somebody else left.
    journey.done("user", "add", "zhao", "--role", "clerk", on=journey.production)
    keep(good)
    error = journey.refused("release", "promote", "release.json", "--by", "it", on=journey.production)
    assert error["code"] == "ACCESS_STALE"
    assert "wang" not in error["message"]
    assert "zhao: Item · export (always)" in error["message"]
    journey.done("user", "disable", "zhao", "--reason", "x", on=journey.production)
    journey.done("user", "disable", "li", "--reason", "x", on=journey.production)
    assert journey.done("release", "show", "release.json", on=journey.production)["lacks"] == []
    promoted = journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)
    assert promoted["release"]["number"] == 2


def test_a_difference_of_another_shape_is_not_read(journey: Journey) -> None:
    journey.begin()
    bundle = journey.bundle()
    assert bundle.target is not None
    for access in ({}, {**bundle.target["access"], "changes": [{"login": "wang"}]}):
        keep(bundle.aimed({**bundle.target, "access": access}))
        assert journey.refused("release", "show", "release.json", on=journey.production)["code"] == "BUNDLE_UNREADABLE"


def test_the_way_back_in_production_is_a_promotion_too(journey: Journey) -> None:
    """Release 1 is exported from production itself, planned again, signed again."""
    key = journey.begin()
    keep(signed(journey.bundle(), key))
    journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)
    supplier = journey.project / "models" / "supplier.yaml"
    more = supplier.read_text(encoding="utf-8").replace("  note:  ", "  hotline: {type: text}\n  note:  ")
    supplier.write_text(more, encoding="utf-8")
    journey.done("plan", "--out", "plan.json", on=journey.test)
    journey.done("apply", "plan.json", "--note", "changed", on=journey.test)
    keep(signed(journey.bundle(), key))
    journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)

    journey.done(
        "release",
        "export",
        "1",
        "--note",
        "back",
        "--out",
        "back.json",
        "--tests",
        "passed.json",
        on=journey.production,
    )
    planned = journey.done("plan", "--release", "1", "--out", "back-plan.json", on=journey.production)
    assert (
        journey.refused("apply", "back-plan.json", "--note", "changed", on=journey.production)["code"] == "NOT_PROMOTED"
    )
    consents = [part for each in planned["needs"] for part in ("--consent", each)]
    journey.done("release", "plan", "back.json", "--by", "it", *consents, on=journey.production)
    keep(signed(read_bundle(Path("back.json")), key))
    done = journey.done("release", "promote", "release.json", "--by", "it", on=journey.production)
    assert done["release"]["number"] == 3


def test_an_environment_only_becomes_stricter(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    assert journey.done("environment", "show", on=journey.test)["environment"] == "development"
    journey.done("environment", "set", "test", "--by", "it", "--reason", "a", on=journey.test)
    journey.done("environment", "set", "production", "--by", "it", "--reason", "b", on=journey.test)
    for looser in ("development", "test"):
        error = journey.refused("environment", "set", looser, "--by", "x", "--reason", "c", on=journey.test)
        assert error["code"] == "ENVIRONMENT_FINAL"
    shown = journey.done("environment", "show", on=journey.test)
    assert (shown["environment"], shown["told"], shown["reason"]) == ("production", 2, "b")
    # The doctor says so, and what is missing on a production node.
    _code, looked = journey.clew("doctor", on=journey.test)
    told = next(each for each in looked["findings"] if each["found"] == "production")
    assert (told["state"], "CLEW_ENVIRONMENT" in told["mend"] or "--production" in told["mend"]) == ("warn", True)
    # Each telling stands in the trail.
    leaves = in_thread(lambda: trail(journey.test))
    assert [each["environment"].new for each in leaves] == ["test", "production"]
    # Not by hand either: what was told can only be added to.
    assert "insert-only" in in_thread(lambda: by_hand(journey.test))
    # A process that expects something else does not begin.
    monkeypatch.setenv("CLEW_ENVIRONMENT", "test")
    for command in ("plan", "releases"):
        assert journey.refused(command, on=journey.test)["code"] == "ENVIRONMENT_MISMATCH"
    assert journey.refused("serve", "--port", "0", on=journey.test)["code"] == "ENVIRONMENT_MISMATCH"


async def stored(database: TestDatabase) -> list[Any]:
    opened = await database.open()
    try:
        async with opened.read() as connection:
            return list(
                await connection.fetch(
                    sa.select(system.promotion.c.release, system.promotion.c.digest, system.promotion.c.bundle)
                )
            )
    finally:
        await opened.close()


async def trail(database: TestDatabase) -> list[Any]:
    """The fields of what the trail says about the environment, oldest first."""
    opened = await database.open()
    try:
        async with opened.read() as connection:
            leaf = system.leaf.c
            chosen = sa.select(leaf.fields).where(leaf.entity == "clew.environment").order_by(leaf.at)
            return [entries_of(row[0]) for row in await connection.fetch(chosen)]
    finally:
        await opened.close()


async def by_hand(database: TestDatabase) -> str:
    opened = await database.open()
    try:
        async with opened.write() as connection:
            await connection.execute(sa.update(system.environment).values(environment="development"))
    except Exception as problem:
        return str(problem)
    finally:
        await opened.close()
    return "changed"


def refusal(act: Callable[[], object]) -> str:
    from clew.kernel.errors import ClewError

    with pytest.raises(ClewError) as caught:
        act()
    return caught.value.code
