"""Reviews as Excel workbooks, to be filed or signed on paper."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from clew.kernel.text import Bilingual, Locale
from clew.records.review.progress import VERDICTS, Progress

Sheets = Mapping[str, tuple[Sequence[str], Iterable[Sequence[Any]]]]
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORBIDDEN = str.maketrans("", "", "[]:*?/\\")
"""What Excel does not take in the name of a sheet."""
_ITEMS = (
    Bilingual("登录名", "Login"), Bilingual("姓名", "Name"), Bilingual("角色", "Role"), Bilingual("类型", "Kind"),
    Bilingual("生效", "From"), Bilingual("失效", "To"), Bilingual("负责人", "Owner"), Bilingual("结论", "Verdict"),
    Bilingual("处理时间", "Decided"), Bilingual("备注", "Comment"), Bilingual("签名编号", "Signature"),
)  # fmt: skip
_SHOWN = ("login", "name", "role", "kind", "valid_from", "valid_to")


def write_workbook(file: Path | IO[bytes], sheets: Sheets) -> None:
    """Sheets with a head each. Every cell is text, so nothing is computed."""
    # Looked for only when a workbook is wanted: a server starts without it.
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    for title, (head, rows) in sheets.items():
        sheet = book.create_sheet(title.translate(_FORBIDDEN)[:31] or "-")
        sheet.freeze_panes = "A2"
        for at in range(len(head)):
            sheet.column_dimensions[get_column_letter(at + 1)].width = 22
        for row in ([*head], *rows):
            cells = []
            for each in row:
                cell = WriteOnlyCell(sheet, value="" if each is None else str(each))
                cell.data_type = "s"
                cells.append(cell)
            sheet.append(cells)
    book.save(file)


def campaign_workbook(found: Progress, people: Mapping[UUID, str], at: datetime, locale: Locale) -> bytes:
    """A campaign to be filed: what it was, and each assignment with who decided what, when and under which signature.
    `people` are logins by account; `at` is when it was written."""
    campaign = found.campaign

    def who(account: UUID | None) -> str:
        return people.get(account, str(account)) if account is not None else ""

    about = [
        (Bilingual("名称", "Name"), campaign.name),
        (Bilingual("编号", "Id"), campaign.id),
        (Bilingual("角色范围", "Roles"), ", ".join(campaign.roles) or Bilingual("全部", "all").to(locale)),
        (Bilingual("发起人", "Begun by"), who(campaign.started_by)),
        (Bilingual("发起时间", "Begun at"), _moment(campaign.started_at)),
        (Bilingual("截止时间", "Due at"), _moment(campaign.due_at)),
        (Bilingual("结束人", "Closed by"), who(campaign.closed_by)),
        (Bilingual("结束时间", "Closed at"), _moment(campaign.closed_at)),
        (Bilingual("已处理", "Decided"), f"{found.decided} / {len(found.rows)}"),
        (Bilingual("已逾期", "Overdue"), Bilingual("是", "yes").to(locale) if found.overdue else ""),
        (Bilingual("导出时间", "Written at"), _moment(at)),
    ]
    rows = [
        [
            *(each.item.shown[name] for name in _SHOWN),
            each.owner,
            VERDICTS[each.state].to(locale),
            _moment(each.item.decided_at),
            each.item.comment,
            each.item.signature,
        ]
        for each in found.rows
    ]
    sheet = io.BytesIO()
    head = [each.to(locale) for each in _ITEMS]
    titles = Bilingual("授权", "Assignments").to(locale), Bilingual("复核", "Review").to(locale)
    said = [(name.to(locale), str(value)) for name, value in about]
    write_workbook(sheet, {titles[0]: (head, rows), titles[1]: (said[0], said[1:])})
    return sheet.getvalue()


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else ""
