"""The members of the types that processes are answered in, by type."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLList

from clew.api import scalars
from clew.api.build import Build, required


def members_of_types(build: Build) -> dict[str, dict[str, Any]]:
    text, identity, moment = scalars.TEXT.type, scalars.ID.type, scalars.DATE_TIME.type
    needed = required(text)
    return {
        "ProcessTask": {
            "id": required(identity), "process": required(identity), "workflow": needed, "step": needed,
            "label": needed, "round": required(scalars.INT.type), "kind": needed, "post": text, "status": needed,
            "assignee": identity, "behalf": identity, "actor": identity, "outcome": text, "comment": text,
            "outcomes": required(GraphQLList(needed)), "sign": text, "fields": required(GraphQLList(needed)),
            "entity": needed, "recordId": required(identity), "openedAt": required(moment), "dueAt": moment,
            "doneAt": moment, "form": scalars.JSON.type, "phrases": required(GraphQLList(needed)),
        },
        "ProcessIncident": {"id": required(scalars.INT.type), "kind": needed, "detail": needed, "at": needed},
        "ProcessTimelineEntry": {
            "at": required(moment), "what": needed, "step": text, "actor": identity, "actorName": text,
            "behalf": identity, "behalfName": text, "outcome": text, "comment": text, "files": "ProcessFile",
            "mentions": required(GraphQLList(needed)),
        },
        "ProcessRecord": {"entity": needed, "recordId": required(identity)},
        "ProcessFile": {"name": needed, "sha256": needed},
        "ProcessInstance": {
            "id": required(identity), "workflow": needed, "label": needed, "status": needed, "outcome": text,
            "entity": needed, "recordId": required(identity), "threadId": identity, "starter": required(identity),
            "startedAt": required(moment), "at": required(GraphQLList(needed)), "tasks": "ProcessTask",
            "records": "ProcessRecord", "incidents": "ProcessIncident", "timeline": "ProcessTimelineEntry",
        },
        "ProcessCommandPayload": {"process": "!ProcessInstance", "replayed": required(scalars.BOOLEAN.type)},
        "ProcessActor": {
            "process": required(identity), "workflow": needed, "entity": needed, "recordId": required(identity),
            "step": needed, "label": needed, "post": text, "sign": text, "people": required(GraphQLList(needed)),
            "dueAt": moment, "incident": text,
        },
        "BlockedTransition": {
            "transition": needed, "label": needed, "to": needed, "ready": required(scalars.BOOLEAN.type),
            "mayDo": required(scalars.BOOLEAN.type), "roles": required(GraphQLList(needed)),
            "people": required(GraphQLList(needed)), "say": text, "blockers": "Blocker", "actions": "UnblockingAction",
            "possible": required(scalars.BOOLEAN.type), "exact": required(scalars.BOOLEAN.type),
        },
        "Blocker": {
            "kind": needed, "text": needed, "field": text, "workflow": text, "step": text, "process": identity,
            "incident": text, "dueAt": moment, "people": required(GraphQLList(needed)),
            "roles": required(GraphQLList(needed)), "records": "BlockingRecord",
        },
        "BlockingRecord": {"entity": needed, "id": required(identity), "title": needed, "state": text},
        "UnblockingAction": {
            "kind": needed, "text": needed, "entity": needed, "recordId": identity, "field": text, "transition": text,
            "workflow": text, "step": text, "meaning": text, "roles": required(GraphQLList(needed)),
            "people": required(GraphQLList(needed)),
        },
        "MyTasksConnection": {
            "edges": "MyTasksEdge", "nodes": "ProcessTask", "pageInfo": "!PageInfo",
            "totalCount": required(scalars.INT.type),
        },
        "MyTasksEdge": {"cursor": required(scalars.CURSOR.type), "node": "!ProcessTask"},
        "MyWork": {"tasks": "ProcessTask", "notices": "ProcessNotice"},
        "ProcessNotice": {
            "id": required(identity), "process": required(identity), "about": needed, "step": text,
            "share": required(scalars.INT.type), "text": text, "at": required(moment), "readAt": moment,
        },
    }  # fmt: skip
