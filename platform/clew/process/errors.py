"""Why a process refuses a command."""

from __future__ import annotations

from clew.kernel.errors import BadInput, ClewError, Conflict, Forbidden, NotFound


class PluginFailed(ClewError):
    """What a plugin does in an automatic step went wrong; nothing of it is kept."""

    code, status = "PLUGIN_FAILED", 500
    en, zh = "The plugin action {action} failed: {what}", "插件动作 {action} 失败:{what}"
    hint_en = "The step is tried again; after that an operator is called. Tell whoever keeps the plugin."
    hint_zh = "系统会重试该步骤,仍失败则通知流程负责人;请联系插件维护者。"


class OutOfOrder(ClewError):
    """A fault of the platform or of a plugin, in what a process does by itself."""

    code, status = "OUT_OF_ORDER", 500
    en, zh = "Something is out of order in the platform: {what}", "平台内部出错:{what}"
    hint_en = "It is tried again. The server's log says more; tell whoever keeps the platform."
    hint_zh = "系统会继续重试;详情见服务器日志,请联系平台维护者。"


class ProcessEnded(Conflict):
    code = "PROCESS_ENDED"
    en = "This process has ended."
    zh = "该流程已结束。"


class ProcessSuspended(Conflict):
    code = "PROCESS_SUSPENDED"
    en = "This process is suspended."
    zh = "该流程已暂停。"
    hint_en = "Resume it first."
    hint_zh = "请先恢复流程。"


class CalledOffByYou(Forbidden):
    """Whoever calls a process off does not sign alone, by hand, what several people would have signed in it."""

    code = "CALLED_OFF_BY_YOU"
    en = "The process {process} was cancelled by you, or in your place; {transition} is signed by somebody else."
    zh = "流程 {process} 由您或您所代表的人取消,“{transition}”须由他人签署。"
    hint_en, hint_zh = "Let a colleague do it, or begin the process anew.", "请由其他同事办理,或重新发起流程。"


class TakesSeveral(Forbidden):
    """One person does not sign by hand what the process asks several for."""

    code = "TAKES_SEVERAL"
    en = "{transition} is signed by several people, in the process {process}."
    zh = "“{transition}”须由多人在流程 {process} 中签署。"
    hint_en, hint_zh = "Begin the process about this record.", "请就该记录发起流程。"


class SignedAlready(Conflict):
    """Who votes later does not change what those before them have signed."""

    code = "SIGNED_ALREADY"
    en = "{field} was signed by others at {step}; it is not changed while the vote is under way."
    zh = "{field}已由他人在“{step}”签署,表决期间不能更改。"
    hint_en = "Vote with what was signed, or send it back: then everybody is asked anew."
    hint_zh = "请按已签署的内容表决,或退回,届时重新征询全体。"


class SuspendedAbove(Conflict):
    """What is part of a suspended process is suspended with it, and goes on with it."""

    code = "SUSPENDED_ABOVE"
    en = "The process that this one is part of is suspended."
    zh = "该流程所属的上级流程已暂停。"
    hint_en = "Resume that one: this one goes on with it."
    hint_zh = "请恢复上级流程,本流程随之继续。"


class ProcessNotSuspended(Conflict):
    code = "PROCESS_NOT_SUSPENDED"
    en = "This process is not suspended."
    zh = "该流程未被暂停。"


class TaskGone(Conflict):
    """Somebody was first, or the process has moved on."""

    code = "TASK_GONE"
    en = "This task is not open any more."
    zh = "该任务已不在待办状态。"
    hint_en = "Look at the timeline to see who did what."
    hint_zh = "请查看流程时间线了解办理情况。"


class TaskHeld(Conflict):
    code = "TASK_HELD"
    en = "Others must decide before this task's turn comes."
    zh = "须等待前面的人办理后才能办理该任务。"


class TaskTaken(Conflict):
    code = "TASK_TAKEN"
    en = "Somebody else has taken this task."
    zh = "该任务已被他人认领。"


class UrgedAlready(Conflict):
    """A reminder is sent once in a while: more of them would only hide the rest."""

    code = "URGED_ALREADY"
    en = "You have urged this task already; you may again in {minutes} minutes (at {again})."
    zh = "您已催办过该任务,{minutes} 分钟后({again})可再次催办。"
    hint_en = "Whoever has it was told. Call them, or comment on the process, if it cannot wait."
    hint_zh = "已通知办理人;如不能等待,请直接联系,或在流程中发表评论。"


class NotYourTask(Forbidden):
    """The task is asked of other people."""

    code = "NOT_YOUR_TASK"
    en = "This task is not yours to do."
    zh = "该任务不由您办理。"


class NotToBeShown(Forbidden):
    """A copy of a case for a program, for somebody outside, or for nobody."""

    code = "NOT_TO_BE_SHOWN"
    en = "A case is shown to people of the house whose account is in use; this is none of them."
    zh = "只能抄送给本组织内账号有效的人员,所列对象不在其中。"


class SamePerson(Forbidden):
    """Separation of duties within a process: this person acted where another must."""

    code = "SAME_PERSON"
    en = "You took part in {step}, so somebody else must do this."
    zh = "您参与了“{step}”,该任务须由他人办理。"
    hint_en = "Ask another holder of the role."
    hint_zh = "请由该角色的其他人员办理。"


class NeededElsewhere(Conflict):
    """Each has one vote: who alone can fill another post does not spend it on this one."""

    code = "NEEDED_ELSEWHERE"
    en = "Nobody but you is left for another post at {step}; your vote is needed there."
    zh = "“{step}”的另一岗位只有您能表决,您的一票须留给该岗位。"
    hint_en = "Let another of those who are asked vote here; yours is the other post."
    hint_zh = "请由其他被征询人在此表决,您在另一岗位表决。"


class UnknownOutcome(BadInput):
    code = "UNKNOWN_OUTCOME"
    en = "This task ends with one of: {known}."
    zh = "该任务的结果须为其中之一:{known}。"


class CommentRequired(BadInput):
    code = "COMMENT_REQUIRED"
    en = "A comment is required."
    zh = "须填写意见。"


class NoWayBack(BadInput):
    """The step is not one that this task may be sent back to."""

    code = "NO_WAY_BACK"
    en = "It can be sent back to: {known}."
    zh = "可退回的步骤:{known}。"


class NothingToWithdraw(Conflict):
    code = "NOTHING_TO_WITHDRAW"
    en = "There is nothing of yours to take back: the next step has been touched, or somebody else did the last one."
    zh = "没有可撤回的办理:下一步骤已被处理,或上一步骤不是您办理的。"


class NotTakenBack(Conflict):
    """What was signed, or has changed more than the process, stays done."""

    code = "NOT_TAKEN_BACK"
    en = "This step was signed, or other records have changed with it: it is not taken back, only sent back."
    zh = "该步骤已签名,或已引起其他记录变化,不能撤回,只能由后续办理人退回。"


class NotFinished(Conflict):
    """The guard of the step's end does not hold."""

    code = "NOT_FINISHED"
    en, zh = "{say}", "{say}"


class NotEligible(BadInput):
    code = "NOT_ELIGIBLE"
    en = "This person cannot take the task."
    zh = "此人不能办理该任务。"


class NoSuchIncident(Conflict):
    code = "NO_SUCH_INCIDENT"
    en = "This incident is settled already."
    zh = "该异常已处理。"


class OutputNotAsked(BadInput):
    """A task may fill in the fields its step names, nothing else."""

    code = "OUTPUT_NOT_ASKED"
    en = "This step does not fill in {field}; it asks for: {known}."
    zh = "该步骤不填写 {field};可填写:{known}。"


class AlreadyRunning(Conflict):
    code = "ALREADY_RUNNING"
    en = "This process is already running for this record."
    zh = "该记录的此流程已在运行。"


class NoSuchProcess(NotFound):
    code = "NO_SUCH_PROCESS"
    en = "There is no {what} with this id, or you may not see it."
    zh = "没有该{what},或您无权查看。"


class NotAStarter(Forbidden):
    code = "NOT_A_STARTER"
    en = "You may not start {workflow}."
    zh = "您不能发起“{workflow}”。"


class NotAsItStands(Conflict):
    """No person begins the process about a record like this one, such as one whose business is over."""

    code = "PROCESS_NOT_NOW"
    en = "{workflow} is not started about this record as it stands."
    zh = "按该记录目前的状态,不发起“{workflow}”。"
    hint_en = "Look at the record's state: its business may be over, or not handed in yet (`when` under `starts`)."
    hint_zh = "请查看记录的状态:可能已经办结,或尚未提交(流程 `starts` 的 `when`)。"


class NotInUse(Conflict):
    """The process is switched on site by site, and not yet for this record."""

    code = "PROCESS_NOT_IN_USE"
    en = "{workflow} is not in use for this record. It is in use {where}."
    zh = "“{workflow}”对该记录尚未启用。启用范围:{where}。"
    hint_en = "Go on as before until it is switched on here (`active` of the workflow)."
    hint_zh = "在此处启用(流程的 `active`)之前,请按原办法处理。"


class NotAnOperator(Forbidden):
    """Cancelling, suspending and settling incidents is for those who answer for the process."""

    code = "NOT_AN_OPERATOR"
    en = "Only who answers for {workflow} may do this."
    zh = "仅“{workflow}”的负责人可执行此操作。"


class DefinitionGone(ClewError):
    """The definition an instance is pinned to cannot be run under the present release."""

    code, status = "DEFINITION_GONE", 500
    en = "The definition of this process no longer fits the present release: {problem}"
    zh = "该流程所用的定义与当前发布不再相符:{problem}"


class ProcessesWouldBreak(Conflict):
    """A release is not applied while instances run by a definition that it no longer bears."""

    code = "PROCESSES_WOULD_BREAK"
    en = "Processes that are running could not go on under this release: {which}"
    zh = "在办流程无法在该发布下继续: {which}"
    hint_en = "Keep what they need until they have ended, or cancel them."
    hint_zh = "请在其结束之前保留所需内容,或先取消这些流程。"


class UnknownDefinition(BadInput):
    """What is named as the aim of a migration is none of the process's definitions, or several."""

    code = "UNKNOWN_DEFINITION"
    en = "{given} is no definition of this process. There are: {known}."
    zh = "{given} 不是该流程的定义。现有定义:{known}。"


class BadStepMapping(BadInput):
    """A step that is not there, or two that become one."""

    code = "BAD_STEP_MAPPING"
    en = "{given} cannot be meant: an old step becomes one new step of its own. There are: {known}."
    zh = "{given} 无效:每个原步骤须对应一个独立的新步骤。现有步骤:{known}。"


class CannotMigrate(Conflict):
    """The instance cannot go on by the present definition."""

    code = "CANNOT_MIGRATE"
    en = "It goes on by the definition it began with: {why}"
    zh = "该流程继续按原定义办理:{why}"
    hint_en = "Preview with: clew process migrate NAME"
    hint_zh = "请先预览:clew process migrate 名称"
