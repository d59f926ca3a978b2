"""The signatures of a record, and what there is to sign: shown wherever the record is shown.

Two answers no database can give: whether a signature still fits what is stored, and the digest of a content. In their
place the statement leaves a token between control characters, which JSON text never contains; `records.signing.answers`
puts the answer there before the text goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from clew.records.query.history import entity_words
from clew.records.query.items import aggregated
from clew.records.query.json_text import (
    Sql,
    any_name,
    as_text,
    constant,
    instant,
    joined,
    json_object,
    or_null,
    piece,
    quoted,
)
from clew.records.query.plan import Signable, Signatures, VersionItem
from clew.records.query.scope import Scope
from clew.records.query.values import bound, size_of
from clew.storage import system
from clew.storage.dialects import JsonString
from clew.storage.types import Id, Text

EDGE = "\x01"
VERIFIED, PROBLEMS, DIGEST, ERASED = "v", "p", "d", "e"


def signable_json(scope: Scope, item: Signable) -> Sql:
    """The version the row shows, and the digest of its content."""
    rows = scope.rows
    members: list[tuple[str, str | Sql]] = []
    for each in item.items:
        if each.what == "text":
            members.append((each.key, constant(each.text)))
        elif each.what == "rowVersion":
            members.append((each.key, as_text(rows.c.row_version)))
        else:
            of = [piece(f"{scope.entity.name}:"), as_text(rows.c.id), piece(":"), as_text(rows.c.row_version)]
            members.append((each.key, _token(DIGEST, of)))
    return json_object(members)


def signatures_json(scope: Scope, item: Signatures) -> Sql:
    """A connection of the signatures given up to the version shown, oldest first."""
    page = _page(scope, item)
    members: list[tuple[str, str | Sql]] = []
    for each in item.items:
        if each.what == "text":
            members.append((each.key, constant(each.text)))
        elif each.what == "totalCount":
            members.append((each.key, as_text(_count(scope, []))))
        elif each.what == "pageInfo":
            members.append((each.key, _page_info(scope, item, each.members)))
        else:
            members.append((each.key, _listed(scope, page, each)))
    return json_object(members)


def _given(scope: Scope, of: Any) -> list[Sql]:
    """A signature belongs to the record and is not later than what is shown of it."""
    rows = scope.rows
    known = [] if scope.as_of is None else [of.c.signed_at <= scope.as_of]
    return [
        of.c.record_id == rows.c.id,
        any_name(of.c.entity, entity_words(scope)),
        of.c.row_version <= rows.c.row_version,
        *known,
    ]


def _page(scope: Scope, item: Signatures) -> Any:
    signed = scope.build.alias(system.signature)
    after = [] if item.after is None else [signed.c.signature_id > bound(item.after, Id())]
    return (
        sa.select(*signed.c, (signed.c.row_version == scope.rows.c.row_version).label("is_current"))
        .select_from(signed)
        .where(*_given(scope, signed), *after)
        .order_by(signed.c.signature_id)
        .limit(size_of(item.size))
        .correlate_except(signed)
    )


def _listed(scope: Scope, page: Any, item: VersionItem) -> Sql:
    """`nodes` or `edges` as a JSON list."""
    rows = page.subquery(f"t{next(scope.build.numbers)}")
    text = _node(scope, rows, item.members) if item.what == "nodes" else _edge(scope, rows, item.members)
    every = sa.func.coalesce(aggregated(text, scope.build.dialect), piece(""), type_=sa.Text())
    found: Sql = (
        sa.select(joined([piece("["), every, piece("]")])).select_from(rows).correlate_except(rows).scalar_subquery()
    )
    return found


def _edge(scope: Scope, rows: Any, members: Sequence[VersionItem]) -> Sql:
    found: list[tuple[str, str | Sql]] = []
    for each in members:
        if each.what == "text":
            found.append((each.key, constant(each.text)))
        elif each.what == "cursor":
            found.append((each.key, quoted(as_text(rows.c.signature_id))))
        else:
            found.append((each.key, _node(scope, rows, each.members)))
    return json_object(found)


def _node(scope: Scope, rows: Any, members: Sequence[VersionItem]) -> Sql:
    return json_object([(each.key, _member(scope, rows, each)) for each in members])


_TEXTS = {"meaning": "meaning", "action": "action", "printedName": "printed_name", "role": "role", "reason": "reason",
          "timeZone": "time_zone"}  # fmt: skip
_IDS = {"id": "signature_id", "signer": "account", "employee": "employee"}


_ANSWERED = {"verified": VERIFIED, "problems": PROBLEMS, "erasedAt": ERASED}


def _member(scope: Scope, rows: Any, item: VersionItem) -> str | Sql:
    dialect, what = scope.build.dialect, item.what
    if what == "text":
        return constant(item.text)
    if what in _TEXTS:
        return or_null(JsonString(rows.c[_TEXTS[what]]))
    if what in _IDS:
        return or_null(quoted(as_text(rows.c[_IDS[what]])))
    if what == "signedAt":
        return quoted(instant(rows.c.signed_at, dialect))
    if what == "localTime":
        return quoted(_said(scope, rows.c.signed_bytes, "local_time"))
    if what == "validFor":
        return as_text(rows.c.row_version)
    if what == "components":
        return as_text(rows.c.components_used)
    if what == "current":
        return sa.case((rows.c.is_current, piece("true")), else_=piece("false"))
    return _token(_ANSWERED[what], [as_text(rows.c.signature_id)])


def _said(scope: Scope, text: Sql, name: str) -> Sql:
    """A text out of the signed bytes."""
    if scope.build.dialect == "postgresql":
        data = sa.cast(text, sa.dialects.postgresql.JSONB())
        return sa.func.jsonb_extract_path_text(data, sa.literal_column(f"'{name}'"), type_=Text())
    return sa.func.json_extract(text, sa.literal_column(f"'$.{name}'"), type_=Text())


def _token(kind: str, parts: Sequence[Sql]) -> Sql:
    return joined([piece(f"{EDGE}{kind}:"), *parts, piece(EDGE)])


def _count(scope: Scope, more: list[Any]) -> Sql:
    signed = scope.build.alias(system.signature)
    conditions = [*_given(scope, signed), *(each(signed) for each in more)]
    found: Sql = (
        sa.select(sa.func.count()).select_from(signed).where(*conditions).correlate_except(signed).scalar_subquery()
    )
    return found


def _page_info(scope: Scope, item: Signatures, members: Sequence[VersionItem]) -> Sql:
    after = item.after
    then = [] if after is None else [lambda signed: signed.c.signature_id > bound(after, Id())]
    before = [] if after is None else [lambda signed: signed.c.signature_id <= bound(after, Id())]
    more = _count(scope, then) > size_of(item.size)
    facts: dict[str, Sql] = {
        "hasNextPage": sa.case((more, piece("true")), else_=piece("false")),
        "hasPreviousPage": piece("false")
        if after is None
        else sa.case((_count(scope, before) > sa.literal_column("0"), piece("true")), else_=piece("false")),
        "startCursor": _end(scope, item, descending=False),
        "endCursor": _end(scope, item, descending=True),
    }
    found = [(each.key, constant(each.text) if each.what == "text" else facts[each.what]) for each in members]
    return json_object(found)


def _end(scope: Scope, item: Signatures, *, descending: bool) -> Sql:
    rows = _page(scope, item).subquery(f"t{next(scope.build.numbers)}")
    order = rows.c.signature_id.desc() if descending else rows.c.signature_id
    text = sa.select(quoted(as_text(rows.c.signature_id))).select_from(rows).order_by(order)
    return or_null(text.limit(sa.literal_column("1")).correlate_except(rows).scalar_subquery())
