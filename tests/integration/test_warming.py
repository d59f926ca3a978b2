"""After a release, what people will ask of its policies is worked out before they do; that it fails harms nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.guarded_case import ask, guarded, make_account, sign_in
from tests.integration.http_case import Served, installed

from clew.access.judgement import Judgement
from clew.access.unite import Held
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
BUYER = frozenset({Held("buyer", sites=False, families=False)})


async def next_release(house: Served, url: str, project: Path, label: str) -> None:
    """Another label of a role is another release."""
    file = project / "permissions" / "buyer.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("Buyer", label), encoding="utf-8")
    await installed(url, project)
    assert await house.host.refresh()
    assert house.host._warming is not None
    await house.host._warming


async def test_the_roles_last_seen_are_ready_after_a_release(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(database.url, tmp_path) as house:
        project = tmp_path / "guarded"
        await make_account(house.host.current.desk, "li", "buyer")
        assert (await sign_in(house.client, "li")).status_code == 200
        seen = (await ask(house.client)).json()
        assert "data" in seen

        await next_release(house, database.url, project, "Purchaser")
        fresh = house.host.current
        assert fresh.number == 2
        assert BUYER in fresh.decide.kept
        judgement = fresh.decide.judgement
        assert judgement is not None
        ready = dict(judgement._verdicts)
        decision = fresh.decide._kept[BUYER]
        assert set(decision.entities._made) == set(fresh.blueprint.entities)
        assert (await ask(house.client)).json() == seen
        assert fresh.decide._kept[BUYER] is decision
        assert judgement._verdicts == ready, "nothing was left to work out"

        monkeypatch.setattr(Judgement, "fill_entity", _fails)
        await next_release(house, database.url, project, "Sourcing")
        assert (house.host.current.number, house.host.trouble) == (3, None)
        assert "could not be worked out in advance" in caplog.text
        assert (await ask(house.client)).json() == seen, "worked out when asked"


def _fails(self: Judgement, entity: str) -> None:
    raise RuntimeError(entity)
