"""Tables of people: who may sign in and how they prove it, what they were given, and who attested to it."""

from __future__ import annotations

import sqlalchemy as sa

from clew.storage.system_metadata import metadata
from clew.storage.types import Id, Instant, Integer, Json, Text, Truth

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
    sa.Column("pin_at", Instant()),
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
