"""Connectors in the review: who may see, run and administer one, and through which assignment, role and line."""

from __future__ import annotations

from clew.access.lines import Line
from clew.access.review.explain import Holding, Link, way_to
from clew.access.review.matrix import CONNECTOR_WORDS
from clew.access.unite import held_by
from clew.records.review.answer import NO_ACCOUNT, NO_GRANT, Reason, Standing, dormant, forbidden
from clew.records.review.desk import ConnectorQuestion, ReviewDesk
from clew.records.review.people import Known


def connector_standing(desk: ReviewDesk, known: Known, question: ConnectorQuestion) -> Standing:
    """How one person stands to a connector. There is no record and no condition: the decision's own answer."""
    held = held_by(known.person, desk.policies)
    grant = getattr(desk.unite.connector(question.connector, held), question.action)
    allowed = known.account.active and grant.allowed
    links, forbids = [], []
    for holding in known.holdings:
        verdict = desk.judgement.connector(holding.role, question.connector, question.action)
        links += [_link(desk, holding, each) for each in verdict.allows]
        forbids += [_link(desk, holding, each) for each in verdict.denies if holding.force == "in force"]
    reasons = () if allowed else tuple(_why_not(known, links, forbids))
    roles = sorted(desk.policies.roles)
    could = [each for each in roles if desk.judgement.connector(each, question.connector, question.action).allows]
    return Standing(
        known,
        question,
        allowed,
        tuple(links),
        tuple(forbids),
        reasons,
        () if links else tuple(could),
        CONNECTOR_WORDS[question.action],
    )


def _link(desk: ReviewDesk, holding: Holding, line: Line) -> Link:
    return Link(holding, way_to(desk.policies, holding.role, line.role), line, ())


def _why_not(known: Known, links: list[Link], forbids: list[Link]) -> list[Reason]:
    if not known.account.active:
        return [NO_ACCOUNT]
    if forbids:
        return [forbidden(each) for each in forbids]
    if links:
        return [dormant(each.holding) for each in links]
    return [NO_GRANT]
