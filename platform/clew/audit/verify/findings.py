"""What verification can find. Each finding has a stable kind and says which entry, leaf or record it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from clew.kernel.text import Bilingual

KINDS: dict[str, Bilingual] = {
    "entry_missing": Bilingual("日志条目缺失", "an entry of the log is missing"),
    "entry_altered": Bilingual("日志条目被更改或调换顺序", "an entry of the log was altered or moved"),
    "entry_twice": Bilingual("同一审计叶在日志中出现两次", "a leaf stands in the log twice"),
    "nodes_altered": Bilingual("日志条目的树节点被更改", "the tree nodes of an entry were altered"),
    "leaf_missing": Bilingual("审计叶缺失", "the leaf of an entry is missing"),
    "leaf_altered": Bilingual("审计叶被更改", "a leaf was altered"),
    "leaf_unqueued": Bilingual(
        "审计叶既不在日志也不在待封存队列中", "a leaf is neither in the log nor waiting to be sealed"
    ),
    "leaf_unexplained_redaction": Bilingual(
        "字段被遮盖,但没有相应的删除记录", "a field was redacted and no erasure tells of it"
    ),
    "queue_altered": Bilingual("待封存队列被更改", "the queue of what is to be sealed was altered"),
    "checkpoint_broken": Bilingual("日志与锚点不符", "the log does not fit an anchor"),
    "checkpoint_altered": Bilingual("锚点被更改", "an anchor was altered"),
    "checkpoint_unsigned": Bilingual("锚点签名无效", "an anchor has no good signature"),
    "checkpoint_missing": Bilingual("库外存有、库内缺失的锚点", "an anchor kept outside is not in the database"),
    "tail_missing": Bilingual(
        "日志末尾缺失(截断或恢复了旧库)", "the end of the log is missing: cut off, or an old copy was restored"
    ),
    "key_unendorsed": Bilingual("新密钥未经旧密钥背书", "a key was not endorsed by the one before it"),
    "key_foreign": Bilingual("签署密钥并非所信任的密钥", "the log is not signed with the key that is trusted"),
    "version_without_leaf": Bilingual("记录版本没有审计叶", "a version of a record has no leaf"),
    "leaf_without_version": Bilingual("审计叶没有对应的记录版本", "a leaf has no version of a record"),
    "version_gap": Bilingual("记录版本不连续", "the versions of a record have a gap"),
    "value_altered": Bilingual("历史值与审计叶不符", "a value in the history is not what the trail tells"),
    "time_altered": Bilingual("历史版本时间与审计叶不符", "the time of a version is not what the trail tells"),
    "current_altered": Bilingual("当前行与最新版本不符", "a present row is not its last version"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was. `index` is the entry of the log, `size` an anchor's."""

    kind: str
    index: int | None = None
    leaf_id: UUID | None = None
    entity: str | None = None
    record_id: UUID | None = None
    row_version: int | None = None
    size: int | None = None
    detail: str = ""

    def text(self) -> Bilingual:
        where = self.where()
        said = KINDS[self.kind]
        tail = f" [{self.detail}]" if self.detail else ""
        return Bilingual(f"{where.zh}:{said.zh}{tail}", f"{where.en}: {said.en}{tail}")

    def where(self) -> Bilingual:
        """The place in words."""
        zh, en = [], []
        if self.index is not None:
            zh.append(f"第 {self.index} 条")
            en.append(f"entry {self.index}")
        if self.size is not None:
            zh.append(f"{self.size} 条的锚点")
            en.append(f"anchor of {self.size}")
        if self.entity is not None:
            version = f" v{self.row_version}" if self.row_version is not None else ""
            zh.append(f"{self.entity} {self.record_id or ''}{version}".strip())
            en.append(zh[-1])
        elif self.leaf_id is not None:
            zh.append(f"叶 {self.leaf_id}")
            en.append(f"leaf {self.leaf_id}")
        return Bilingual(",".join(zh) or "日志", ", ".join(en) or "the log")

    def to_json(self) -> dict[str, Any]:
        names = ("kind", "index", "size", "leaf_id", "entity", "record_id", "row_version", "detail")
        return {name: value for name in names if (value := getattr(self, name)) not in (None, "")}
