"""What identity refuses, each with its code. None of them says more than the caller may know."""

from __future__ import annotations

from clew.kernel.errors import BadInput, ClewError, Conflict, Forbidden


class Unauthenticated(ClewError):
    """Nobody has signed in, or the session or token does not hold any more."""

    code, status = "UNAUTHENTICATED", 401
    en, zh = "Sign in first.", "请先登录。"
    hint_en = "POST /login, or send an API token: Authorization: Bearer …"
    hint_zh = "请访问 /login 登录,或发送接口令牌:Authorization: Bearer …"


class SessionEnded(Unauthenticated):
    """The session the request came with is no longer valid; nothing it read is shown."""

    en = "Your session has ended. Sign in again."
    zh = "会话已结束,请重新登录。"


class PasswordExpired(Forbidden):
    """Signed in, but nothing else is done before the password is changed."""

    code, status = "PASSWORD_DUE", 403
    en, zh = "The password is due to be changed.", "密码已到期,须先修改。"
    hint_en, hint_zh = "Change it: /me/password", "请在 /me/password 修改密码。"


class PinExpired(Forbidden):
    """The signing PIN was right, but has reached the age at which it is changed (21 CFR 11.300(b))."""

    code, status = "PIN_DUE", 403
    en, zh = "The signing PIN is due to be changed.", "签名 PIN 已到期,须先修改。"
    hint_en, hint_zh = "Set another one: /me/pin", "请在 /me/pin 设置新的 PIN。"


class IdentityDue(Forbidden):
    """A credential was set by somebody else, and nobody has confirmed yet that its owner is who holds it. It opens
    nothing and signs nothing until then (21 CFR 11.100(b), 11.300(c))."""

    code, status = "IDENTITY_DUE", 403
    en = "Your credentials were set by somebody else: another person must confirm first that it is you who holds them."
    zh = "您的凭证由他人设置:须先由另一人当面确认凭证确由您本人持有。"
    hint_en = "Show the code of /me/confirmation, in person, to somebody who confirms identities."
    hint_zh = "请当面向可确认身份的人员出示 /me/confirmation 上的确认码。"


class WrongConfirmation(Forbidden):
    """The code that was typed is not the one on the holder's screen."""

    code, status = "CONFIRMATION_CODE", 403
    en, zh = "That is not the code this person's screen shows.", "与本人屏幕上显示的确认码不符。"
    hint_en = "Have the person sign in, change the password and show you the code of /me/confirmation."
    hint_zh = "请本人登录、修改密码,并当面出示 /me/confirmation 上的确认码。"


class NothingToConfirm(ClewError):
    code, status = "NOTHING_TO_CONFIRM", 404
    en, zh = "Nothing waits to be confirmed for {login}.", "{login} 没有待确认的凭证。"


class EmployeeTaken(Conflict):
    """A person has one account: what they do and sign stands under one name (21 CFR 11.100(a))."""

    code = "EMPLOYEE_TAKEN"
    en, zh = "This person's record belongs to the account {login} already.", "该人员已绑定账号 {login}。"


class SignInFailed(ClewError):
    """One answer for an unknown login, a wrong password, a locked and a disabled account (threat 28)."""

    code, status = "SIGN_IN_FAILED", 401
    en = "The sign-in failed: login or password is wrong, or the account is locked after too many tries."
    zh = "登录失败:账号或密码不正确,或因多次失败账号已被锁定。"
    hint_en, hint_zh = "Wait a quarter of an hour or ask an administrator.", "请稍后再试或联系管理员。"


class WrongCredentials(Forbidden):
    """A component of a signature or re-authentication is wrong. Which one is not said."""

    code, status = "WRONG_CREDENTIALS", 403
    en, zh = "That does not prove who you are.", "身份验证未通过。"
    hint_en, hint_zh = "Try again carefully: too many tries lock the account.", "请仔细重试:多次失败会锁定账号。"


class LockedOut(Forbidden):
    """Too many wrong tries, counted over every way in (threat 25)."""

    code, status = "LOCKED_OUT", 403
    en, zh = "The account is locked after too many tries.", "多次失败,账号已被锁定。"
    hint_en, hint_zh = "Wait until the lock ends or ask an administrator.", "请等待解锁或联系管理员。"


class ComponentsMissing(BadInput):
    """A proof needs a component that was not given."""

    code = "COMPONENTS_MISSING"
    en, zh = "This proof also needs: {components}.", "此次验证还需要:{components}。"


class ForgedRequest(Forbidden):
    """A change that came with a cookie but without showing that the own page sent it (threat 13)."""

    code, status = "FORGED_REQUEST", 403
    en = "The request does not show that it comes from this site's own page."
    zh = "请求未能证明来自本站页面。"
    hint_en, hint_zh = "Send Origin, or the header x-clew-csrf.", "请发送 Origin 或 x-clew-csrf 请求头。"


class LoginTaken(Conflict):
    """Logins belong to one person for ever, even after leaving (21 CFR 11.100(a), 11.300(a))."""

    code = "LOGIN_TAKEN"
    en = "The login {login} has been given to somebody; logins are never given twice."
    zh = "登录账号 {login} 已分配过;账号终身唯一,不再分配给他人。"


class BadLogin(BadInput):
    code = "LOGIN_FORM"
    en = "A login has 2 to 60 of the characters a-z 0-9 . _ @ - and begins with a letter or digit."
    zh = "登录账号为 2 至 60 个字符,可用 a-z 0-9 . _ @ -,以字母或数字开头。"


class WeakPassword(BadInput):
    """The password does not meet the policy; it says what is missing and never repeats the password."""

    code = "PASSWORD_POLICY"
    en, zh = "The password is refused: {what}.", "密码不符合要求:{what}。"


class NoAccount(ClewError):
    """No account with this login. For administrators only; strangers get SIGN_IN_FAILED."""

    code, status = "NO_ACCOUNT", 404
    en, zh = "There is no account {login}.", "没有账号 {login}。"
    hint_en, hint_zh = "See all: clew user list", "查看全部:clew user list"


class AccountDisabled(Conflict):
    code = "ACCOUNT_DISABLED"
    en, zh = "The account {login} is disabled.", "账号 {login} 已停用。"


class NotYourself(Forbidden):
    """Two persons are needed and both are the same, or one is the other's deputy."""

    code = "NOT_YOURSELF"
    en, zh = "It takes another, independent person to {action}.", "须由另一位独立的人员{action}。"
    hint_en, hint_zh = "Ask another person who may.", "请由另一位有权限的人办理。"


class TokenNotEnough(Forbidden):
    """An API token was shown for what passes access on or takes a person: whoever found it could go on with more than
    it carries, and for longer."""

    code = "TOKEN_NOT_ENOUGH"
    en, zh = (
        "An API token cannot do this: it takes a person who has signed in.",
        "接口令牌不能办理此事:须由本人登录办理。",
    )
    hint_en, hint_zh = "Sign in at /login and do it yourself.", "请在 /login 登录后亲自办理。"


class SeparationConflict(Conflict):
    """The person would hold roles that nobody may hold together."""

    code = "SEPARATION_CONFLICT"
    en = "{login} would break the separation of duties {separations} with {role}."
    zh = "授予 {role} 会使 {login} 违反职责分离:{separations}。"
    hint_en, hint_zh = "See what conflicts: clew access conflicts", "查看冲突:clew access conflicts"


class UnknownRole(BadInput):
    code = "UNKNOWN_ROLE"
    en, zh = "There is no role {role}.", "没有角色 {role}。"


class WrongKind(BadInput):
    """A role for services to a person, or the other way round."""

    code = "ROLE_KIND"
    en, zh = "The role {role} is for a {wanted}, not for a {kind}.", "角色 {role} 只能授予 {wanted},不能授予 {kind}。"


class BadPeriod(BadInput):
    code = "PERIOD"
    en, zh = "The period cannot be: {what}.", "期限无效:{what}。"


class NotHeld(Forbidden):
    """A delegation of what the delegator does not hold."""

    code = "NOT_HELD"
    en = "{login} does not hold the role {role} for that scope and time, so it cannot be delegated."
    zh = "{login} 在该范围和期限内未持有角色 {role},不能委托。"
    hint_en, hint_zh = "Delegated and emergency roles are not passed on.", "受托角色与紧急授权不得转委托。"


class ScopeClash(Conflict):
    """Two assignments of one role whose scopes no single scope says exactly; united they would give more."""

    code = "SCOPE_CLASH"
    en = "The role {role} is held for other sites and other families: give both the same sites or the same families."
    zh = "角色 {role} 已按其他场所和其他产品族授予;两次授权须场所相同或产品族相同。"


class NoAssignment(ClewError):
    code, status = "NO_ASSIGNMENT", 404
    en, zh = "There is no such open assignment.", "没有这条有效的授权。"


class SecretKeyMissing(ClewError):
    """A stored secret was sealed with another key, or there is none."""

    code, status = "SECRET_KEY", 503
    en = "Stored secrets cannot be read: the setting secret_key is missing or another one than before."
    zh = "无法读取已存的密钥数据:设置项 secret_key 缺失或与先前不同。"
    hint_en, hint_zh = "Set CLEW_SECRET_KEY to the key of this installation.", "请将 CLEW_SECRET_KEY 设为本系统的密钥。"


class SingleSignOnFailed(ClewError):
    """The identity provider's answer does not prove who signed in."""

    code, status = "SSO_FAILED", 401
    en, zh = "Single sign-on failed: {what}.", "单点登录失败:{what}。"
