"""No key of the trail and no secret of an address is ever where the trail or its evidence can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_audit_checkpoints import a_sealer, events
from test_audit_evidence import bundle
from test_audit_retention import everywhere
from write_journey import context, plant

from clew.audit.evidence.collect import About
from clew.audit.sealing import keys, outside
from clew.settings import SettingsInvalid, load_settings
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
SECRET = "s3cr3t-of-the-archive"


async def test_canary_secrets_of_the_trail(database: TestDatabase, tmp_path: Path) -> None:
    made = await plant(await database.open())
    old, new = keys.new_key(), keys.new_key()
    url = f"http://archive:{SECRET}@127.0.0.1:9/in?token={SECRET}"
    sealer = a_sealer(made.database, tmp_path, audit_key=old, audit_outside_url=url)
    await events(made.database)
    await sealer.sign()
    (place,) = outside.places(sealer.settings)
    with pytest.raises(Exception, match=r".+"):
        await outside.deliver(made.database, place)

    async def change(connection: Connection) -> str:
        pair = keys.read_key(new), keys.read_key(old)
        return await keys.rotate(connection, context(), "1", *pair, "yearly")

    await made.database.run_write(change)
    await a_sealer(made.database, tmp_path, audit_key=new).sign()
    await bundle(made, About(begin=None, end=None), tmp_path / "all")
    shown = await everywhere(made) + repr(sealer.settings)
    shown += "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "all").rglob("*") if file.is_file())
    hidden = [SECRET, *(line for pem in (old, new) for line in pem.splitlines() if not line.startswith("-----"))]
    assert len(hidden) >= 3
    assert [secret for secret in hidden if secret in shown] == []


@pytest.mark.parametrize("url", [f"http://archive:{SECRET}@archive.example/in", f"ftp://a:{SECRET}@127.0.0.1/", SECRET])
def test_checkpoints_leave_under_tls_only(url: str) -> None:
    """In the clear its password is read on the way, and anybody there can answer that a checkpoint is kept."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(environ={"CLEW_AUDIT_OUTSIDE_URL": url})
    assert SECRET not in refused.value.message("en")
    assert load_settings(environ={"CLEW_AUDIT_OUTSIDE_URL": "https://archive.example/in"}).audit_outside_url
