"""What the write path refuses, each with its code. All of them mean: nothing was written."""

from __future__ import annotations

from clew.kernel.errors import BadInput, ClewError, Conflict, Forbidden


class UnknownInput(BadInput):
    """An input key that is not a writable field: misspelt, computed, envelope or hidden (threat 20)."""

    code = "UNKNOWN_FIELD"
    en = "{field} cannot be given here.{nearest}"
    zh = "此处不能填写 {field}。{nearest}"


class WrongType(BadInput):
    code = "VALUE_TYPE"
    en = "{field} must be {expected}."
    zh = "{field}必须是{expected}。"


class BadText(BadInput):
    code = "VALUE_TEXT"
    en = "{field}: {why}."
    zh = "{field}:{why}。"


class OutOfBounds(BadInput):
    code = "VALUE_BOUNDS"
    en = "{field} must be {bound}."
    zh = "{field}必须{bound}。"


class BadPattern(BadInput):
    code = "VALUE_PATTERN"
    en = "{field} does not have the form {pattern}."
    zh = "{field}不符合格式 {pattern}。"


class UnknownCode(BadInput):
    code = "UNKNOWN_CODE"
    en = "{value} is not a value of {field} today.{nearest}"
    zh = "{value} 目前不是{field}的可用值。{nearest}"


class BadJson(BadInput):
    code = "VALUE_JSON"
    en = "{field} does not fit its schema at {where}: {why}"
    zh = "{field}在 {where} 处不符合其结构定义:{why}"


class Missing(BadInput):
    code = "REQUIRED"
    en = "{field} is required."
    zh = "{field}必填。"


class SeparationOfDuties(Forbidden):
    """The same person has performed another duty about the same record, or somebody they stand in for has."""

    code = "SEPARATION_OF_DUTIES"
    en = "{separation}: {earlier} was done by you, or for you, at {at}; {duty} of the same {subject} is not yours."
    zh = "{separation}:您或您所代表的人已于 {at} 对同一{subject}履行“{earlier}”,“{duty}”须由他人履行。"
    hint_en, hint_zh = "Let a colleague do it.", "请由其他同事办理。"


class Unchangeable(BadInput):
    code = "IMMUTABLE"
    en = "{field} is set once and cannot be changed."
    zh = "{field}一经填写不可更改。"


class KeptInList(Conflict):
    """A list from which nothing is taken out while its `keep_when` holds."""

    code = "KEPT_IN_LIST"
    en = "What is in {field} stays there now; it can only be added to."
    zh = "{field}现在只能增加,已有的不能移除或更改。"
    hint_en = "Add what is missing. What was wrong is put right by the process that this record is in."
    hint_zh = "请补充缺少的内容;有误的请通过该记录所处的流程纠正。"


class BadReference(BadInput):
    """The referenced record does not exist, is voided, may not be seen, or does not satisfy `where`: one answer."""

    code = "REFERENCE"
    en = "{field} does not name a usable {target}."
    zh = "{field}未指向可用的{target}。"


class ReasonRequired(BadInput):
    code = "REASON_REQUIRED"
    en = "This change needs a reason ({why})."
    zh = "此变更必须填写原因({why})。"


class RuleBroken(BadInput):
    code = "RULE"
    en = "{say}"
    zh = "{say}"


class RefusedUnseen(Conflict):
    """A rule or guard that reads what the caller may not see does not hold. Which one, and over what, would tell them
    of it: whoever tries values would read it off the answers."""

    code = "REFUSED_UNSEEN"
    en = "A rule that reads what you may not see refuses this."
    zh = "有规则不允许此操作,其依据的内容您无权查看。"
    hint_en = "Ask somebody who may see more of this record. Each such refusal is kept in the trail."
    hint_zh = "请联系可查看该记录更多内容的同事;此类拒绝均记入审计轨迹。"


class TooManyUnseen(ClewError):
    """Trying values against what one may not see ends soon."""

    code, status = "TOO_MANY_UNSEEN", 429
    en = "Too much of yours was refused by rules that read what you may not see; write again in {minutes} minutes."
    zh = "您有过多操作被依据无权查看内容的规则拒绝,{minutes} 分钟后方可再写入。"
    hint_en, hint_zh = "Ask somebody who may see more of this record.", "请联系可查看该记录更多内容的同事。"


class Overlap(BadInput):
    code = "OVERLAP"
    en = "The range {start} to {end} overlaps that of another {what} with the same {per}."
    zh = "{start} 至 {end} 的区间与另一条{what}重叠(相同的{per})。"


class Cycle(BadInput):
    code = "CYCLE"
    en = "{field} would make the {what} contain itself."
    zh = "{field}会使{what}包含其自身。"


class Duplicate(Conflict):
    """A value that must be unique is taken, whoever may see the record that has it: that record is never told of."""

    code = "DUPLICATE"
    en = "This {fields} cannot be used: it must be unique for each {what}."
    zh = "该{fields}不能使用:每条{what}须各不相同。"


class Stale(Conflict):
    """Optimistic locking: somebody changed the record since it was read (threat 35)."""

    code = "CONFLICT"
    en = "The {what} has changed since you read it: it is now at version {current}, you had {given}."
    zh = "该{what}在您读取后已被修改:当前版本 {current},您的版本 {given}。"
    hint_en, hint_zh = "Read it again and repeat your change.", "请重新读取后再修改。"


class Frozen(Conflict):
    code = "FROZEN"
    en = "This {what} is frozen and cannot be changed, only followed by a new one."
    zh = "该{what}已冻结,不能修改,只能以新的记录更正或替代。"


class NotFrozen(Conflict):
    code = "NOT_FROZEN"
    en = "This {what} is not frozen: update it instead of correcting it."
    zh = "该{what}尚未冻结:请直接修改,无需更正。"


class AlreadyCorrected(Conflict):
    code = "ALREADY_CORRECTED"
    en = "This {what} has already been corrected; correct the later one."
    zh = "该{what}已被更正;请更正最新的一条。"


class Voided(Conflict):
    code = "VOIDED"
    en = "This {what} is void and cannot be changed."
    zh = "该{what}已作废,不能更改。"


class OnLegalHold(Conflict):
    """A court or an authority wants the record as it stands (domain F3: a legal hold overrides retention)."""

    code = "LEGAL_HOLD"
    en = "This {what} is on legal hold and cannot be voided."
    zh = "该{what}处于法律保全中,不能作废。"
    hint_en, hint_zh = "Lift the hold first, with a reason.", "请先说明原因并解除保全。"


class BackwardRange(BadInput):
    code = "RANGE_BACKWARD"
    en = "{end} is before {start}: the range ends before it begins."
    zh = "{end}早于{start}:区间的结束在开始之前。"


class WrongState(Conflict):
    code = "WRONG_STATE"
    en = "{transition} is possible from {sources}, but the {what} is {state}."
    zh = "“{transition}”须处于{sources},但该{what}当前为{state}。"


class CellTooLong(BadInput):
    code = "CELL_TOO_LONG"
    en = "A cell of the column {column} is longer than a workbook can hold ({longest} characters)."
    zh = "列 {column} 的一个单元格超出工作簿可容纳的长度({longest} 个字符)。"
    hint_en, hint_zh = "Export as CSV or JSON lines.", "请导出为 CSV 或 JSON 行格式。"


class GuardFailed(Conflict):
    code = "GUARD"
    en = "{say}"
    zh = "{say}"


class MovedByProcess(Conflict):
    code = "MOVED_BY_PROCESS"
    en = "{transition} is made by the process {process}, not by hand."
    zh = "“{transition}”由流程 {process} 推进,不能手工操作。"


class SignatureRequired(Forbidden):
    """The transition takes an electronic signature and none can be given here (fail closed)."""

    code = "SIGNATURE_REQUIRED"
    en = "{transition} takes an electronic signature ({meaning})."
    zh = "“{transition}”需要电子签名({meaning})。"
    hint_en, hint_zh = "", ""


class Referenced(Conflict):
    code = "REFERENCED"
    en = "The {what} is still referred to and cannot be removed."
    zh = "该{what}仍被引用,不能移除。"


class DerivedOnly(Forbidden):
    code = "DERIVED"
    en = "Rows of {what} come only from postings."
    zh = "{what}的数据只能由过账产生。"
    hint_en, hint_zh = "", ""


class PostedOnly(Conflict):
    code = "POSTED"
    en = "This {what} has been posted: reverse it by a new one instead of voiding it."
    zh = "该{what}已过账:请以新记录冲销,不能作废。"


class KeyReused(Conflict):
    """One idempotency key, two different requests."""

    code = "IDEMPOTENCY_KEY_REUSED"
    en = "The idempotency key was already used for a different request."
    zh = "该幂等键已用于另一个不同的请求。"


class KeySpent(Conflict):
    """The key was used so long ago that its answer is not kept any more. Nothing is done, as it may have been then."""

    code = "IDEMPOTENCY_KEY_SPENT"
    en = "This idempotency key was used long ago, and its answer is not kept any more. Nothing was done now."
    zh = "该幂等键早已用过,当时的结果已不再保存。本次未执行任何操作。"
    hint_en = "See whether it was done then. If it is to be done again, ask for it with a new key."
    hint_zh = "请先核实当时是否已完成;如确需再做一次,请使用新的幂等键。"


class BadImport(ClewError):
    code, status = "BAD_FILE", 400
    en, zh = "{what}", "{what}"


class Unread(ClewError):
    """The write is done; only its answer could not be read."""

    code, status = "WRITTEN_BUT_UNREAD", 500
    en = "The change of the {what} {id} is stored, but reading it back failed."
    zh = "{what} {id} 的更改已保存,但回读失败。"
    hint_en, hint_zh = "Read the record again; do not repeat the change.", "请重新读取该记录,不要重复提交。"
