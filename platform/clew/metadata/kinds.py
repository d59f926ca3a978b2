"""The kinds of documents a project may hold. Later kinds (workflow, role, kpi …) are added by registering one more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clew.metadata.spec.alert import AlertSpec
from clew.metadata.spec.calendar import CalendarSpec
from clew.metadata.spec.decision import DecisionSpec
from clew.metadata.spec.entity import EntitySpec, OverlaySpec
from clew.metadata.spec.form import FormSpec
from clew.metadata.spec.others import CodeListSpec, CodingRuleSpec, LabelsSpec, ProjectSpec
from clew.metadata.spec.permissions import PolicyTestSpec, RoleSpec, SeparationSpec
from clew.metadata.spec.scenario import ScenarioSpec
from clew.metadata.spec.watch import WatchSpec
from clew.metadata.spec.words import Spec
from clew.metadata.spec.workflow import WorkflowSpec

if TYPE_CHECKING:
    from clew.metadata.documents import Document
    from clew.metadata.link.project import Linking

LinkHook = Callable[["Linking", "tuple[Document, ...]"], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: the key that a document begins with, its shape, where it may stand.

    `folders` are top-level folders (`models`), empty for a file at the root. `variants` are other shapes of the same
    first key, told apart by a second key. `link` is called after entities are linked, with all documents of the kind;
    what it returns is kept under the kind's name in `Loaded.extras`.
    """

    name: str
    spec: type[Spec]
    folders: tuple[str, ...]
    label_en: str
    label_zh: str
    variants: tuple[tuple[str, type[Spec]], ...] = ()
    link: LinkHook | None = None

    def shape(self, keys: Iterable[str]) -> type[Spec]:
        """The model for a document with these keys."""
        present = set(keys)
        return next((model for name, model in self.variants if name in present), self.spec)


def _link_scenarios(linking: Linking, documents: tuple[Document, ...]) -> Any:
    from clew.metadata.link.scenarios import link_scenarios

    return link_scenarios(linking, documents)


GROUND = (
    Kind("project", ProjectSpec, (), "project", "项目"),
    Kind("entity", EntitySpec, ("models", "overlays"), "entity", "实体", (("overlay", OverlaySpec),)),
    Kind("code_list", CodeListSpec, ("models", "overlays"), "code list", "代码表"),
    Kind("coding_rule", CodingRuleSpec, ("models", "overlays"), "coding rule", "编码规则"),
    Kind("calendar", CalendarSpec, ("calendars", "overlays"), "working calendar", "工作日历"),
    Kind("workflow", WorkflowSpec, ("workflows", "overlays"), "workflow", "流程"),
    Kind("decision", DecisionSpec, ("rules", "overlays"), "decision table", "决策表"),
    Kind("form", FormSpec, ("ui_schemas", "overlays"), "form", "表单"),
    Kind("alert", AlertSpec, ("alerts", "overlays"), "alert", "预警"),
    Kind("labels", LabelsSpec, ("i18n",), "label file", "标签文件"),
    Kind("role", RoleSpec, ("permissions",), "role", "角色"),
    Kind("separation", SeparationSpec, ("permissions",), "separation of duties", "职责分离"),
    Kind("policy_test", PolicyTestSpec, ("permissions",), "policy test", "策略测试"),
    Kind("watch", WatchSpec, ("watches", "overlays"), "watch", "监视规则"),
    Kind("scenario", ScenarioSpec, ("scenarios",), "scenario", "场景", link=_link_scenarios),
)


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds a loader knows. Immutable: `with_kinds` gives a larger one."""

    kinds: tuple[Kind, ...]

    def with_kinds(self, *more: Kind) -> Kinds:
        names = {kind.name for kind in more}
        return Kinds((*(kind for kind in self.kinds if kind.name not in names), *more))

    @property
    def all(self) -> Mapping[str, Kind]:
        return {kind.name: kind for kind in self.kinds}

    @property
    def folders(self) -> tuple[str, ...]:
        """Every top-level folder that is read."""
        return tuple(sorted({folder for kind in self.kinds for folder in kind.folders}))


DEFAULT_KINDS = Kinds(GROUND)
