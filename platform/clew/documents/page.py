"""A record as a page for paper, in Chinese or English: no script, no request to anywhere, every value escaped.

The signatures stand on it with printed name, meaning, local and UTC time and the version they were given for; one that
was given for an earlier version says so (21 CFR 11.50(b), 11.70), and the page says whether data changed after entry
(EU Annex 11 clause 8.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from clew.audit.signatures import MEANINGS
from clew.documents.reading import UNIT, Printed, Table, parts_of
from clew.kernel.scalars import parse_instant, to_wire
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records.source import Source

STYLE = """
@page{size:A4;margin:16mm}
body{font:12px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;color:#000;
max-width:180mm;margin:1.5rem auto;padding:0 1rem}
h1{font-size:18px;margin:.2rem 0}h2{font-size:14px;margin:1.2rem 0 .3rem}
p.sub,.soft{color:#444}
table{border-collapse:collapse;width:100%}
td,th{border:1px solid #999;padding:.2rem .4rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600;background:#f2f2f2}tr{break-inside:avoid}thead{display:table-header-group}
table.facts th{width:30%}
.earlier{border:1px solid #000;padding:0 .3rem;white-space:nowrap}
.broken{font-weight:700;border:2px solid #000;padding:0 .3rem}
footer{margin-top:1.5rem;border-top:1px solid #999;padding-top:.3rem;color:#444}
@media print{body{margin:0;padding:0;max-width:none}}
""".strip()
_WORDS = {
    "record": Bilingual("记录标识", "Id of the record"),
    "version": Bilingual("版本", "Version"),
    "entered": Bilingual("录入时间", "Entered"),
    "changed": Bilingual("最后修改", "Last changed"),
    "unchanged": Bilingual("录入后未更改", "not changed since entry"),
    "since": Bilingual("录入后已更改", "changed since entry"),
    "signatures": Bilingual("电子签名", "Electronic signatures"),
    "unsigned": Bilingual("此记录没有电子签名。", "This record has no electronic signature."),
    "name": Bilingual("签名人", "Printed name"),
    "meaning": Bilingual("含义", "Meaning"),
    "when": Bilingual("时间(当地 / UTC)", "When (local / UTC)"),
    "for": Bilingual("所签版本", "For version"),
    "current": Bilingual("当前版本", "this version"),
    "earlier": Bilingual("属于较早版本", "belongs to an earlier version"),
    "broken": Bilingual("与所存内容不一致", "does not agree with what is stored"),
    "erased": Bilingual("所签个人信息已依程序清除", "personal values signed were erased since"),
    "none": Bilingual("无", "none"),
    "yes": Bilingual("是", "yes"),
    "no": Bilingual("否", "no"),
    "printed": Bilingual("打印", "Printed"),
    "by": Bilingual("打印人", "by"),
    "release": Bilingual("配置发布", "configuration release"),
    "seen": Bilingual(
        "仅含打印人有权查看的内容;纸质副本不随记录更新。",
        "Shows what whoever printed it may see; a copy on paper does not follow the record.",
    ),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Writes one record for one reader. `release` is the number of the release that answers."""

    source: Source
    release: int

    def html(self, printed: Printed) -> str:
        entity, language = printed.entity, "zh-CN" if self.source.context.locale == "zh" else "en"
        title = f"{self._label(entity.label, entity.name)} {printed.key}"
        project = self.source.blueprint.project
        body = [
            f"<p class=sub>{self._text(project.label, project.name)}</p><h1>{escape(title)}</h1>",
            self._facts(printed),
            *(self._table(each) for each in printed.tables if each.rows),
            self._signatures(printed),
            self._foot(),
        ]
        return (
            f'<!doctype html><html lang="{language}"><meta charset="utf-8"><link rel="icon" href="data:,">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style>{''.join(body)}</html>"
        )

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _facts(self, printed: Printed) -> str:
        rows = [(self._say("record"), escape(str(printed.id)))]
        if printed.row_version is not None:
            said = self._say("unchanged" if printed.row_version == 1 else "since")
            rows.append((self._say("version"), f"{printed.row_version} · {said}"))
        if printed.created_at is not None:
            rows.append((self._say("entered"), self._moment(printed.created_at)))
        if printed.updated_at is not None and printed.row_version != 1:
            rows.append((self._say("changed"), self._moment(printed.updated_at)))
        for each in printed.fields:
            rows.append((self._text(each.label, each.name), self._value(printed.entity, each, printed.values)))
        inner = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows)
        return f"<table class=facts>{inner}</table>"

    def _table(self, table: Table) -> str:
        line = self.source.blueprint.entities[table.of.target]
        heads = "".join(f"<th>{self._text(each.label, each.name)}</th>" for each in table.fields)
        rows = "".join(
            "<tr>" + "".join(f"<td>{self._value(line, each, row)}</td>" for each in table.fields) + "</tr>"
            for row in table.rows
        )
        title = self._text(table.of.label, table.of.name)
        return f"<h2>{title}</h2><table><thead><tr>{heads}</tr></thead>{rows}</table>"

    def _signatures(self, printed: Printed) -> str:
        if not printed.entity.states:
            return ""
        title = f"<h2>{self._say('signatures')}</h2>"
        if not printed.signatures:
            return f"{title}<p>{self._say('unsigned')}</p>"
        heads = "".join(f"<th>{self._say(each)}</th>" for each in ("name", "meaning", "when", "for"))
        rows = "".join(self._signature(each) for each in printed.signatures)
        return f"{title}<table><thead><tr>{heads}</tr></thead>{rows}</table>"

    def _signature(self, each: Mapping[str, Any]) -> str:
        role = self.source.blueprint.policies.roles.get(each["role"]) if self.source.blueprint.policies else None
        label = self._text(role.label, each["role"]) if role is not None else escape(each["role"])
        meaning = escape(self._label(MEANINGS[each["meaning"]], "") if each["meaning"] in MEANINGS else each["meaning"])
        reason = f"<br><span class=soft>{escape(each['reason'])}</span>" if each["reason"] else ""
        local = f"{each['localTime'][:19].replace('T', ' ')} {each['localTime'][26:]} {each['timeZone']}"
        utc = f"{each['signedAt'][:19].replace('T', ' ')} UTC"
        version = f"{each['validFor']} · "
        version += self._say("current") if each["current"] else f"<span class=earlier>{self._say('earlier')}</span>"
        if not each["verified"]:
            version += f"<br><span class=broken>{self._say('broken')}</span>"
        if each["erasedAt"]:
            version += f"<br>{self._say('erased')}"
        return (
            f"<tr><td>{escape(each['printedName'])}<br><span class=soft>{label}</span></td><td>{meaning}{reason}</td>"
            f"<td>{escape(local)}<br><span class=soft>{utc}</span></td>"
            f"<td>{version}<br><span class=soft>{escape(each['id'])}</span></td></tr>"
        )

    def _foot(self) -> str:
        person = self.source.context.person
        who = f"{self._say('by')} {escape(person.name)} ({escape(person.login)})"
        printed = f"{self._say('printed')} {self._moment(to_wire(self.source.now))}"
        return f"<footer>{printed} · {who} · {self._say('release')} {self.release}<br>{self._say('seen')}</footer>"

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _value(self, entity: Entity, known: Field, values: Mapping[str, Any]) -> str:
        found = values.get(known.name)
        if found is None or found in ([], {}):
            return f"<span class=soft>{self._say('none')}</span>"
        match known.kind:
            case FieldKind.REF | FieldKind.ANY:
                return escape("/".join(parts_of(found)))
            case FieldKind.MANY:
                return escape(", ".join("/".join(parts_of(each)) for each in found["nodes"])) or self._say("none")
            case FieldKind.BOOLEAN:
                return self._say("yes" if found else "no")
            case FieldKind.DATETIME:
                return self._moment(found)
            case FieldKind.CHOICE | FieldKind.CHOICES:
                codes = found if isinstance(found, list) else [found]
                return escape(", ".join(self._code(entity, known, each) for each in codes))
            case FieldKind.MONEY:
                return escape(f"{found['amount']} {found['currency']}")
            case FieldKind.FILES:
                return "<br>".join(
                    f"{escape(each['name'])}<br><span class=soft>SHA-256 {escape(each['sha256'])}</span>"
                    for each in found
                )
        text = escape(str(found)).replace("\n", "<br>")
        unit = "/".join(parts_of(values.get(known.name + UNIT)))
        unit = unit or (known.unit if known.unit and "." not in known.unit and known.unit not in entity.fields else "")
        return f"{text} {escape(unit)}" if unit else text

    def _code(self, entity: Entity, known: Field, code: str) -> str:
        listed = self.source.blueprint.code_lists.get(known.code_list or "")
        label = listed.codes[code].label if listed is not None and code in listed.codes else None
        if label is None and known.name == "state" and code in entity.states:
            label = entity.states[code].label
        return self._label(label, code) if label is not None else code

    def _moment(self, text: str) -> str:
        at = parse_instant(text)
        local = at.astimezone(ZoneInfo(self.source.blueprint.project.time_zone))
        return f"{local:%Y-%m-%d %H:%M:%S%z} ({at:%Y-%m-%d %H:%M:%S} UTC)"

    def _say(self, word: str) -> str:
        return _WORDS[word].to(self.source.context.locale)

    def _label(self, label: Bilingual, otherwise: str) -> str:
        return label.to(self.source.context.locale) or otherwise

    def _text(self, label: Bilingual, otherwise: str) -> str:
        return escape(self._label(label, otherwise))
