"""The key that seals bundles, where the settings say it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clew.kernel.errors import BadInput

if TYPE_CHECKING:
    from clew.settings import Settings
    from clew.storage.promotion.keys import SealingKey


class NoReleaseKey(BadInput):
    """Bundles are sealed, and the settings name no key."""

    code = "NO_RELEASE_KEY"
    en, zh = "The setting release_key names no key, so nothing can be sealed.", "设置 release_key 未指定密钥,无法封印。"
    hint_en, hint_zh = "Make one: clew release key release.key", "请先生成:clew release key release.key"


def sealing_key(settings: Settings) -> SealingKey:
    """Raises NoReleaseKey, KeyUnreadable."""
    from clew.storage.promotion.keys import read_key

    if settings.release_key is None:
        raise NoReleaseKey()
    return read_key(settings.release_key)
