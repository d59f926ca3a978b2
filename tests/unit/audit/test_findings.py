"""A report of a log that was altered everywhere stays small and says how much it leaves out."""

from __future__ import annotations

from clew.audit.verify.findings import Finding
from clew.audit.verify.whole import MOST, Report


def test_a_report_lists_the_first_findings_and_counts_the_others() -> None:
    report = Report()
    report.add(Finding("entry_altered", index=index) for index in range(MOST + 7))
    assert [each.index for each in report.findings] == list(range(MOST))
    assert report.unlisted == 7
