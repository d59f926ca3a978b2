"""What production asks of a bundle before it takes the release. Every reason is told, not only the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.kernel.text import Bilingual
from clew.storage.promotion.bundle import Bundle, Endorsement
from clew.storage.promotion.environment import Declaration, Environment
from clew.storage.promotion.errors import NotPromoted
from clew.storage.promotion.keys import sealed_by

if TYPE_CHECKING:
    from clew.storage.change.plan import Plan


def require_promotion(bundle: Bundle | None, plan: Plan, told: Declaration, database: UUID) -> None:
    """Raises NotPromoted, with every reason, unless this plan may be carried out on this production database."""
    found = list(reasons(bundle, plan, told, database))
    if found:
        zh, en = ";".join(each.zh for each in found), "; ".join(each.en for each in found)
        raise NotPromoted(reasons=Bilingual(zh, en))


def reasons(bundle: Bundle | None, plan: Plan, told: Declaration, database: UUID | None) -> Iterator[Bilingual]:
    """Why production refuses; nothing when it accepts. `database` is the id of the database the plan is for."""
    if bundle is None:
        yield Bilingual("没有发布包", "there is no release bundle")
        return
    if not _believed(told, bundle.key, bundle.export, bundle.seal):
        yield Bilingual("发布包未由受信任的密钥封印", "the bundle is not sealed by a trusted key")
    origin = bundle.export["origin"]
    if origin.get("environment") != Environment.TEST and origin.get("database") != str(database):
        yield Bilingual("发布包并非来自测试环境", "it does not come from a test environment")
    if bundle.export["blueprint_digest"] != plan.blueprint_digest:
        yield Bilingual("计划与发布包的内容不同", "the plan is for other content than the bundle's")
    if bundle.plan_id != plan.id:
        yield Bilingual("所签署的不是该计划", "another plan was signed, or none")
    yield from _tests(bundle.export["tests"])
    yield from _signatures(bundle, told)


def _tests(suites: list[Any]) -> Iterator[Bilingual]:
    if not suites:
        yield Bilingual("没有测试结果", "there are no test results")
    for suite in suites:
        name, failed = suite.get("suite"), suite.get("failed")
        if failed != 0:
            yield Bilingual(f"测试 {name} 有 {failed} 项未通过", f"{failed} tests of {name} failed")


def _signatures(bundle: Bundle, told: Declaration) -> Iterator[Bilingual]:
    valid: list[Endorsement] = []
    for each in bundle.signatures:
        if each.digest != bundle.digest:
            yield Bilingual(f"{each.name} 签署的是其他内容", f"{each.name} signed something else")
        elif not _believed(told, each.key, each.statement(), each.seal):
            yield Bilingual(f"{each.name} 的签名无法核实", f"the signature of {each.name} cannot be verified")
        else:
            valid.append(each)
    authors = [each for each in valid if each.meaning == "authorship"]
    approvers = [each for each in valid if each.meaning == "approval"]
    if not authors:
        yield Bilingual("缺少编制人签名", "the author's signature is missing")
    if not approvers:
        yield Bilingual("缺少批准人签名", "the approver's signature is missing")
    if authors and approvers and all(a.same_person(b) for a in authors for b in approvers):
        yield Bilingual("编制人与批准人是同一人", "author and approver are the same person")


def _believed(told: Declaration, key: str, content: Mapping[str, Any], seal: str) -> bool:
    public = told.trusted.get(key)
    return public is not None and sealed_by(public, content, seal)
