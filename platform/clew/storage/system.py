"""The platform's own tables, the same on both engines. Leaves are insert-only; history, leaves and outbox are
partitioned by month on PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa

from clew.storage.identity_tables import (
    account,
    assignment,
    break_glass,
    confirmation,
    credential,
    handover,
    review,
    review_item,
    review_reminder,
    token,
    token_request,
)
from clew.storage.process_tables import (
    process,
    process_comment,
    process_definition,
    process_log,
    process_record,
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
spent_key = sa.Table(
    "clew_spent_key",  # of clew_idempotency, once their answers have been let go
    metadata,
    sa.Column("person", Id(), primary_key=True),
    sa.Column("key", Text(), primary_key=True),
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
upload = sa.Table(
    "clew_upload",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("account", Id(), nullable=False),
    sa.Column("sha256", Text()),  # null while it is under way
    sa.Column("size", Integer(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Index("ix_clew_upload__at", "at"),
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
    process_record.name,
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
