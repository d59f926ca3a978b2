"""Puts into an answer what no statement can say: whether a signature still holds, and the digest of a content."""

from __future__ import annotations

import json
import re
from uuid import UUID

from clew.audit import signatures
from clew.kernel.scalars import to_wire
from clew.records.query.signatures import DIGEST, EDGE, ERASED, VERIFIED
from clew.records.signing.content import key_of, version_content
from clew.records.signing.verify import Inspection, Verifier
from clew.storage.engine import Connection

_TOKEN = re.compile(f"{EDGE}([a-z]):([^{EDGE}]*){EDGE}")


class SigningAnswers:
    """Replaces the tokens that `records.query.signatures` leaves in an answer."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def complete(self, text: str, connection: Connection) -> str:
        """The text with every token answered, on the connection that read it."""
        found: dict[str, str] = {}
        inspection = self._verifier.inspect(connection)
        for token in _TOKEN.finditer(text):
            if token[0] not in found:
                found[token[0]] = await self._answer(token[1], token[2], connection, inspection)
        return _TOKEN.sub(lambda token: found[token[0]], text)

    async def _answer(self, kind: str, of: str, connection: Connection, inspection: Inspection) -> str:
        if kind == DIGEST:
            entity, record_id, version = of.split(":")
            engine = self._verifier.engine
            known = engine.blueprint.entities[entity]
            content = await version_content(connection, engine, known, UUID(record_id), int(version))
            return json.dumps("" if content is None else content.shown(await key_of(connection)))
        signature = await signatures.one(connection, UUID(of))
        if kind == ERASED:
            erasure = None if signature is None else await inspection.erased(signature)
            return json.dumps(None if erasure is None else to_wire(erasure.at))
        problems = ("the signature is gone",) if signature is None else await inspection.problems(signature)
        if kind == VERIFIED:
            return json.dumps(not problems)
        return json.dumps(list(problems), ensure_ascii=False)
