"""Tables of processes: what runs, who is asked, when time is up, what happened."""

from __future__ import annotations

import sqlalchemy as sa

from clew.storage.system_metadata import metadata
from clew.storage.types import Id, Instant, Integer, Json, Text, Truth

process_definition = sa.Table(
    "clew_process_definition",
    metadata,
    sa.Column("digest", Text(), primary_key=True),
    sa.Column("workflow", Text(), nullable=False),
    sa.Column("file", Text(), nullable=False),
    sa.Column("source", Text(), nullable=False),
    sa.Column("release", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
)
process = sa.Table(
    "clew_process",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("workflow", Text(), nullable=False),
    sa.Column("definition", Text(), nullable=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("thread_id", Id()),
    sa.Column("site", Id()),
    sa.Column("status", Text(), nullable=False),  # running | suspended | ended | cancelled
    sa.Column("outcome", Text(), nullable=False),
    sa.Column("starter", Id(), nullable=False),
    sa.Column("state", Json(), nullable=False),
    sa.Column("version", Integer(), nullable=False),
    sa.Column("parent", Id()),
    sa.Column("parent_token", Integer()),
    sa.Column("started_at", Instant(), nullable=False),
    sa.Column("changed_at", Instant(), nullable=False),
    sa.Column("ended_at", Instant()),
    sa.Index("ix_clew_process__record", "record_id", "workflow"),
    sa.Index("ix_clew_process__status", "status", "workflow"),
    sa.Index("ix_clew_process__starter", "starter", "started_at"),
    sa.Index("ix_clew_process__thread", "thread_id"),
    sa.Index(
        "ux_clew_process__live",
        "record_id",
        "workflow",
        unique=True,
        sqlite_where=sa.text("status IN ('running', 'suspended')"),
        postgresql_where=sa.text("status IN ('running', 'suspended')"),
    ),
    postgresql_with={"fillfactor": 70},  # each step changes it where no index looks: beside the row as it was
)
task = sa.Table(
    "clew_task",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("process", Id(), nullable=False),
    sa.Column("number", Integer(), nullable=False),
    sa.Column("workflow", Text(), nullable=False),
    sa.Column("step", Text(), nullable=False),
    sa.Column("round", Integer(), nullable=False),
    sa.Column("kind", Text(), nullable=False),  # task | vote | added | copy
    sa.Column("post", Text(), nullable=False),
    sa.Column("status", Text(), nullable=False),  # open | held | done | closed
    sa.Column("assignee", Id()),
    sa.Column("behalf", Id()),
    sa.Column("actor", Id()),
    sa.Column("outcome", Text(), nullable=False),
    sa.Column("comment", Text(), nullable=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("site", Id()),
    sa.Column("opened_at", Instant(), nullable=False),
    sa.Column("due_at", Instant()),
    sa.Column("done_at", Instant()),
    sa.Index("ux_clew_task__number", "process", "number", unique=True),
    sa.Index("ix_clew_task__record", "record_id"),
    # None on what changes when a task is done: its row is changed in place, and units that do tasks of the same age
    # do not meet over pages of the indexes. Open tasks are found by whom they ask or by their live instance.
    postgresql_with={"fillfactor": 70},
)
task_candidate = sa.Table(
    "clew_task_candidate",
    metadata,
    sa.Column("person", Id(), primary_key=True),
    sa.Column("task", Id(), primary_key=True),
    sa.Index("ix_clew_task_candidate__task", "task"),
)
"""Who may take an open task. Rows go when the task does."""
process_timer = sa.Table(
    "clew_process_timer",
    metadata,
    sa.Column("process", Id(), primary_key=True),
    sa.Column("number", Integer(), primary_key=True, autoincrement=False),
    sa.Column("token", Integer(), nullable=False),
    sa.Column("share", Integer(), nullable=False),
    sa.Column("budget", Integer(), nullable=False),  # microseconds, working or plain
    sa.Column("working", Truth(), nullable=False),
    sa.Column("used", Integer(), nullable=False),
    sa.Column("since", Instant()),  # null while it stands still
    sa.Column("calendar", Text(), nullable=False),
    sa.Column("due_at", Instant()),
    sa.Column("trouble", Text(), nullable=False),
)
process_wait = sa.Table(
    "clew_process_wait",
    metadata,
    sa.Column("process", Id(), primary_key=True),
    sa.Column("token", Integer(), primary_key=True, autoincrement=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("verb", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Index("ix_clew_process_wait__event", "record_id", "entity", "verb"),
)
process_unasked = sa.Table(
    "clew_process_unasked",
    metadata,
    sa.Column("process", Id(), primary_key=True),
    sa.Column("token", Integer(), primary_key=True, autoincrement=False),
    sa.Column("workflow", Text(), nullable=False),
    sa.Column("step", Text(), nullable=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("site", Id()),
)
"""The steps at which an incident stands because nobody was found to ask. Few: each waits for somebody."""
process_log = sa.Table(
    "clew_process_log",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("process", Id(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("actor", Id()),
    sa.Column("behalf", Id()),
    sa.Column("what", Text(), nullable=False),
    sa.Column("step", Text(), nullable=False),
    sa.Column("task", Integer()),
    sa.Column("outcome", Text(), nullable=False),
    sa.Column("comment", Text(), nullable=False),
    sa.Index("ix_clew_process_log__process", "process", "at"),
)
process_record = sa.Table(
    "clew_process_record",
    metadata,
    sa.Column("process", Id(), primary_key=True),
    sa.Column("record_id", Id(), primary_key=True),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),  # first written
    sa.Index("ix_clew_process_record__record", "record_id"),
)
"""What an instance has written beside the record it is about."""
process_comment = sa.Table(
    "clew_process_comment",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("process", Id(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("actor", Id(), nullable=False),
    sa.Column("text", Text(), nullable=False),
    sa.Column("files", Json(), nullable=False),
    sa.Column("mentions", Json(), nullable=False),
    sa.Index("ix_clew_process_comment__process", "process", "at"),
)
personal_phrase = sa.Table(
    "clew_personal_phrase",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("person", Id(), nullable=False),
    sa.Column("text", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Index("ux_clew_personal_phrase__text", "person", "text", unique=True),
)
"""Somebody's own words for comments: a convenience of theirs, no record."""
notice = sa.Table(
    "clew_notice",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("person", Id(), nullable=False),
    sa.Column("process", Id(), nullable=False),
    sa.Column("task", Integer()),
    sa.Column("about", Text(), nullable=False),
    sa.Column("step", Text(), nullable=False),
    sa.Column("share", Integer(), nullable=False),
    sa.Column("zh", Text(), nullable=False),
    sa.Column("en", Text(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("read_at", Instant()),
    sa.Index("ix_clew_notice__person", "person", "read_at", "at"),
)
standing_alert = sa.Table(
    "clew_standing_alert",
    metadata,
    sa.Column("id", Id(), primary_key=True),
    sa.Column("alert", Text(), nullable=False),
    sa.Column("severity", Text(), nullable=False),
    sa.Column("entity", Text(), nullable=False),
    sa.Column("record_id", Id(), nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("release", Text(), nullable=False),
    sa.Column("ceased_at", Instant()),  # null while it stands
    sa.Column("acknowledged_at", Instant()),
    sa.Column("acknowledged_by", Id()),
    sa.Column("comment", Text(), nullable=False),
    sa.Column("told", Text()),  # addressees | steward | administrators | nobody; null: of an earlier version
    sa.Index("ix_clew_standing_alert__at", "at"),
    sa.Index(
        "ux_clew_standing_alert__stands",
        "record_id",
        "alert",
        unique=True,
        sqlite_where=sa.text("ceased_at IS NULL"),
        postgresql_where=sa.text("ceased_at IS NULL"),
    ),
)
"""Alerts that were raised. One stands for a record at a time: so many workers raise it once."""
calendar_start = sa.Table(
    "clew_calendar_start",
    metadata,
    sa.Column("workflow", Text(), primary_key=True),
    sa.Column("start", Integer(), primary_key=True, autoincrement=False),
    sa.Column("day", Text(), primary_key=True),  # ISO date it must be done by; or what "" and "looked" say
    sa.Column("record_id", Id(), primary_key=True),
    sa.Column("at", Instant(), nullable=False),
)
"""What the calendar has started: one row for each period and record, so that many workers start it once."""
calendar_publication = sa.Table(
    "clew_calendar_publication",
    metadata,
    sa.Column("release", Integer(), primary_key=True, autoincrement=False),
    sa.Column("at", Instant(), nullable=False),
)
"""Releases whose calendars have reached the clocks of processes: written with the jobs that count them anew."""
