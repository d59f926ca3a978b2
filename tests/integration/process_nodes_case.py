"""A small guarded project whose processes are worked on through several servers: people, requests, books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
from tests.integration.write_journey import Plant
from tests.integration.write_journey import plant as small_plant
from tests.unit.process.play import PROJECT

from clew.audit.trail import Trail
from clew.identity import accounts, sessions
from clew.identity.assignments import Asked
from clew.identity.desk import desk
from clew.identity.ports import NOBODY
from clew.identity.secrets import Vault, digest_of
from clew.identity.sessions import Session
from clew.jobs import leases
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.process.jobs import KINDS
from clew.process.state import State
from clew.storage import process_tables, system
from clew.storage.engine import Connection, Database

WORKFLOW = """\
workflow: handling
for: case
owner: boss
starts: [{person: [clerk]}]
steps:
  fill:
    who: clerk
    output: [title]
    must_output: [title]
    within: 8 h
    state: {done: checked}
    effects: {done: [{create: part, with: {code: "number"}}]}
  note: {do: [{set: {serious: "true"}}, {create: part, with: {code: "title"}}]}
  sign: {who: boss, within: 8 h}
"""
ROLES = """\
role: clerk
may:
  case: {read: always, create: always}
  part: {read: always}
---
role: boss
may:
  case: {read: always}
  part: {read: always}
"""
FILES = {**PROJECT, "workflows/w.yaml": WORKFLOW, "permissions/p.yaml": ROLES}
INSTANCE = "process { id status tasks { id step status } }"
CREATE = "mutation($key: String) { createCase(input: {}, idempotencyKey: $key) { case { id } } }"
START = f"mutation($id: ID!, $key: String) {{ startHandling(record: $id, idempotencyKey: $key) {{ {INSTANCE} }} }}"
FILL = (
    "mutation($id: ID!, $title: String, $key: String) "
    f"{{ handlingFill(task: $id, outcome: done, input: {{title: $title}}, idempotencyKey: $key) {{ {INSTANCE} }} }}"
)
SIGN = (
    "mutation($id: ID!, $key: String) "
    f"{{ handlingSign(task: $id, outcome: done, idempotencyKey: $key) {{ {INSTANCE} }} }}"
)
LOOK = "query($id: ID!) { processInstance(id: $id) { id status tasks { id step status } } }"


def project() -> Blueprint:
    loaded = load_sources(FILES)
    assert loaded.blueprint is not None, [f"{each.place} {each.message('en')}" for each in loaded.diagnostics]
    return loaded.blueprint


@dataclass
class House:
    """The installed project; `secrets` are the tokens of its people by login."""

    plant: Plant
    secrets: dict[str, str] = field(default_factory=dict)


async def house(database: Database, people: Mapping[str, str]) -> House:
    """The project with these people, login to role, each with a session."""
    made = House(await small_plant(database, blueprint=project(), furnish=False))
    counter = desk(database, SystemClock(), Trail(), Vault(None))

    async def hire(connection: Connection, at: datetime) -> None:
        context, end = Context(NOBODY, "test"), at + timedelta(days=1)
        for login, role in people.items():
            account = await accounts.create(connection, counter.witness, context, login=login, name=login, at=at)
            await counter.assignments.assign(connection, context, Asked(account.id, role, at), at)
            made.secrets[login] = f"secret-of-{login}"
            digest = digest_of(made.secrets[login])
            await sessions.put(connection, Session(digest, account.id, "token", account.epoch + 1, at, at, end, end))

    await counter.within(hire)
    return made


class Refused(Exception):
    """The API said no."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def ask(client: httpx2.AsyncClient, address: str, secret: str, query: str, **variables: Any) -> Any:
    """One request; its data. Raises Refused, and what the client raises when the server is gone."""
    headers = {"authorization": f"Bearer {secret}"}
    body = {"query": query, "variables": variables}
    answer = await client.post(f"{address}/graphql", json=body, headers=headers)
    found = answer.json()
    if "errors" in found:
        raise Refused(str(found["errors"][0].get("extensions", {}).get("code")))
    return found["data"]


# ── the books ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def half_done(made: Plant) -> list[str]:
    """Everything in which the tables of an instance disagree; nothing when each step is there as a whole or not at all.

    Of every command: state, tasks, candidates, clocks, timeline, leaf; of the work of this project: its parts."""
    tasks = _by_process(await made.rows(process_tables.task))
    clocks = _by_process(await made.rows(process_tables.process_timer))
    lines = _by_process(await made.rows(process_tables.process_log))
    offers: dict[UUID, set[str]] = {}
    for each in await made.rows(process_tables.task_candidate):
        offers.setdefault(each["task"], set()).add(str(each["person"]))
    told = Counter((each["record_id"], each["action"]) for each in await made.rows(system.leaf))
    parts = Counter(each["code"] for each in (await made.current("part")).values())
    cases = await made.current("case")
    found: list[str] = []
    for row in await made.rows(process_tables.process):
        name, state = f"instance {row['id']}", State.from_json(row["state"])
        if (row["status"], row["outcome"]) != (state.status, state.outcome):
            found.append(f"{name}: {row['status']} is {state.status} in its state")
        stored = {each["number"]: each for each in tasks.get(row["id"], [])}
        kept = {number: each.status for number, each in state.tasks.items()}
        # The state carries what is open, and no more of the past than it needs.
        settled = {number for number, each in stored.items() if each["status"] in ("done", "closed")}
        if {
            number: each["status"] for number, each in stored.items() if number in kept or number not in settled
        } != kept:
            found.append(f"{name}: its tasks differ from its state")
        for number, task in state.tasks.items():
            asked = set(task.candidates) if task.status in ("open", "held") else set()
            if offers.get(stored[number]["id"], set()) != asked:
                found.append(f"{name}: task {number} is offered to others than its state says")
        if {each["number"] for each in clocks.get(row["id"], [])} != set(state.timers):
            found.append(f"{name}: its clocks differ from its state")
        decided = [each for each in lines.get(row["id"], []) if each["what"] == "decide"]
        done = [each for each in stored.values() if each["status"] == "done"]
        known = {each.step for each in (*state.done, *state.tokens.values())}
        if not {each["step"] for each in done} <= known:
            found.append(f"{name}: its state has forgotten a step")
        if not len(decided) == len(done) == told[row["id"], "process:act"]:
            found.append(f"{name}: {len(done)} done, {len(decided)} lines, {told[row['id'], 'process:act']} leaves")
        if told[row["id"], "process:start"] != 1:
            found.append(f"{name}: not started once")
        case, steps = cases[row["record_id"]], {each.step for each in state.done}
        if (case["state"] == "checked") != ("fill" in steps) or parts[case["number"]] != ("fill" in steps):
            found.append(f"{name}: what its first step writes is not there once")
        if case["serious"] != ("note" in steps) or (case["title"] and parts[case["title"]] != ("note" in steps)):
            found.append(f"{name}: what its automatic step writes is not there once")
    return found


def _by_process(rows: Sequence[dict[str, Any]]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {}
    for each in rows:
        found.setdefault(each["process"], []).append(each)
    return found


async def due_jobs(made: Plant, since: timedelta = timedelta()) -> int:
    """How many jobs of processes wait although their time has come, as long as this ago."""
    async with made.database.read() as connection:
        at = await connection.now()
        return len([each for each in await leases.upcoming(connection, KINDS, 1000) if at - each.run_at >= since])


def client() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=200, max_keepalive_connections=100)
    return httpx2.AsyncClient(timeout=60, limits=limits, trust_env=False)
