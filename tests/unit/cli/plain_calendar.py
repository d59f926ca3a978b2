"""Five days of eight hours in one year: a calendar where it does not matter which."""

from __future__ import annotations

CALENDAR = """\
calendar: plain
label: {zh: 日历, en: Plain}
zone: Asia/Shanghai
default: true
days: [monday, tuesday, wednesday, thursday, friday]
hours: 08:00-16:00
years: {2026: {holidays: CN}}
"""
