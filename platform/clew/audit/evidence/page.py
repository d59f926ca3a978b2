"""The readable page of an evidence bundle, in Chinese or English: what an inspector reads before running the verifier.

Everything shown is also in `entries.jsonl` and proven there; the page itself proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from clew.audit.evidence.collect import Entry
from clew.audit.evidence.naming import Names, called
from clew.audit.signatures import MEANINGS, Signature
from clew.kernel.context import OPERATOR_ID, PLATFORM_ID
from clew.kernel.scalars import parse_instant
from clew.kernel.text import Bilingual, Locale
from clew.metadata.blueprint import Blueprint

_ACTIONS = {
    "create": Bilingual("新建", "Created"),
    "update": Bilingual("修改", "Changed"),
    "void": Bilingual("作废", "Voided"),
    "correct": Bilingual("更正", "Corrected"),
    "remove": Bilingual("移除", "Removed"),
    "post": Bilingual("过账", "Posted"),
    "export": Bilingual("导出", "Exported"),
    "release": Bilingual("发布生效", "Release went live"),
    "key": Bilingual("日志密钥", "Key of the log"),
    "erase": Bilingual("删除个人信息", "Personal data erased"),
}
NOBODY = {
    str(OPERATOR_ID): Bilingual("本机操作员(命令行)", "Operator (command line)"),
    str(PLATFORM_ID): Bilingual("平台", "The platform"),
}
_THINGS = {
    "clew.release": Bilingual("配置发布", "Release of the configuration"),
    "clew.log": Bilingual("审计日志", "Log of the trail"),
    "clew.account": Bilingual("账号", "Account"),
    "clew.process": Bilingual("流程实例", "Instance of a process"),
    "clew.role": Bilingual("角色", "Role"),
}
_STYLE = """
body{font:14px/1.5 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;margin:2rem auto;max-width:1100px;color:#1c2430}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{border-top:1px solid #d5dbe3;padding:.35rem .6rem;text-align:left;vertical-align:top}
th{font-weight:600;color:#4a5667}
code,pre{font:12px/1.4 ui-monospace,monospace;word-break:break-all;white-space:pre-wrap}
.soft{color:#6a7686}.gone{background:#1c2430;color:#fff;padding:0 .3rem}
dl{display:grid;grid-template-columns:12rem 1fr}
dt{color:#4a5667}dd{margin:0}body{padding:0 1.5rem}@media print{body{margin:0;padding:0}}
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom the page is written."""

    blueprint: Blueprint
    locale: Locale
    names: Names
    """What people and records are called."""

    def say(self, zh: str, en: str) -> str:
        return Bilingual(zh, en).to(self.locale)

    def person(self, account: Any) -> str:
        if str(account) in NOBODY:
            return NOBODY[str(account)].to(self.locale)
        return self.names.known.get(str(account), str(account or "—"))

    def entity(self, name: str) -> str:
        if name in _THINGS:
            return _THINGS[name].to(self.locale)
        known = self.blueprint.entities.get(name)
        return known.label.to(self.locale) if known and known.label else name

    def field(self, entity: str, name: str) -> str:
        known = self.blueprint.entities.get(entity)
        found = known.fields.get(name) if known else None
        return found.label.to(self.locale) if found and found.label else name

    def codes(self, entity: str, name: str) -> Mapping[str, str]:
        """What the values of a field are called: its code list's, or its entity's states."""
        known = self.blueprint.entities.get(entity)
        field = known.fields.get(name) if known else None
        if known is None or field is None:
            return {}
        listed = self.blueprint.code_lists.get(field.code_list or "")
        if listed is not None:
            return {code: each.label.to(self.locale) for code, each in listed.codes.items() if each.label}
        return {code: each.label.to(self.locale) for code, each in known.states.items()} if name == "state" else {}

    def action(self, entity: str, action: str) -> str:
        kind, _, name = action.partition(":")
        known = self.blueprint.entities.get(entity)
        if kind == "transition" and known and name in known.transitions:
            label = known.transitions[name].label
            return label.to(self.locale) if label else name
        if kind == "sign":
            return self.say("签名:", "Signed: ") + self.meaning(name)
        return _ACTIONS[action].to(self.locale) if action in _ACTIONS else action

    def meaning(self, name: str) -> str:
        return MEANINGS[name].to(self.locale) if name in MEANINGS else name

    def moment(self, text: str) -> str:
        """Local and UTC time, as signatures and prints must show it."""
        at = parse_instant(text)
        local = at.astimezone(ZoneInfo(self.blueprint.project.time_zone))
        return f"{local:%Y-%m-%d %H:%M:%S %Z}<br><span class='soft'>{at:%Y-%m-%d %H:%M:%S} UTC</span>"


def head(reader: Reader, title: str, facts: Sequence[tuple[str, str]]) -> str:
    """The beginning of the page: what this is about, and how to prove it."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    how = reader.say(
        "离线核验(需 Python 与 cryptography 包):", "Verify it offline (Python and the package cryptography):"
    )
    names = reader.say(
        "名称与业务键为生成本页时的叫法,便于阅读;所证明的是其旁的标识。",
        "Names and business keys are what people and records were called when this page was made; proven are the ids.",
    )
    columns = [
        reader.say("序号", "Entry"),
        reader.say("时间", "When"),
        reader.say("人员", "Who"),
        reader.say("内容", "What"),
        reader.say("变更(旧值 → 新值)", "Changes (old → new)"),
    ]
    heads = "".join(f"<th>{escape(each)}</th>" for each in columns)
    return (
        f'<!doctype html><html lang="{reader.locale}"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1><dl>{rows}</dl>"
        f"<p>{escape(how)} <code>python clew_verify.py .</code></p><p class='soft'>{escape(names)}</p>"
        f"<h2>{reader.say('审计条目', 'Entries of the trail')}</h2><table><tr>{heads}</tr>\n"
    )


def row(reader: Reader, entry: Entry, hidden: frozenset[str] = frozenset()) -> str:
    """One entry as a row of the table. `hidden` was left out of this bundle; what else is missing was erased."""
    header = entry.header
    who = escape(reader.person(header["actor"]))
    if header["on_behalf_of"]:
        instead = reader.say("代", "for ")
        who += f"<br><span class='soft'>{instead}{escape(reader.person(header['on_behalf_of']))}</span>"
    version = f" v{header['row_version']}" if header["row_version"] else ""
    reason = f"<br>{reader.say('原因:', 'Reason: ')}{escape(header['reason'])}" if header["reason"] else ""
    what = (
        f"{escape(reader.action(header['entity'], header['action']))}<br>"
        f"<span class='soft'>{escape(reader.entity(header['entity']))}{version} · {_named(reader, header['record_id'])}"
        f"</span>{reason}<br><span class='soft'>{reader.say('发布', 'release')} {escape(str(header['release']))} · "
        f"{escape(header['channel'])} {escape(header['client'] or '')}</span>"
    )
    return (
        f"<tr><td>{entry.index}</td><td>{reader.moment(header['at'])}</td><td>{who}</td><td>{what}</td>"
        f"<td>{_changes(reader, header['entity'], entry.values(), hidden)}</td></tr>\n"
    )


def _changes(reader: Reader, entity: str, fields: Mapping[str, Any], hidden: frozenset[str]) -> str:
    lines = []
    for name, kept in sorted(fields.items()):
        label = escape(reader.field(entity, name))
        if "s" not in kept:
            gone = reader.say("已遮盖", "redacted") if name in hidden else reader.say("已依程序清除", "erased")
            lines.append(f"{label}: <span class='gone'>{gone}</span>")
            continue
        codes = reader.codes(entity, name)
        new, old = _shown(reader, kept.get("n"), codes), kept.get("o")
        lines.append(f"{label}: " + (f"{_shown(reader, old, codes)} → {new}" if old is not None else new))
    return "<br>".join(lines)


def _named(reader: Reader, identifier: str) -> str:
    """What it is called, with the id that is proven beside it."""
    name = called(reader.names.known, identifier)
    return (f"{escape(name)} " if name is not None else "") + f"<code>{escape(identifier)}</code>"


def _shown(reader: Reader, value: Any, codes: Mapping[str, str]) -> str:
    """A value as people read it: what it is called where it has a name, with what is proven beside it."""
    if called(reader.names.known, value) is not None:
        return _named(reader, value["id"] if isinstance(value, Mapping) else value)
    match value:
        case bool():
            return reader.say("是", "yes") if value else reader.say("否", "no")
        case str() if value in codes:
            return f"{escape(codes[value])} <code>{escape(value)}</code>"
        case list() if value:
            return ", ".join(_shown(reader, each, codes) for each in value)
        case Mapping() if value and set(value) <= {"added", "removed"}:
            said = {"added": reader.say("新增", "added"), "removed": reader.say("移除", "removed")}
            parts = [f"{said.get(key, key)} {_shown(reader, each, codes)}" for key, each in value.items() if each]
            return "; ".join(parts)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= 400 else text[:400] + " …")


def foot(reader: Reader, signatures: Iterable[Signature], note: str) -> str:
    """The end of the page: signatures and the checkpoint."""
    rows = "".join(_signature(reader, each) for each in signatures)
    signed = ""
    if rows:
        names = [
            reader.say("签名人", "Printed name"),
            reader.say("含义", "Meaning"),
            reader.say("时间", "When"),
            reader.say("所签版本", "Version signed"),
        ]
        heads = "".join(f"<th>{escape(each)}</th>" for each in names)
        signed = f"<h2>{reader.say('电子签名', 'Electronic signatures')}</h2><table><tr>{heads}</tr>{rows}</table>"
    return f"</table>{signed}<h2>{reader.say('锚点', 'Anchor')}</h2><pre>{escape(note)}</pre></html>\n"


def _signature(reader: Reader, each: Signature) -> str:
    at = f"{escape(each.local_time)}<br><span class='soft'>{each.signed_at:%Y-%m-%d %H:%M:%S} UTC</span>"
    what = f"{escape(reader.entity(each.entity))} v{each.row_version}<br><code>{each.record_sha256}</code>"
    who = f"{escape(each.printed_name)}<br><span class='soft'>{escape(each.role)}</span>"
    return f"<tr><td>{who}</td><td>{escape(reader.meaning(each.meaning))}</td><td>{at}</td><td>{what}</td></tr>"
