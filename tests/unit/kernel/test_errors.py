"""Errors and findings: both languages, inert parameters, sorted and de-duplicated."""

from __future__ import annotations

from clew.kernel.diagnostics import Findings, Place, Rule, nearest
from clew.kernel.errors import Forbidden, NotFound, fill
from clew.kernel.text import Bilingual, locale_of


def test_template_inert() -> None:
    hostile = "{what.__class__} {0} %s ${x} {{7*7}} <script>"
    assert fill("got {what}", {"what": hostile}) == f"got {hostile}"
    assert NotFound(what=hostile).message("en").count(hostile) == 1
    assert fill("{missing} {what}", {"what": "x"}) == "{missing} x"


def test_names_of_parameters_may_have_digits() -> None:
    class Lost(NotFound):
        en = "There is no file {sha256}."

    assert Lost(sha256="ab12").message("en") == "There is no file ab12."
    assert fill("{1} {Sha} {sha256}", {"1": "x", "Sha": "x", "sha256": "{sha256}"}) == "{1} {Sha} {sha256}"


def test_an_error_speaks_the_callers_language() -> None:
    error = Forbidden(action=Bilingual("放行", "release"), what=Bilingual("批次", "lot"))
    assert error.message("zh") == "您无权对该批次执行“放行”。"
    assert error.message("en") == "You may not release this lot."


def test_findings_are_sorted_and_told_once() -> None:
    rule = Rule("X", "{a}", "{a}")
    found = Findings()
    found.add(rule, Place("b.yaml", 1, 1), a=1)
    found.add(rule, Place("a.yaml", 10, 1), a=1)
    found.add(rule, Place("a.yaml", 2, 1), a=1)
    found.add(rule, Place("a.yaml", 2, 1), a=1)
    assert [str(each.place) for each in found.sorted()] == ["a.yaml:2:1", "a.yaml:10:1", "b.yaml:1:1"]
    assert found.failed


def test_the_nearest_name_is_offered_only_when_near() -> None:
    assert nearest("suplier", ["supplier", "site"]) == "supplier"
    assert nearest("zebra", ["supplier", "site"]) == ""


def test_locale_negotiation() -> None:
    assert locale_of("zh-CN,zh;q=0.9,en;q=0.8") == "zh"
    assert locale_of("fr-FR,en;q=0.5") == "en"
    assert locale_of("fr", default="zh") == "zh"
    assert locale_of(None) == "en"
