"""How functions and facts of the person are called in a sentence. A test holds it to everything the language has."""

from __future__ import annotations

from collections.abc import Mapping

from clew.kernel.text import Bilingual

FACTS: Mapping[str, Bilingual] = {
    "id": Bilingual("本人", "the person"),
    "login": Bilingual("本人的登录名", "the person's login"),
    "name": Bilingual("本人的姓名", "the person's name"),
    "roles": Bilingual("本人的角色", "the person's roles"),
    "sites": Bilingual("本人的场所", "the person's sites"),
    "site": Bilingual("本人所在场所", "the person's own site"),
    "department": Bilingual("本人的部门", "the person's department"),
    "employee": Bilingual("本人", "the person"),
    "families": Bilingual("本人的产品族", "the person's product families"),
    "party": Bilingual("本人所属单位", "the person's company"),
}
ROLE_FACTS: Mapping[str, Bilingual] = {
    "sites": Bilingual("其“{}”任命的场所", "the sites of the assignment as {}"),
    "families": Bilingual("其“{}”任命的产品族", "the product families of the assignment as {}"),
}
CALLS: Mapping[str, Bilingual] = {
    "startsWith": Bilingual("{}以{}开头", "{} starts with {}"),
    "endsWith": Bilingual("{}以{}结尾", "{} ends with {}"),
    "contains": Bilingual("{}包含{}", "{} contains {}"),
    "matches": Bilingual("{}符合格式{}", "{} matches {}"),
    "lower": Bilingual("{}(小写)", "{} in small letters"),
    "upper": Bilingual("{}(大写)", "{} in capitals"),
    "trim": Bilingual("{}(去空格)", "{} without surrounding blanks"),
    "substring": Bilingual("{}的第 {} 至 {} 位字符", "characters {1} to {2} of {0}"),
    "date": Bilingual("{}的日期", "the day of {}"),
    "datetime": Bilingual("{}", "{}"),
    "duration": Bilingual("{}", "{}"),
    "days": Bilingual("{}至{}的天数", "the days from {} to {}"),
    "addDays": Bilingual("{}加 {} 天", "{} plus {} days"),
    "addMonths": Bilingual("{}加 {} 个月", "{} plus {} months"),
    "year": Bilingual("{}的年份", "the year of {}"),
    "month": Bilingual("{}的月份", "the month of {}"),
    "day": Bilingual("{}的日", "the day of the month of {}"),
    "abs": Bilingual("{}的绝对值", "the absolute value of {}"),
    "round": Bilingual("{}修约至 {} 位小数", "{} rounded to {} places"),
    "floor": Bilingual("{}向下取整", "{} rounded down"),
    "ceil": Bilingual("{}向上取整", "{} rounded up"),
    "integer": Bilingual("{}的整数部分", "the whole part of {}"),
    "decimal": Bilingual("{}", "{}"),
    "text": Bilingual("{}(文本)", "{} as text"),
    "min": Bilingual("{}与{}中的较小者", "the lesser of {} and {}"),
    "max": Bilingual("{}与{}中的较大者", "the greater of {} and {}"),
    "size": Bilingual("{}的数量", "the number of {}"),
    "was": Bilingual("{}处于或曾处于{}状态", "{} is or has been in state {}"),
    "entered": Bilingual("{}进入{}状态的时刻", "the moment {} came into state {}"),
    "coalesce": Bilingual("{}(为空时取{})", "{} (where empty: {})"),
    "gs1_check": Bilingual("{}的 GS1 校验位正确", "the GS1 check digit of {} is right"),
    "gtin": Bilingual("{}为有效的 GTIN", "{} is a valid GTIN"),
    "gs1_text": Bilingual("{}仅含 GS1 字符且不超过 {} 位", "{} has only GS1 characters, at most {}"),
    "uscc": Bilingual("{}为有效的统一社会信用代码", "{} is a valid unified social credit code"),
    "gmn": Bilingual("{}为有效的 GMN", "{} is a valid GMN"),
    "gs1_valid": Bilingual("{0}为有效的 GS1 元素串", "{0} is a valid GS1 element string"),
    "gs1_value": Bilingual("{}中 ({}) 的值", "what {} says for ({})"),
    "gs1_day": Bilingual("{0}中 ({1}) 的日期", "the day {0} says for ({1})"),
}
_LENGTH = Bilingual("{}的字符数", "the length of {}")


def call_words(function: str, overload: str, count: int) -> Bilingual:
    """The pattern of a call with `count` arguments. A plugin's own function is called by its name."""
    if function == "size" and overload.startswith("size(text"):
        return _LENGTH
    known = CALLS.get(function)
    if known is not None:
        return known
    plain = f"{function}({', '.join(['{}'] * count)})"
    return Bilingual(plain, plain)
