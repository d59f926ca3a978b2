"""The platform's own tables, the same on both engines. Leaves are insert-only; history, leaves and outbox are
partitioned by month on PostgreSQL."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from clew.kernel.ids import uuid7
from clew.storage.ddl import Ddl, default_partition, months
from clew.storage.dialects import compile_ddl
from clew.storage.engine import Connection, DialectName
from clew.storage.process_tables import (
    process,
    process_comment,
    process_definition,
    process_log,
    task,
)
from clew.storage.system_metadata import metadata
from clew.storage.types import Id, Instant, Integer, Json, Text, Truth

SYSTEM_VERSION = 1
"""Raised whenever these tables change; a database knows which version it carries."""


platform = sa.Table(
    "clew_platform",
    metadata,
    sa.Column("database_id", Id(), primary_key=True),
    sa.Column("version", Integer(), nullable=False),
    sa.Column("created_at", Instant(), nullable=False),
)
release = sa.Table(
    "clew_release",
    metadata,
    sa.Column("number", Integer(), primary_key=True, autoincrement=False),
    sa.Column("base", Integer(), nullable=False),
    sa.Column("state", Text(), nullable=False),  # pending | live | settled
    sa.Column("digest", Text(), nullable=False),
    sa.Column("blueprint_digest", Text(), nullable=False),
    sa.Column("plan_id", Text(), nullable=False),
    sa.Column("sources", Json(), nullable=False),
    sa.Column("catalog", Json(), nullable=False),
    sa.Column("compiler", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("live_at", Instant()),
    sa.Column("by", Text(), nullable=False),
    sa.Column("note", Text(), nullable=False),
    sa.Column("consents", Json(), nullable=False),
)
environment = sa.Table(
    "clew_environment",
    metadata,
    sa.Column("number", Integer(), primary_key=True, autoincrement=False),
    sa.Column("environment", Text(), nullable=False),  # development | test | production
    sa.Column("trusted", Json(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("by", Text(), nullable=False),
    sa.Column("reason", Text(), nullable=False),
)
promotion = sa.Table(
    "clew_promotion",
    metadata,
    sa.Column("release", Integer(), primary_key=True, autoincrement=False),
    sa.Column("digest", Text(), nullable=False),
    sa.Column("bundle", Json(), nullable=False),  # without the sources: the release has them
    sa.Column("at", Instant(), nullable=False),
)
change = sa.Table(
    "clew_change",
    metadata,
    sa.Column("release", Integer(), primary_key=True, autoincrement=False),
    sa.Column("step", Integer(), primary_key=True, autoincrement=False),
    sa.Column("phase", Text(), nullable=False),
    sa.Column("kind", Text(), nullable=False),
    sa.Column("object", Text(), nullable=False),
    sa.Column("work", Json(), nullable=False),
    sa.Column("state", Text(), nullable=False),  # waiting | done | superseded
    sa.Column("progress", Json()),
    sa.Column("node", Text()),
    sa.Column("done_at", Instant()),
)
node = sa.Table(
    "clew_node",
    metadata,
    sa.Column("node", Text(), primary_key=True),
    sa.Column("release", Integer(), nullable=False),
    sa.Column("seen_at", Instant(), nullable=False),
)
leaf = sa.Table(
    "clew_audit_leaf",
    metadata,
    sa.Column("leaf_id", Id(), primary_key=True),
    sa.Column("at", Instant(), primary_key=True),
    sa.Column("action", Text(), nullable=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("row_version", Integer(), nullable=False),
    sa.Column("actor", Id()),
    sa.Column("header", Text(), nullable=False),
    sa.Column("fields", Text(), nullable=False),
    sa.Column("digest", Text(), nullable=False),
    sa.Index("ix_clew_audit_leaf__record", "record_id", "row_version"),
    postgresql_partition_by="RANGE (at)",
)
leaf_pending = sa.Table(
    "clew_audit_pending",
    metadata,
    sa.Column("leaf_id", Id(), primary_key=True),
    sa.Column("at", Instant(), nullable=False),
)
audit_log = sa.Table(
    "clew_audit_log",
    metadata,
    sa.Column("index", Integer(), primary_key=True, autoincrement=False),
    sa.Column("leaf_id", Id(), nullable=False),
    sa.Column("at", Instant(), nullable=False),  # the leaf's
    sa.Column("sealed_at", Instant(), nullable=False),
    sa.Column("digest", Text(), nullable=False),
    sa.Column("nodes", Text(), nullable=False),  # the subtrees this entry completes, the smallest first
    sa.Column("link", Text(), nullable=False),
    sa.Index("ux_clew_audit_log__leaf", "leaf_id", unique=True),
)
checkpoint = sa.Table(
    "clew_audit_checkpoint",
    metadata,
    sa.Column("size", Integer(), primary_key=True, autoincrement=False),
    sa.Column("root", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("key", Text(), nullable=False),
    sa.Column("note", Text(), nullable=False),
)
checkpoint_delivery = sa.Table(
    "clew_audit_delivery",
    metadata,
    sa.Column("place", Text(), primary_key=True),
    sa.Column("size", Integer(), nullable=False),  # of the newest checkpoint that arrived
    sa.Column("tried_at", Instant(), nullable=False),
    sa.Column("failing_since", Instant()),
    sa.Column("error", Text()),
)
watch_cursor = sa.Table(
    "clew_watch_cursor",
    metadata,
    sa.Column("name", Text(), primary_key=True),
    sa.Column("size", Integer(), nullable=False),  # entries of the log that were looked at
)
watch_alert = sa.Table(
    "clew_watch_alert",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("watch", Text(), nullable=False),
    sa.Column("severity", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),  # of the entry that raised it
    sa.Column("index", Integer(), nullable=False),
    sa.Column("counted", Id(), nullable=False),  # the subject or actor it is about
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("actor", Id()),
    sa.Column("times", Integer(), nullable=False),
    sa.Index("ix_clew_watch_alert__watch", "watch", "counted", "at"),
)
outbox = sa.Table(
    "clew_outbox",
    metadata,
    sa.Column("event_id", Id(), primary_key=True),
    sa.Column("at", Instant(), primary_key=True),
    sa.Column("type", Text(), nullable=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("row_version", Integer(), nullable=False),
    sa.Column("site", Id()),
    sa.Column("lane", Integer(), nullable=False),
    sa.Column("payload", Text(), nullable=False),
    postgresql_partition_by="RANGE (at)",
)
outbox_pending = sa.Table(
    "clew_outbox_pending",
    metadata,
    sa.Column("lane", Integer(), primary_key=True, autoincrement=False),
    sa.Column("event_id", Id(), primary_key=True),
    sa.Column("at", Instant(), nullable=False),
)
idempotency = sa.Table(
    "clew_idempotency",
    metadata,
    sa.Column("person", Id(), primary_key=True),
    sa.Column("key", Text(), primary_key=True),
    sa.Column("request_digest", Text(), nullable=False),
    sa.Column("answer", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Index("ix_clew_idempotency__at", "at"),
)
counter = sa.Table(
    "clew_counter",
    metadata,
    sa.Column("rule", Text(), primary_key=True),
    sa.Column("scope", Text(), primary_key=True),
    sa.Column("value", Integer(), nullable=False),
)
blob = sa.Table(
    "clew_blob",
    metadata,
    sa.Column("sha256", Text(), primary_key=True),
    sa.Column("size", Integer(), nullable=False),
    sa.Column("put_at", Instant(), nullable=False),
    sa.Column("used", Truth(), nullable=False),
    sa.Index("ix_clew_blob__unused", "put_at", sqlite_where=sa.text("used = 0"), postgresql_where=sa.text("NOT used")),
)
external_id = sa.Table(
    "clew_external_id",
    metadata,
    sa.Column("system", Text(), primary_key=True),
    sa.Column("object", Text(), primary_key=True),
    sa.Column("external_id", Text(), primary_key=True),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Index("ix_clew_external_id__record", "record_id"),
)
job = sa.Table(
    "clew_job",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("kind", Text(), nullable=False),
    sa.Column("key", Text()),
    sa.Column("payload", Json(), nullable=False),
    sa.Column("state", Text(), nullable=False),  # ready | leased | done | failed
    sa.Column("run_at", Instant(), nullable=False),
    sa.Column("worker", Text()),
    sa.Column("lease", Id()),
    sa.Column("lease_until", Instant()),
    sa.Column("attempts", Integer(), nullable=False),
    sa.Column("last_error", Text()),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("done_at", Instant()),
    sa.Index("ix_clew_job__due", "state", "run_at"),
    sa.Index(
        "ux_clew_job__open_key",
        "kind",
        "key",
        unique=True,
        sqlite_where=sa.text("state IN ('ready', 'leased')"),
        postgresql_where=sa.text("state IN ('ready', 'leased')"),
    ),
)
session = sa.Table(
    "clew_session",
    metadata,
    sa.Column("id", Text(), primary_key=True),
    sa.Column("account", Id(), nullable=False),
    sa.Column("data", Json(), nullable=False),
    sa.Column("epoch", Integer(), nullable=False),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("seen_at", Instant(), nullable=False),
    sa.Column("expires_at", Instant(), nullable=False),
    sa.Column("revoked_at", Instant()),
    sa.Index("ix_clew_session__account", "account"),
)

# Identity: who may sign in, how they prove it, what they were given. Logins are never reissued, rows never deleted.
account = sa.Table(
    "clew_account",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("login", Text(), nullable=False),
    sa.Column("name", Text(), nullable=False),
    sa.Column("kind", Text(), nullable=False),  # person | service | external
    sa.Column("state", Text(), nullable=False),  # active | disabled
    sa.Column("epoch", Integer(), nullable=False),
    sa.Column("employee", Id()),
    sa.Column("facts", Json(), nullable=False),  # site, department, party: what conditions may ask about the person
    sa.Column("subject", Text()),  # issuer and subject of single sign-on
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("disabled_at", Instant()),
    sa.Index("ux_clew_account__login", "login", unique=True),
    sa.Index("ux_clew_account__subject", "subject", unique=True),
    sa.Index("ix_clew_account__employee", "employee"),
)
credential = sa.Table(
    "clew_credential",
    metadata,
    sa.Column("account", Id(), primary_key=True),
    sa.Column("password", Text()),
    sa.Column("password_at", Instant()),
    sa.Column("must_change", Truth(), nullable=False),
    sa.Column("history", Json(), nullable=False),
    sa.Column("pin", Text()),
    sa.Column("totp", Text()),  # encrypted
    sa.Column("totp_on", Truth(), nullable=False),
    sa.Column("totp_step", Integer(), nullable=False),  # the last time step that was used: a code counts once
)
throttle = sa.Table(
    "clew_throttle",
    metadata,
    sa.Column("account", Id(), primary_key=True),
    sa.Column("tries", Integer(), nullable=False),
    sa.Column("locked_until", Instant()),
    sa.Column("at", Instant(), nullable=False),
)
token = sa.Table(
    "clew_token",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("digest", Text(), nullable=False),
    sa.Column("account", Id(), nullable=False),
    sa.Column("name", Text(), nullable=False),
    sa.Column("scopes", Json(), nullable=False),  # roles it is narrowed to; empty: all of the account
    sa.Column("created_by", Id(), nullable=False),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("expires_at", Instant(), nullable=False),
    sa.Column("revoked_at", Instant()),
    sa.Index("ux_clew_token__digest", "digest", unique=True),
    sa.Index("ix_clew_token__account", "account"),
)
assignment = sa.Table(
    "clew_assignment",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("account", Id(), nullable=False),
    sa.Column("role", Text(), nullable=False),
    sa.Column("sites", Json()),  # null: all
    sa.Column("families", Json()),  # null: all
    sa.Column("kind", Text(), nullable=False),  # permanent | delegation | break_glass | claim
    sa.Column("state", Text(), nullable=False),  # requested | active | refused | ended
    sa.Column("valid_from", Instant(), nullable=False),
    sa.Column("valid_to", Instant()),
    sa.Column("delegator", Id()),
    sa.Column("requested_by", Id(), nullable=False),
    sa.Column("requested_at", Instant(), nullable=False),
    sa.Column("granted_by", Id()),
    sa.Column("granted_at", Instant()),
    sa.Column("ended_by", Id()),
    sa.Column("ended_at", Instant()),
    sa.Column("reason", Text(), nullable=False),
    sa.Column("record", Id()),  # the business record it came from
    sa.Index("ix_clew_assignment__account", "account", "state"),
    sa.Index("ix_clew_assignment__delegator", "delegator"),
    sa.Index("ux_clew_assignment__record", "record", unique=True),
)
break_glass = sa.Table(
    "clew_break_glass",
    metadata,
    sa.Column("assignment", Id(), primary_key=True),
    sa.Column("reviewed_by", Id()),
    sa.Column("reviewed_at", Instant()),
    sa.Column("verdict", Text()),  # justified | not_justified
    sa.Column("note", Text(), nullable=False),
)
handover = sa.Table(
    "clew_handover",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("account", Id(), nullable=False),
    sa.Column("what", Text(), nullable=False),
    sa.Column("opened_at", Instant(), nullable=False),
    sa.Column("closed_at", Instant()),
    sa.Column("closed_by", Id()),
    sa.Column("to_account", Id()),
    sa.Index("ix_clew_handover__account", "account"),
)

# Acts on accounts that take two people: credentials somebody else has set, and tokens of services.
confirmation = sa.Table(
    "clew_confirmation",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("account", Id(), nullable=False),
    sa.Column("what", Text(), nullable=False),  # password | totp.begin | totp.remove | pin
    sa.Column("issued_by", Id(), nullable=False),
    sa.Column("issued_at", Instant(), nullable=False),
    sa.Column("confirmed_by", Id()),
    sa.Column("confirmed_at", Instant()),
    sa.Index("ix_clew_confirmation__account", "account", "confirmed_at"),
)
sign_on = sa.Table(
    "clew_sign_on",
    metadata,
    sa.Column("session", Text(), primary_key=True),  # that asked for it; used up by one signature
    sa.Column("account", Id(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
)
token_request = sa.Table(
    "clew_token_request",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("account", Id(), nullable=False),
    sa.Column("name", Text(), nullable=False),
    sa.Column("scopes", Json(), nullable=False),
    sa.Column("expires_at", Instant(), nullable=False),
    sa.Column("reason", Text(), nullable=False),
    sa.Column("state", Text(), nullable=False),  # requested | approved | refused | collected
    sa.Column("requested_by", Id(), nullable=False),
    sa.Column("requested_at", Instant(), nullable=False),
    sa.Column("decided_by", Id()),
    sa.Column("decided_at", Instant()),
    sa.Column("token", Id()),  # once it is collected
)

# Electronic signatures and the decisions on regulated actions: what was signed, and by which rule it was allowed.
signature = sa.Table(
    "clew_signature",
    metadata,
    sa.Column("signature_id", Id(), primary_key=True),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("row_version", Integer(), nullable=False),
    sa.Column("record_sha256", Text(), nullable=False),
    sa.Column("action", Text(), nullable=False),
    sa.Column("meaning", Text(), nullable=False),
    sa.Column("account", Id(), nullable=False),
    sa.Column("employee", Id()),
    sa.Column("printed_name", Text(), nullable=False),
    sa.Column("role", Text(), nullable=False),
    sa.Column("signed_at", Instant(), nullable=False),
    sa.Column("time_zone", Text(), nullable=False),
    sa.Column("components_used", Json(), nullable=False),
    sa.Column("reason", Text()),
    sa.Column("session", Text()),
    sa.Column("address", Text(), nullable=False),
    sa.Column("leaf_id", Id(), nullable=False),
    sa.Column("signed_bytes", Text(), nullable=False),
    sa.Column("digest", Text(), nullable=False),
    sa.Index("ix_clew_signature__record", "record_id", "row_version"),
    sa.Index("ix_clew_signature__session", "session", "signed_at"),
)
decision = sa.Table(
    "clew_decision",
    metadata,
    sa.Column("decision_id", Id(), primary_key=True),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("outcome", Text(), nullable=False),  # allowed | refused
    sa.Column("code", Text(), nullable=False),
    sa.Column("action", Text(), nullable=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("row_version", Integer(), nullable=False),
    sa.Column("account", Id(), nullable=False),
    sa.Column("request_id", Text(), nullable=False),
    sa.Column("release", Text(), nullable=False),
    sa.Column("policy", Text(), nullable=False),
    sa.Column("body", Text(), nullable=False),
    sa.Column("digest", Text(), nullable=False),
    sa.Index("ix_clew_decision__record", "record_id", "at"),
    sa.Index("ix_clew_decision__at", "at"),
)

# Campaigns in which every assignment is attested or revoked by somebody who answers for it.
review = sa.Table(
    "clew_review",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("name", Text(), nullable=False),
    sa.Column("roles", Json(), nullable=False),  # empty: all
    sa.Column("started_by", Id(), nullable=False),
    sa.Column("started_at", Instant(), nullable=False),
    sa.Column("due_at", Instant(), nullable=False),
    sa.Column("closed_by", Id()),
    sa.Column("closed_at", Instant()),
)
review_item = sa.Table(
    "clew_review_item",
    metadata,
    sa.Column("review", Id(), primary_key=True),
    sa.Column("assignment", Id(), primary_key=True),
    sa.Column("owner", Id(), nullable=False),
    sa.Column("shown", Json(), nullable=False),  # the assignment as it was when the campaign began
    sa.Column("verdict", Text()),  # attest | revoke
    sa.Column("decided_by", Id()),
    sa.Column("decided_at", Instant()),
    sa.Column("comment", Text(), nullable=False),
    sa.Column("signature", Id()),
    sa.Index("ix_clew_review_item__owner", "owner"),
    sa.Index("ix_clew_review_item__assignment", "assignment"),
)
review_reminder = sa.Table(
    "clew_review_reminder",
    metadata,
    sa.Column("review", Id(), primary_key=True),
    sa.Column("owner", Id(), primary_key=True),
    sa.Column("kind", Text(), primary_key=True),  # due_soon | overdue
    sa.Column("at", Instant(), nullable=False),
)

PARTITIONED = (leaf.name, outbox.name)
duty = sa.Table(
    "clew_duty",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("subject", Id(), nullable=False),
    sa.Column("subject_entity", Text(), nullable=False),
    sa.Column("separation", Text(), nullable=False),
    sa.Column("duty", Text(), nullable=False),
    sa.Column("account", Id(), nullable=False),  # whose duty it is
    sa.Column("employee", Id()),
    sa.Column("acted_by", Id(), nullable=False),  # another account when it was performed on somebody's behalf
    sa.Column("entity", Text(), nullable=False),
    sa.Column("action", Text(), nullable=False),
    sa.Column("record", Id(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("release", Text(), nullable=False),
    sa.Index("ix_clew_duty__subject", "subject", "separation"),
)
INSERT_ONLY = (
    duty.name,
    review_reminder.name,
    process_definition.name,
    process_comment.name,
    process_log.name,
    leaf.name,
    audit_log.name,
    checkpoint.name,
    outbox.name,
    environment.name,
    promotion.name,
    signature.name,
    decision.name,
)
_KEPT = (account, credential, token, assignment, break_glass, handover, confirmation, token_request, review)
NEVER_DELETED = tuple(each.name for each in (*_KEPT, review_item, process, task))
"""A server may add to and change these, but nothing in them goes away."""


async def ensure_system(connection: Connection) -> None:
    """Create what is missing of the platform's tables, inside a `migrate` unit. Harmless when all is there."""
    present = await existing_tables(connection)
    at = await connection.now()
    for table in metadata.sorted_tables:
        if table.name not in present:
            for statement in _create(table, connection.dialect, at):
                await connection.run_sql(statement)
    if await connection.fetch_value(sa.select(platform.c.database_id)) is None:
        values = {"database_id": uuid7(), "version": SYSTEM_VERSION, "created_at": at}
        await connection.execute(sa.insert(platform), values)


async def existing_tables(connection: Connection) -> frozenset[str]:
    """Names of all tables of the database, partitions included."""
    sql = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if connection.dialect == "sqlite"
        else "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = 'public'"
    )
    return frozenset(row[0] for row in await connection.fetch(sa.text(sql)))


def _create(table: sa.Table, dialect: DialectName, at: datetime) -> list[str]:
    ddl = Ddl(dialect)
    statements = [compile_ddl(CreateTable(table), dialect)]
    if dialect == "postgresql" and table.name in PARTITIONED:
        statements += ddl.partitions(table.name, months(at))
        name, default = ddl.quote(table.name), ddl.quote(default_partition(table.name))
        statements.append(f"CREATE TABLE {default} PARTITION OF {name} DEFAULT")
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    statements += [compile_ddl(CreateIndex(index), dialect) for index in indexes]
    if table.name in INSERT_ONLY:
        statements += insert_only(table.name, dialect)
    if table.name in NEVER_DELETED:
        statements += never_deleted(table.name, dialect)
    return statements


def never_deleted(table: str, dialect: DialectName) -> list[str]:
    """Triggers that refuse DELETE, whoever asks."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}__no_delete BEFORE DELETE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} keeps its rows'); END"
        ]
    return [
        "CREATE OR REPLACE FUNCTION clew_never_deleted() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '% keeps its rows', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE TRIGGER {table}__no_delete BEFORE DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION clew_never_deleted()",
        f"CREATE TRIGGER {table}__no_truncate BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION clew_never_deleted()",
    ]


def insert_only(table: str, dialect: DialectName) -> list[str]:
    """Triggers that refuse UPDATE and DELETE, whoever asks (a whole month leaves by detaching its partition)."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}__no_{verb.lower()} BEFORE {verb} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        "CREATE OR REPLACE FUNCTION clew_insert_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE TRIGGER {table}__no_change BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION clew_insert_only()",
        f"CREATE TRIGGER {table}__no_truncate BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION clew_insert_only()",
    ]
