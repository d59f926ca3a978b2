"""Feature: the signatures of a record, what there is to sign, and the input that signs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLInputObjectType, GraphQLInt, GraphQLList, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.planner import Planner, Selected
from clew.metadata.blueprint import Entity
from clew.records.query import plan as p
from clew.records.signing.proven import PERSONAL

ANSWERED = frozenset({"verified", "problems", "erasedAt", "digest"})
"""Members whose answer is put into the text afterwards."""


@dataclass(frozen=True, slots=True)
class SignaturesSpec:
    """The signatures of the record."""

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        items = tuple(_item(planner, each, selected) for each in planner.children(selected))
        size = planner.size(selected) or p.Const(planner.paging.default)
        after = planner.given(selected, "after")
        return p.Signatures(selected.key, items, size, after if isinstance(after, p.Const | p.Slot) else None)


@dataclass(frozen=True, slots=True)
class SignableSpec:
    """What a signer is shown, to be given back with the signature."""

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        return p.Signable(selected.key, tuple(_item(planner, each, selected) for each in planner.children(selected)))


def _item(planner: Planner, selected: Selected, parent: Selected) -> p.VersionItem:
    if selected.name == "__typename":
        return p.VersionItem(selected.key, "text", text=parent.type.name)
    planner.incomplete = planner.incomplete or selected.name in ANSWERED
    members = tuple(_item(planner, each, selected) for each in planner.children(selected))
    return p.VersionItem(selected.key, selected.name, members=members)


def takes_signatures(entity: Entity) -> bool:
    """Whether records of this entity are signed by transitions; processes sign over records with states too."""
    return bool(entity.states) and entity.part_of is None


def record_fields(build: Build, entity: Entity) -> dict[str, GraphQLField]:
    """The fields that show signatures on an entity's records."""
    if not takes_signatures(entity):
        return {}
    arguments = {"first": GraphQLArgument(GraphQLInt), "after": GraphQLArgument(scalars.ID.type)}
    return {
        "signatures": build.field(
            required(build.type("SignatureConnection")),
            SignaturesSpec(),
            build.say("电子签名,按时间先后", "Electronic signatures, oldest first"),
            arguments,
        ),
        "signable": build.field(
            required(build.type("Signable")),
            SignableSpec(),
            build.say("签名时须一并提交的内容摘要", "What a signature must name: the version and content shown"),
        ),
    }


class SignatureTypes:
    """`Signature`, `SignatureConnection`, `Signable`, `SignatureInput`."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        yield "Signature", lambda: GraphQLObjectType("Signature", _signature(build))
        yield "SignatureEdge", lambda: GraphQLObjectType("SignatureEdge", _edge(build))
        yield "SignatureConnection", lambda: GraphQLObjectType("SignatureConnection", lambda: _connection(build))
        yield "Signable", lambda: GraphQLObjectType("Signable", _signable(build))
        yield "SignatureInput", lambda: _input(build)


def _signature(build: Build) -> dict[str, GraphQLField]:
    text, identity, truth = scalars.TEXT.type, scalars.ID.type, required(scalars.BOOLEAN.type)
    texts = GraphQLList(required(text))
    members: dict[str, tuple[Any, str, str]] = {
        "id": (required(identity), "签名编号", "Its id"),
        "meaning": (required(text), "签名含义", "What it means: approval, release, review …"),
        "action": (required(text), "所签动作", "What was done with it: transition:release, step:board"),
        "printedName": (required(text), "签名人姓名", "The signer's printed name"),
        "role": (required(text), "签名时的角色", "The role it was given in"),
        "signer": (required(identity), "签名账号", "The signer's account"),
        "employee": (identity, "签名人员", "The signer as a person of the group"),
        "signedAt": (required(scalars.DATE_TIME.type), "签名时间(UTC)", "When, in UTC"),
        "localTime": (required(text), "签名人当地时间", "When, on the signer's clock"),
        "timeZone": (required(text), "签名人时区", "The signer's time zone"),
        "components": (required(texts), "所用身份要素", "The components that proved who it was"),
        "reason": (text, "原因", "The reason given"),
        "validFor": (required(scalars.INT.type), "所签版本", "The version it was given for"),
        "current": (truth, "是否针对当前版本", "Whether that is the version shown here"),
        "verified": (truth, "与所存内容一致", "Whether it still agrees with everything that is stored"),
        "problems": (required(texts), "不一致之处", "What it does not agree with"),
        "erasedAt": (
            scalars.DATE_TIME.type,
            "所签个人信息此后依程序清除的时间(签名仍然有效)",
            "When personal values it was given over were erased since; it holds all the same",
        ),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}


def _edge(build: Build) -> dict[str, GraphQLField]:
    return {
        "cursor": build.field(required(scalars.ID.type), None),
        "node": build.field(required(build.type("Signature")), None),
    }


def _connection(build: Build) -> dict[str, GraphQLField]:
    return {
        "edges": build.field(required(GraphQLList(required(build.type("SignatureEdge")))), None),
        "nodes": build.field(required(GraphQLList(required(build.type("Signature")))), None),
        "pageInfo": build.field(required(build.type("PageInfo")), None),
        "totalCount": build.field(required(scalars.INT.type), None),
    }


def _signable(build: Build) -> dict[str, GraphQLField]:
    digest = build.say("所见内容的摘要", "Digest of the content as shown")
    return {
        "digest": build.field(required(scalars.TEXT.type), None, digest),
        "rowVersion": build.field(required(scalars.INT.type), None),
    }


def _input(build: Build) -> GraphQLInputObjectType:
    text = scalars.TEXT.type
    secrets = {
        "password": build.say("登录密码", "Password"),
        "pin": build.say("签名 PIN(单点登录用户)", "Signing PIN, for those who sign in elsewhere"),
        "totp": build.say("动态口令", "One-time code"),
        "sso": build.say(
            "刚在身份提供方重新登录(/login/oidc/sign)时填 fresh", "fresh, after signing on again at /login/oidc/sign"
        ),
    }
    fields = {
        "digest": build.input(
            required(text), None, build.say("signable.digest 的值", "What signable.digest said when it was shown")
        ),
        "meaning": build.input(required(text), None, build.say("向签名人展示的签名含义", "The meaning that was shown")),
        "login": build.input(text, None, build.say("登录账号", "The signer's login")),
        **{name: build.input(text, None, secrets[name]) for name in PERSONAL},
    }
    description = build.say(
        "电子签名:会话内首次签名须提供登录账号与个人密码,十分钟内再次签名只需个人密码。机密只能以变量传入。",
        "An electronic signature: login and a secret for the first of a session, a secret within ten minutes of the "
        "last. Secrets come as variables only.",
    )
    return GraphQLInputObjectType("SignatureInput", fields, description=description)
