"""What can be wrong with the trail's keys, anchors and outside places, in words."""

from __future__ import annotations

from clew.kernel.errors import BadInput, ClewError, Conflict, Unavailable


class AuditKeyMissing(Unavailable):
    """There is no key to sign anchors with."""

    code = "AUDIT_KEY_MISSING"
    en, zh = "There is no key to sign anchors with: {file}", "没有可用于签署锚点的密钥:{file}"
    hint_en = "Make one (clew audit key new --out FILE) and name it in the setting audit_key"
    hint_zh = "请生成密钥(clew audit key new --out 文件),并在设置项 audit_key 中指定"


class AuditKeyUnreadable(BadInput):
    """The key is not an Ed25519 private key in PEM form."""

    code = "AUDIT_KEY_UNREADABLE"
    en = "The audit key is not an unencrypted Ed25519 private key in PEM form."
    zh = "审计密钥不是未加密的 PEM 格式 Ed25519 私钥。"


class AuditKeyUnknown(Conflict):
    """The configured key is not the one the log names as its own."""

    code = "AUDIT_KEY_UNKNOWN"
    en = "The log is signed with key {expected}; the configured key is {found}. Nothing is signed with it."
    zh = "日志的签署密钥为 {expected},而当前配置的密钥为 {found},未使用其签署。"
    hint_en = "Change keys with: clew audit key rotate --old FILE --new FILE"
    hint_zh = "更换密钥请用:clew audit key rotate --old 文件 --new 文件"


class LogNotContinued(ClewError):
    """The log in the database is not a continuation of one that was signed before."""

    code, status = "AUDIT_LOG_BROKEN", 500
    en = "The log does not continue the anchor of {size} entries ({place}): {what}. Nothing is signed."
    zh = "日志未能延续 {size} 条的锚点({place}):{what}。未签署任何锚点。"
    hint_en, hint_zh = "Find the place: clew audit verify", "定位问题:clew audit verify"


class CheckpointUndelivered(Unavailable):
    """Anchors have not left the database for too long, and the settings then refuse writes."""

    code = "CHECKPOINT_UNDELIVERED"
    en = "Anchors of the trail have not reached {place} since {since}, so nothing is written."
    zh = "审计轨迹锚点自 {since} 起未能送达 {place},已停止写入。"
    hint_en, hint_zh = "See why: clew doctor", "查看原因:clew doctor"


class NotACheckpoint(BadInput):
    """A text is not an anchor note."""

    code = "NOT_A_CHECKPOINT"
    en, zh = "{what} is not an anchor of a log.", "{what} 不是日志锚点。"


class NothingSealed(Conflict):
    """There is no anchor to prove anything against."""

    code = "NOTHING_SEALED"
    en, zh = "There is no signed anchor yet to prove evidence against.", "尚无已签署的锚点,无法为证据提供证明。"
    hint_en, hint_zh = "Sign one: clew audit checkpoint", "请先签署:clew audit checkpoint"


class NotErasable(Conflict):
    """A required personal field that is no text has nothing it could be replaced by."""

    code = "NOT_ERASABLE"
    en = "{field} ({name}) is required and no text, so it cannot be emptied."
    zh = "{field}({name})为必填且非文本字段,无法清空。"
    hint_en, hint_zh = "Make the field optional, then erase", "请将该字段改为非必填后再执行"


class OnLegalHold(Conflict):
    """A legal hold keeps the record whatever its period."""

    code = "ON_LEGAL_HOLD"
    en, zh = "This {what} ({id}) is on legal hold.", "该{what}({id})处于法律保全中。"
    hint_en, hint_zh = "Lift the hold first, with a reason", "请先说明原因并解除保全"


class RetentionRunning(Conflict):
    """The record must be kept as it is for longer."""

    code = "RETENTION_RUNNING"
    en = "This {what} must be kept until {until}: {basis}"
    zh = "该{what}须保存至 {until}:{basis}"
    hint_en = "If the law allows it earlier, say --before-due and why"
    hint_zh = "如法律允许提前删除,请加 --before-due 并说明原因"
