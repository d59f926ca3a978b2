"""What refuses a signature, each with its code. All of them mean: nothing was signed and nothing was written."""

from __future__ import annotations

from clew.kernel.errors import BadInput, Conflict, Forbidden


class NotASigner(Forbidden):
    """21 CFR 11.100: who signs is one person, whose identity was verified and who stated to be bound by it."""

    code = "NOT_A_SIGNER"
    en = "You may not sign ({meaning}): {why}."
    zh = "您不能签名({meaning}):{why}。"
    hint_en = "See docs/signatures.md for what a signer needs."
    hint_zh = "签名人须具备的条件见 docs/signatures.zh.md。"


class ComponentsMissing(Forbidden):
    """21 CFR 11.200(a)(1): the first signing of a session takes all components, a later one at least a personal one."""

    code = "SIGNATURE_COMPONENTS"
    en = "This signature needs {needed}; {given} was proven."
    zh = "本次签名需要{needed};已验证:{given}。"
    hint_en = "Give your login and a secret of yours; within ten minutes of your last signature the secret is enough."
    hint_zh = "请提供登录账号和个人密码(或 PIN、动态口令);距上次签名十分钟内只需个人密码。"


class NotWhatWasShown(Conflict):
    """What is about to be signed is not what the signer had in view."""

    code = "NOT_WHAT_WAS_SHOWN"
    en = "The {what} is not what was shown to you for signing: {which} differs."
    zh = "该{what}与签名时向您展示的内容不一致:{which}不同。"
    hint_en, hint_zh = "Read it again, look at it, then sign.", "请重新读取并查看后再签名。"


class AlreadySigned(Conflict):
    """One person counts once (several signers of one step must be several people)."""

    code = "ALREADY_SIGNED"
    en = "You have already signed this {what} as it is ({meaning})."
    zh = "您已对该{what}的当前内容签过名({meaning})。"


class RecordAltered(Conflict):
    """The present rows and the history differ: somebody changed the database by other means."""

    code = "RECORD_ALTERED"
    en = "The stored {what} does not agree with its own history and cannot be signed."
    zh = "该{what}的现有数据与其历史不一致,不能签名。"
    hint_en, hint_zh = "Tell whoever runs the platform: clew audit verify", "请通知平台运维人员运行:clew audit verify"


class SecretInDocument(BadInput):
    """Secrets in the text of a document would be kept with it."""

    code = "SECRET_IN_DOCUMENT"
    en = "{field} is a secret: give it as a variable, not in the document's text."
    zh = "{field} 是机密信息:请以变量传入,不要写在查询文本中。"
