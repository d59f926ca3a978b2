"""Checkpoints: signed notes, keys and their changes, places outside, and what is never signed."""

from __future__ import annotations

import base64
import http.server
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from test_audit_sealing import tell
from write_journey import context, mini, plant

from clew.audit.errors import (
    AuditKeyMissing,
    AuditKeyUnknown,
    AuditKeyUnreadable,
    CheckpointUndelivered,
    LogNotContinued,
    NotACheckpoint,
)
from clew.audit.sealing import checkpoints, keys, log, outside
from clew.audit.sealing.notes import public_key, read_note, verifier_key
from clew.audit.sealing.sealer import Sealer
from clew.audit.trail import record_event
from clew.audit.verify.whole import verify_trail
from clew.records.checkpoints_first import CheckpointsFirst
from clew.settings import Settings
from clew.storage.engine import Connection, Database
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


def a_sealer(database: Database, folder: Path, **more: object) -> Sealer:
    return Sealer(database, Settings.model_validate({"project": folder, **more}))


async def events(database: Database, count: int = 3) -> None:
    await tell(database, count)
    await log.seal_all(database)


async def test_a_checkpoint_is_a_note_signed_by_the_named_key(database: TestDatabase, tmp_path: Path) -> None:
    opened = await database.installed(mini())
    await events(opened)
    sealer = a_sealer(opened, tmp_path)
    made = await sealer.sign()
    assert made is not None
    assert made.size == 4  # the key's own event is an entry too
    note = read_note(made.note)
    async with opened.read() as connection:
        (named,) = await keys.named_keys(connection)
        origin, _ = await keys.origin_of(connection)
        assert note.checkpoint.root == await log.root_of(connection, 4)
    assert note.checkpoint.origin == origin
    assert note.signed_by(public_key(named.key))
    assert note.checkpoint.text() == f"{origin}\n4\n{base64.b64encode(note.checkpoint.root).decode()}\n" + (
        made.note.split("\n")[3] + "\n"
    )
    forged = read_note(made.note.replace("\n4\n", "\n5\n"))
    assert not forged.signed_by(public_key(named.key))
    assert (tmp_path / ".clew" / "audit.pem").stat().st_mode & 0o077 == 0


async def test_checkpoints_keep_their_distance(database: TestDatabase, tmp_path: Path) -> None:
    opened = await database.installed(mini())
    sealer = a_sealer(opened, tmp_path, audit_checkpoint_every=3600)
    assert not await sealer.grown()
    await events(opened)
    assert await sealer.grown()
    assert await sealer.sign() is not None
    await events(opened)
    assert not await sealer.grown()
    assert await sealer.sign(timedelta(hours=1)) is None
    assert await sealer.sign() is not None
    assert await sealer.sign() is None


async def test_keys_change_under_the_old_one(database: TestDatabase, tmp_path: Path) -> None:
    opened = await database.installed(mini())
    await events(opened)
    first = await a_sealer(opened, tmp_path).sign()
    other = keys.new_key()
    with pytest.raises(AuditKeyUnknown):
        await a_sealer(opened, tmp_path, audit_key=other).sign()
    old, new = keys.configured_key(Settings(project=tmp_path)), keys.read_key(other)

    async def change(connection: Connection) -> str:
        return await keys.rotate(connection, context(), "1", new, old, "yearly")

    await opened.run_write(change)
    second = await a_sealer(opened, tmp_path, audit_key=other).sign()
    async with opened.read() as connection:
        one, two = await keys.named_keys(connection)
    assert (one.endorsed, two.endorsed, two.previous) == (True, True, one.key)
    assert first is not None
    assert second is not None
    assert read_note(first.note).signed_by(public_key(one.key))
    assert read_note(second.note).signed_by(public_key(two.key))
    assert not read_note(second.note).signed_by(public_key(one.key))
    stolen = keys.NamedKey(two.leaf_id, one.key, two.key, two.endorsement)
    assert not stolen.endorsed
    with pytest.raises(AuditKeyUnknown):
        await a_sealer(opened, tmp_path).sign()


async def test_a_lost_key_is_replaced_in_plain_sight(database: TestDatabase, tmp_path: Path) -> None:
    opened = await database.installed(mini())
    await events(opened)
    await a_sealer(opened, tmp_path).sign()
    new = keys.read_key(keys.new_key())
    await opened.run_write(lambda connection: keys.rotate(connection, context(), "1", new, None, "disk died"))
    async with opened.read() as connection:
        assert [each.endorsed for each in await keys.named_keys(connection)] == [True, False]


async def test_a_log_rebuilt_under_another_key_is_not_the_trusted_ones(database: TestDatabase, tmp_path: Path) -> None:
    """Whoever owns the database names a key of their own first, and then the trusted one, which signs nothing."""
    opened = await database.installed(mini())
    forged, real = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    async with opened.write() as connection:
        origin, database_id = await keys.origin_of(connection)
        await keys.ensure_named(connection, context(), "1", forged)
        trusted = verifier_key(origin, real.public_key().public_bytes_raw())
        mine = verifier_key(origin, forged.public_key().public_bytes_raw())
        told = {"key": trusted, "previous": mine}
        await record_event(connection, context(), "1", "key", "clew.log", database_id, told)
    await log.seal_all(opened)
    assert await checkpoints.sign(opened, forged) is not None
    assert [each.kind for each in (await verify_trail(opened, trusted=trusted)).findings] == ["key_foreign"]
    # As soon as the trusted key has signed what is there, all of it is vouched for.
    await events(opened, 1)
    assert await checkpoints.sign(opened, real) is not None
    assert (await verify_trail(opened, trusted=trusted)).findings == []
    await events(opened, 1)
    assert await checkpoints.sign(opened, forged) is not None
    assert [each.kind for each in (await verify_trail(opened, trusted=trusted)).findings] == ["key_foreign"]


def test_keys_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(AuditKeyUnreadable):
        keys.read_key("-----BEGIN NOTHING-----")
    with pytest.raises(AuditKeyMissing):
        keys.configured_key(Settings(project=tmp_path, mode="production"))
    with pytest.raises(AuditKeyMissing):
        keys.configured_key(Settings(project=tmp_path, audit_key=str(tmp_path / "none.pem")))
    for text in ("", "a+b+c", "clew.audit/x+00000000+AQ=="):
        with pytest.raises(ValueError):
            public_key(text)
    with pytest.raises(NotACheckpoint):
        read_note("clew.audit/x\n1\n\n— clew.audit/x AAAA\n")


async def test_a_folder_keeps_what_it_has(database: TestDatabase, tmp_path: Path) -> None:
    opened = await database.installed(mini())
    sealer = a_sealer(opened, tmp_path, audit_outside_folder=tmp_path / "outside")
    (place,) = outside.places(sealer.settings)
    for _ in range(3):
        await events(opened)
        await sealer.sign()
    assert await outside.deliver(opened, place) == 3
    assert await outside.deliver(opened, place) == 0
    files = sorted((tmp_path / "outside").rglob("*.checkpoint"))
    assert len(files) == 3
    async with opened.read() as connection:
        assert await outside.undelivered(connection, [place]) == []
        stored = [each.note async for each in checkpoints.all_of(connection)]
    assert [each.read_text() for each in files] == stored
    assert isinstance(place, outside.Folder)
    async with opened.read() as connection:
        made = await checkpoints.newest(connection)
    assert made is not None
    await place.put(made)
    files[-1].write_text(files[0].read_text())
    with pytest.raises(outside.Refused):
        await place.put(made)


async def test_a_place_that_fails_is_told_of_and_tried_again(database: TestDatabase, tmp_path: Path) -> None:
    opened = await database.installed(mini())
    barred = tmp_path / "barred"
    barred.write_text("a file, not a folder")
    place = outside.Folder(barred)
    await events(opened)
    await a_sealer(opened, tmp_path).sign()
    for _ in range(2):
        with pytest.raises(OSError):
            await outside.deliver(opened, place)
    async with opened.read() as connection:
        (told,) = await outside.deliveries(connection)
        assert await outside.undelivered(connection, [place]) == [str(barred)]
    assert told.error is not None
    assert told.failing_since is not None
    assert told.failing_since <= told.tried_at
    barred.unlink()
    assert await outside.deliver(opened, place) == 1
    async with opened.read() as connection:
        (told,) = await outside.deliveries(connection)
    assert (told.error, told.failing_since) == (None, None)


async def test_writes_stop_when_checkpoints_must_leave_first(database: TestDatabase, tmp_path: Path) -> None:
    """Only where the settings say so; everywhere else a place that fails holds nobody up."""
    made = await plant(await database.open(), participants=[CheckpointsFirst(3600)])
    strict = await plant(made.database, participants=[CheckpointsFirst(1e-6)], fresh=False)
    item = {"item_no": "N-1", "name": "a"}
    barred = tmp_path / "barred"
    barred.write_text("a file, not a folder")
    await a_sealer(made.database, tmp_path).sign()
    with pytest.raises(OSError):
        await outside.deliver(made.database, outside.Folder(barred))
    await made.commands.create(made.call, "item", item)
    with pytest.raises(CheckpointUndelivered):
        await strict.commands.create(strict.call, "item", {**item, "item_no": "N-2"})
    barred.unlink()
    await outside.deliver(made.database, outside.Folder(barred))
    await strict.commands.create(strict.call, "item", {**item, "item_no": "N-2"})


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[str], list[int]]]:
    """A server that keeps what it is sent and answers as told."""
    got: list[str] = []
    answers = [200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(answers[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://u:secret@127.0.0.1:{server.server_port}/in?token=secret", got, answers
    server.shutdown()
    server.server_close()


async def test_an_address_gets_every_checkpoint(
    database: TestDatabase,
    tmp_path: Path,
    receiver: tuple[str, list[str], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Itself: what goes without TLS to this machine does not go by whatever the environment names as a proxy."""
    url, got, answers = receiver
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    opened = await database.installed(mini())
    sealer = a_sealer(opened, tmp_path, audit_outside_url=url)
    (place,) = outside.places(sealer.settings)
    assert "secret" not in place.name
    await events(opened)
    made = await sealer.sign()
    assert made is not None
    answers[0] = 503
    with pytest.raises(outside.Refused):
        await outside.deliver(opened, place)
    answers[0] = 201
    assert await outside.deliver(opened, place) == 1
    assert got[-1] == made.note


async def test_a_restored_database_signs_nothing(database: TestDatabase, tmp_path: Path) -> None:
    """An old copy brought back must not grow another future for the same log."""
    opened = await database.installed(mini())
    sealer = a_sealer(opened, tmp_path, audit_outside_folder=tmp_path / "outside")
    (place,) = outside.places(sealer.settings)
    await events(opened)
    await sealer.sign()
    await outside.deliver(opened, place)
    async with opened.read() as connection:
        origin, _ = await keys.origin_of(connection)
    folder = tmp_path / "outside" / outside.folder_name(origin)
    ahead = read_note(next(folder.glob("*.checkpoint")).read_text()).checkpoint
    key = keys.configured_key(sealer.settings)
    future = ahead.__class__(origin, ahead.size + 50, ahead.root, ahead.at).signed(key)
    (folder / f"{ahead.size + 50:015d}.checkpoint").write_text(future)
    await events(opened)
    with pytest.raises(LogNotContinued):
        await sealer.sign()
    shutil.rmtree(folder)
    assert await sealer.sign() is not None


async def test_an_altered_log_is_not_signed(database: TestDatabase, tmp_path: Path) -> None:
    """What proofs are made of is compared with what was signed last. (Finding every alteration is verification.)"""
    opened = await database.installed(mini())
    sealer = a_sealer(opened, tmp_path)
    await events(opened)
    await sealer.sign()
    async with opened.migrate() as connection:
        table = "clew_audit_log"
        if opened.dialect == "sqlite":
            await connection.run_sql(f"DROP TRIGGER {table}__no_update")
        else:
            await connection.run_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        await connection.execute(sa.text(f"UPDATE {table} SET nodes = '{'ab' * 64}' WHERE \"index\" = 3"))
    await events(opened)
    with pytest.raises(LogNotContinued):
        await sealer.sign()
