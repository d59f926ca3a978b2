"""Which groups of the identity provider give which roles, as the settings say, and what they say wrongly.

Roles that decide about the access of others are never given by groups: whoever keeps the groups would then be two
people here.
"""

from __future__ import annotations

from collections.abc import Iterator

from clew.identity.errors import SingleSignOnFailed
from clew.identity.ports import RoleBook
from clew.identity.sso import Provider
from clew.kernel.diagnostics import nearest
from clew.kernel.text import Bilingual
from clew.settings import Settings


def provider_of(settings: Settings) -> Provider:
    """The provider as the settings describe it. Raises SingleSignOnFailed for a mapping that cannot be read."""
    pairs = []
    for each in settings.oidc_roles:
        pair = _pair(each)
        if pair is None:
            raise SingleSignOnFailed(what=_unreadable(each))
        pairs.append(pair)
    return Provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        settings.oidc_login_claim,
        settings.oidc_roles_claim,
        tuple(pairs),
    )


def misspelt(settings: Settings, roles: RoleBook) -> Iterator[Bilingual]:
    """What of the mapping gives nobody anything, each in a sentence."""
    for each in settings.oidc_roles:
        pair = _pair(each)
        if pair is None:
            yield _unreadable(each)
            continue
        role = pair[1]
        if not roles.knows(role):
            near = nearest(role, roles.names())
            yield Bilingual(
                f"没有角色 {role}。" + (f"是否想写 {near}?" if near else ""),
                f"there is no role {role}." + (f" Did you mean {near}?" if near else ""),
            )
        elif roles.given_to(role) not in ("", "person"):
            yield Bilingual(f"角色 {role} 不授予自然人。", f"the role {role} is not for people.")
        elif role in roles.deciding():
            yield Bilingual(
                f"角色 {role} 决定他人的访问权限,不能由用户组授予。",
                f"the role {role} decides about the access of others, so groups do not give it.",
            )


def _pair(given: str) -> tuple[str, str] | None:
    group, sign, role = given.partition("=")
    return (group.strip(), role.strip()) if sign and group.strip() and role.strip() else None


def _unreadable(given: str) -> Bilingual:
    return Bilingual(f"oidc_roles 写法有误:{given}", f"oidc_roles cannot be read: {given}")
