"""What the group makes: its product families, and what is known of each variant once it has been designed."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.world import World

COMPANY = "6901234"
GERMAN_COMPANY = "4012345"


@dataclass(frozen=True, slots=True)
class Family:
    code: str
    site: str
    zh: str
    en: str
    classes: tuple[str, str, str]
    """Risk class in China, the EU and the US."""
    markets: tuple[str, ...]
    implantable: bool
    sterile: bool
    active: bool
    trace: str
    shelf_days: int | None
    variants: tuple[str, ...]
    parts: tuple[tuple[str, str, str, str], ...]
    """Bought parts of the semi-finished product: name, unit, quantity, criticality."""


FAMILIES = (
    Family(
        "CS",
        "SUZ",
        "药物洗脱冠脉支架",
        "Drug-eluting coronary stent",
        ("III", "III", "III"),
        ("CN", "EU"),
        True,
        True,
        False,
        "lot",
        730,
        ("2.5×18mm", "3.0×18mm", "3.5×23mm", "4.0×28mm"),
        (
            ("钴铬合金管材", "mm", "20", "A"),
            ("雷帕霉素涂层液", "ml", "0.05", "A"),
            ("输送导管", "pcs", "1", "A"),
            ("球囊", "pcs", "1", "A"),
        ),
    ),
    Family(
        "PM",
        "SUZ",
        "植入式心脏起搏器",
        "Implantable pacemaker",
        ("III", "III", "III"),
        ("CN",),
        True,
        True,
        True,
        "lot",
        540,
        ("单腔", "双腔", "三腔", "无导线"),
        (
            ("钛合金外壳", "pcs", "2", "A"),
            ("锂碘电池", "pcs", "1", "A"),
            ("控制电路板", "pcs", "1", "A"),
            ("连接头组件", "pcs", "1", "A"),
        ),
    ),
    Family(
        "GW",
        "SUZ",
        "亲水涂层导丝",
        "Hydrophilic guide wire",
        ("III", "III", "II"),
        ("CN", "US"),
        False,
        True,
        False,
        "lot",
        1095,
        ("0.014in", "0.018in", "0.035in", "0.038in"),
        (("镍钛丝", "m", "1.9", "A"), ("亲水涂料", "ml", "0.3", "B"), ("显影环", "pcs", "1", "B")),
    ),
    Family(
        "IV",
        "CTU",
        "一次性使用输液器",
        "Infusion set for single use",
        ("III", "IIa", "II"),
        ("CN",),
        False,
        True,
        False,
        "lot",
        1095,
        ("带针 0.7mm", "带针 0.9mm", "精密过滤", "避光"),
        (
            ("医用PVC粒料", "g", "14.5", "B"),
            ("静脉针", "pcs", "1", "A"),
            ("药液过滤器", "pcs", "1", "A"),
            ("滴斗", "pcs", "1", "B"),
        ),
    ),
    Family(
        "OR",
        "CTU",
        "金属锁定接骨板",
        "Locking bone plate",
        ("III", "IIb", "II"),
        ("CN", "EU"),
        True,
        False,
        False,
        "lot",
        None,
        ("直型 6孔", "直型 8孔", "T型 3孔", "L型 5孔"),
        (("TC4钛合金板材", "g", "46", "A"), ("锁定螺钉", "pcs", "6", "A")),
    ),
    Family(
        "MO",
        "TUT",
        "多参数监护仪",
        "Multi-parameter patient monitor",
        ("II", "IIb", "II"),
        ("EU", "US"),
        False,
        False,
        True,
        "serial",
        None,
        ("M8", "M10", "M12", "M15"),
        (
            ("Display module 12in", "pcs", "1", "B"),
            ("ECG acquisition board", "pcs", "1", "A"),
            ("SpO2 sensor", "pcs", "1", "A"),
            ("Power supply", "pcs", "1", "A"),
            ("Housing", "set", "1", "C"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a structure: its record, the component, the quantity per piece, whether lots are traced."""

    id: UUID
    component: UUID
    qty: Decimal
    traced: bool


@dataclass(slots=True)
class Product:
    """A finished variant with all that is needed to make, test and sell it."""

    family: Family
    item: UUID
    semi: UUID
    parts: list[tuple[UUID, Decimal]]
    pack: UUID
    label: UUID
    bom: UUID
    semi_bom: UUID
    bom_lines: list[Line]
    semi_lines: list[Line]
    routing: UUID | None = None
    operations: list[UUID] = field(default_factory=list)
    plan: UUID | None = None
    characteristics: list[tuple[UUID, str]] = field(default_factory=list)
    requirement: UUID | None = None
    devices: dict[str, UUID] = field(default_factory=dict)
    di: dict[str, str] = field(default_factory=dict)
    label_template: UUID | None = None
    sterilisation: UUID | None = None


@dataclass(slots=True)
class Introduction:
    """The change order under which a family was first released; it lists every revision it released."""

    world: World
    order: UUID
    born: float

    def lists(self, entity: str, identity: UUID, revision: str) -> None:
        self.world.add(
            "affected_item",
            self.world.ago(self.born - 1),
            to="done",
            change_order=self.order,
            object=AnyRef(entity, identity),
            action="add",
            to_rev=revision,
            stock_disposition="use",
            wip_disposition="use",
            open_po_disposition="use",
        )
