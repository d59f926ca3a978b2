"""Decision tables: columns typed, cells read, gaps and overlaps found with a case that shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from clew.expressions.cells import Axis, CellError, Points, literal, read_cell, texts_of
from clew.expressions.numbers import LIMIT
from clew.expressions.tables import MAX_ROWS, Hit, Input, Output, Row, Table, Together
from clew.expressions.tree import Base, Type
from clew.kernel.canonical import digest_of_wire
from clew.kernel.text import Bilingual
from clew.metadata import naming, rules, rules_process
from clew.metadata.compile import meaning
from clew.metadata.decisions import DecisionTable
from clew.metadata.documents import Document
from clew.metadata.link.decision_checks import check_examples, check_table
from clew.metadata.link.project import Linking
from clew.metadata.source import AnyNode, find, place_of
from clew.metadata.spec.decision import DecisionSpec, InputSpec, OutputSpec
from clew.metadata.spec.words import text_of

_BASES = {
    "integer": Base.INTEGER,
    "decimal": Base.DECIMAL,
    "boolean": Base.BOOLEAN,
    "date": Base.DATE,
    "text": Base.TEXT,
    "choice": Base.TEXT,
}
_BOUNDS = {Base.BOOLEAN: (0, 1), Base.DATE: (1, 3_652_059)}


def link_decisions(linking: Linking) -> None:
    """Every table of the project, by name."""
    for document in linking.documents.get("decision", ()):
        spec = document.spec
        assert isinstance(spec, DecisionSpec)
        earlier = linking.decisions.get(spec.decision)
        if earlier is not None:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="decision tables",
                kind_zh="决策表",
                name=spec.decision,
                related=[earlier.place],
            )
            continue
        before = len(linking.findings)
        table = _Reader(linking, document, spec).table()
        if table is None:
            linking.holes.add(spec.decision)
            continue
        if len(linking.findings) == before:
            check_table(linking, document, table, spec.default == "refuse")
            check_examples(linking, document, spec, table)
        linking.decisions[spec.decision] = _named(linking, document, spec, table)


def _named(linking: Linking, document: Document, spec: DecisionSpec, table: Table) -> DecisionTable:
    columns: dict[str, InputSpec | OutputSpec] = {**spec.inputs, **spec.outputs}
    labels = {
        name: linking.label(f"decision.{spec.decision}.{name}", text_of(each.label), Bilingual("", naming.human(name)))
        for name, each in columns.items()
    }
    return DecisionTable(
        spec.decision,
        linking.label(f"decision.{spec.decision}", text_of(spec.label), Bilingual("", naming.human(spec.decision))),
        document.place,
        replace(table, version=digest_of_wire(meaning(table))),
        text_of(spec.help),
        spec.source,
        spec.owner or "",
        MappingProxyType(labels),
    )


@dataclass(slots=True)
class _Reader:
    """Reads one table; what is wrong is reported."""

    linking: Linking
    document: Document
    spec: DecisionSpec

    def table(self) -> Table | None:
        spec = self.spec
        inputs = [self._input(name, each) for name, each in spec.inputs.items()]
        outputs = [self._output(name, each) for name, each in spec.outputs.items()]
        if set(spec.inputs) & set(spec.outputs):
            name = min(set(spec.inputs) & set(spec.outputs))
            self._bad("outputs", name, "an input has this name", "与输入同名")
        if len(spec.rows) > MAX_ROWS:
            self._bad("rows", str(len(spec.rows)), f"{MAX_ROWS} rows are allowed", f"最多 {MAX_ROWS} 行")
        sure_inputs, sure_outputs = [each for each in inputs if each], [each for each in outputs if each]
        if len(sure_inputs) < len(inputs) or len(sure_outputs) < len(outputs):
            return None
        sure_inputs = [self._texts(at, each) for at, each in enumerate(sure_inputs)]
        rows = [self._row(at, sure_inputs, sure_outputs) for at in range(len(spec.rows))]
        good = [each for each in rows if each is not None]
        default = None
        if isinstance(spec.default, tuple):
            default = self._values(spec.default, find(self.document.node, "default"), sure_outputs, "default", 0)
        hit, together = Hit(spec.hit), Together(spec.together)
        self._policy(hit, together, sure_outputs)
        if hit is Hit.PRIORITY and spec.priority:
            good = self._by_priority(good, sure_outputs[0])
        return Table(spec.decision, tuple(sure_inputs), tuple(sure_outputs), tuple(good), hit, together, default)

    # ── columns ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _input(self, name: str, spec: InputSpec) -> Input | None:
        where = f"inputs.{name}"
        type_ = self._type(spec, where, spec.optional)
        if type_ is None:
            return None
        low, high = _BOUNDS.get(type_.base, (1 - LIMIT, LIMIT - 1))
        axis = Axis(type_, low, high, type_.codes or (), type_.codes is not None)
        if type_.codes is not None:
            axis = replace(axis, low=0, high=len(type_.codes) - 1)
        for key in ("min", "max"):
            given = getattr(spec, key)
            if given is None:
                continue
            if type_.base in (Base.TEXT, Base.BOOLEAN):
                self._bad(f"{where}.{key}", str(given), "values of this type have no order", "此类型没有大小之分")
                continue
            value = self._literal(given, type_, find(self.document.node, "inputs", name, key), f"{where}.{key}")
            point = None if value is None else axis.point(value)
            if point is not None:
                axis = replace(axis, low=point) if key == "min" else replace(axis, high=point)
        if axis.low > axis.high:
            self._bad(where, str(spec.max), "min is above max", "min 大于 max")
            return None
        if spec.values:
            node = find(self.document.node, "inputs", name, "values")
            values = [
                self._literal(each, type_, find(node, at), f"{where}.values") for at, each in enumerate(spec.values)
            ]
            if type_.base is Base.TEXT:
                texts = tuple(str(each) for each in values if each is not None)
                axis = Axis(replace(type_, codes=texts), 0, len(texts) - 1, texts, True)
            else:
                points = {axis.point(each) for each in values if each is not None}
                axis = replace(axis, allowed=tuple(sorted(each for each in points if each is not None)))
        return Input(name, axis)

    def _output(self, name: str, spec: OutputSpec) -> Output | None:
        type_ = self._type(spec, f"outputs.{name}", False)
        return None if type_ is None else Output(name, type_)

    def _type(self, spec: InputSpec | OutputSpec, where: str, nullable: bool) -> Type | None:
        codes: tuple[str, ...] | None = None
        if spec.type == "choice":
            codes = spec.of
            if len(spec.of) == 1:
                listed = self.linking.code_lists.get(spec.of[0])
                if listed is None:
                    place = self.document.at(*where.split("."), "of")
                    self.linking.unknown(rules.UNKNOWN_CODE_LIST, place, spec.of[0], self.linking.code_lists, where)
                    return None
                codes = tuple(listed.codes)
            if not codes:
                self._bad(where, "choice", "`of` must name its code list or codes", "须用 `of` 写明代码表或代码")
                return None
        elif spec.of:
            self._bad(where, ", ".join(spec.of), "only a choice has codes", "只有 choice 才有代码")
        return Type(_BASES[spec.type], nullable, scale=spec.scale if spec.type == "decimal" else 0, codes=codes)

    def _texts(self, at: int, known: Input) -> Input:
        """The texts a free column's cells name: everything else is one other text."""
        axis = known.axis
        if axis.type.base is not Base.TEXT or axis.closed:
            return known
        texts = tuple(dict.fromkeys(text for row in self.spec.rows if at < len(row) for text in texts_of(row[at])))
        return Input(known.name, replace(axis, texts=texts, low=0, high=len(texts)))

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _row(self, at: int, inputs: list[Input], outputs: list[Output]) -> Row | None:
        given, node, where = self.spec.rows[at], find(self.document.node, "rows", at), f"rows.{at}"
        if not self._wide(given, node, len(inputs) + len(outputs), where):
            return None
        cells: list[Points | None] = []
        for column, each in enumerate(inputs):
            try:
                cells.append(read_cell(given[column], each.axis))
            except CellError as error:
                self._cell(find(node, column), f"{where}.{each.name}", error)
                cells.append(None)
        values = self._values(given[len(inputs) :], node, outputs, where, len(inputs))
        sure = [each for each in cells if each is not None]
        if values is None or len(sure) < len(cells):
            return None
        return Row(tuple(sure), values, at + 1, node.place)

    def _values(
        self, given: tuple[Any, ...], node: AnyNode, outputs: list[Output], where: str, first: int
    ) -> tuple[Any, ...] | None:
        if not self._wide(given, node, len(outputs), where):
            return None
        values = [
            self._literal(given[at], each.type, find(node, first + at), f"{where}.{each.name}")
            for at, each in enumerate(outputs)
        ]
        return None if None in values else tuple(values)

    def _wide(self, given: tuple[Any, ...], node: AnyNode, wanted: int, where: str) -> bool:
        if len(given) == wanted:
            return True
        self.linking.findings.add(rules_process.DECISION_WIDTH, node.place, path=where, count=len(given), wanted=wanted)
        return False

    def _literal(self, given: Any, type_: Type, node: AnyNode, where: str) -> Any:
        try:
            return literal(given, type_, type_.codes)
        except CellError as error:
            self._cell(node, where, error)
            return None

    def _policy(self, hit: Hit, together: Together, outputs: list[Output]) -> None:
        if together is not Together.LIST and hit is not Hit.COLLECT:
            self._bad("together", together, "only `hit: collect` has it", "仅用于 `hit: collect`")
        counted = together in (Together.SUM, Together.MIN, Together.MAX)
        unfit = [each.name for each in outputs if not each.type.numeric and counted]
        if unfit:
            self._bad("together", together, f"{unfit[0]} is no number", f"{unfit[0]} 不是数字")
        if (hit is Hit.PRIORITY) != bool(self.spec.priority):
            where = "priority" if self.spec.priority else "hit"
            self._bad(
                where, self.spec.hit, "`hit: priority` and `priority` go together", "`hit: priority` 须写 `priority`"
            )

    def _by_priority(self, rows: list[Row], output: Output) -> list[Row]:
        node = find(self.document.node, "priority")
        order = [
            self._literal(each, output.type, find(node, at), "priority") for at, each in enumerate(self.spec.priority)
        ]
        for row in rows:
            if row.then[0] not in order:
                self._bad("priority", str(row.then[0]), "it has no place in the order", "未列入优先次序")
                return rows
        return sorted(rows, key=lambda row: (order.index(row.then[0]), row.number))

    def _cell(self, node: AnyNode, where: str, error: CellError) -> None:
        self.linking.findings.add(
            rules_process.DECISION_CELL, node.place, path=where, reason=error.reason.en, reason_zh=error.reason.zh
        )

    def _bad(self, where: str, value: str, reason: str, reason_zh: str) -> None:
        place = place_of(self.document.node, *where.split("."))
        self.linking.findings.add(rules.BAD_VALUE, place, path=where, value=value, reason=reason, reason_zh=reason_zh)
