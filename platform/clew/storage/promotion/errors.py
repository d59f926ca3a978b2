"""Why a database, a bundle or a change was refused on the way to production."""

from __future__ import annotations

from clew.kernel.errors import BadInput, Conflict, Forbidden


class EnvironmentMismatch(Conflict):
    """The settings expect another environment than the database is."""

    code = "ENVIRONMENT_MISMATCH"
    en = "The settings expect {expected}, but this database is {found}."
    zh = "设置要求环境为 {expected},而该数据库为 {found}。"
    hint_en = "Check CLEW_DATABASE_URL and CLEW_ENVIRONMENT: one of them is not what you meant."
    hint_zh = "请检查 CLEW_DATABASE_URL 与 CLEW_ENVIRONMENT:其中之一不是您想要的。"


class EnvironmentFinal(Conflict):
    """A database never becomes less strict than it was."""

    code = "ENVIRONMENT_FINAL"
    en = "This database is {found} and does not become {wanted}."
    zh = "该数据库为 {found},不能改为 {wanted}。"
    hint_en = "Environments only become stricter: development, test, production. Begin another database."
    hint_zh = "环境只能变严:development、test、production。请另建数据库。"


class ProductionRefuses(Forbidden):
    """Something that is for development and test was tried on a production database."""

    code = "PRODUCTION_REFUSES"
    en = "This database is production: {command} does not work here."
    zh = "该数据库为生产环境,不允许 {command}。"
    hint_en = "A release comes here by: clew release promote"
    hint_zh = "发布须通过 clew release promote 进入生产环境"


class NotPromoted(Forbidden):
    """Production takes a plan only with the signed bundle of its release."""

    code = "NOT_PROMOTED"
    en = "Production does not take this release: {reasons}"
    zh = "生产环境不接受该发布:{reasons}"
    hint_en = "clew release export, plan, sign (author), sign (approver), promote"
    hint_zh = "依次执行 clew release export、plan、sign(编制)、sign(批准)、promote"


class BundleUnreadable(BadInput):
    """The file is not a release bundle of this platform."""

    code = "BUNDLE_UNREADABLE"
    en, zh = "{file} is not a release bundle that can be read: {what}", "{file} 不是可读取的发布包:{what}"
    hint_en, hint_zh = (
        "Make one: clew release export --out release.json",
        "请先生成:clew release export --out release.json",
    )


class KeyUnreadable(BadInput):
    """A key file holds no Ed25519 key."""

    code = "KEY_UNREADABLE"
    en, zh = "{file} holds no Ed25519 key: {what}", "{file} 中没有 Ed25519 密钥:{what}"
    hint_en, hint_zh = "Make one: clew release key release.key", "请先生成:clew release key release.key"


class SameSigner(Conflict):
    """Author and approver of a release are two people."""

    code = "SAME_SIGNER"
    en = "{name} has signed this bundle already; author and approver are two people."
    zh = "{name} 已签署过该发布包;编制人与批准人必须是两个人。"
