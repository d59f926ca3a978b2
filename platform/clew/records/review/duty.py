"""What the duty ledger would say to an act: who has done what about its subject, and so must leave this to others."""

from __future__ import annotations

from collections.abc import AsyncIterator

from clew.identity import accounts
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.metadata.policies import DO
from clew.records.duties import Identity, duty_words, earlier, in_force, subjects_of
from clew.records.judge import Judge
from clew.records.review.desk import Question, ReviewDesk
from clew.records.review.people import Known
from clew.records.rows import Record
from clew.storage.engine import Connection


async def excluded(
    desk: ReviewDesk, connection: Connection, judge: Judge, known: Known, question: Question, record: Record
) -> AsyncIterator[Bilingual]:
    """Why an earlier duty of the person, or of somebody they stand in for, excludes this one."""
    action = question.rows.removeprefix(DO)
    for separation in desk.policies.separations.values():
        for duty in separation.duties:
            if duty.entity != question.entity.name or action not in duty.actions:
                continue
            if not await in_force(judge, duty, question.entity, record):
                continue
            subjects = await subjects_of(desk.engine, connection, question.entity, record["id"], record, duty.about)
            if not subjects:
                continue
            people = [known.account]
            for each in known.holdings:
                if each.kind == "delegation" and each.force == "in force" and each.delegator is not None:
                    giver = await accounts.find(connection, each.delegator)
                    people += [giver] if giver is not None else []
            identities = [Identity(each.id, each.employee) for each in people]
            row = await earlier(connection, separation, duty, subjects, identities)
            if row is not None:
                said, at = duty_words(desk.engine, row[1], row[2]), instant_text(row[3])
                zh, en = separation.label.to("zh"), separation.label.to("en")
                yield Bilingual(f"{zh}:已于 {at} 履行“{said.zh}”", f"{en}: they did {said.en} at {at}")
