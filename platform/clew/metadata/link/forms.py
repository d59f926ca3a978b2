"""Forms: every field there, every control fitting, every condition typed; and what a step asks for is on its form."""

from __future__ import annotations

from dataclasses import dataclass

from clew.expressions.tree import Checked
from clew.kernel.text import Bilingual
from clew.metadata import naming, rules, rules_process
from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.documents import Document
from clew.metadata.form_defaults import READOUT, WIDGETS, writable
from clew.metadata.forms import Form, FormField, Section
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.source import AnyNode, find
from clew.metadata.spec.form import FormFieldSpec, FormSpec, SectionSpec
from clew.metadata.spec.words import text_of
from clew.metadata.spec.workflow import StepSpec


def link_forms(linking: Linking, expressions: Expressions) -> None:
    """Every form of the project, by name."""
    for document in linking.documents.get("form", ()):
        spec = document.spec
        assert isinstance(spec, FormSpec)
        earlier = linking.forms.get(spec.form)
        if earlier is not None:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="forms",
                kind_zh="表单",
                name=spec.form,
                related=[earlier.place],
            )
            continue
        entity = linking.entities.get(spec.for_)
        if entity is None:
            linking.unknown(rules.UNKNOWN_ENTITY, document.at("for"), spec.for_, linking.entities, "for")
            linking.holes.add(spec.form)
            continue
        linking.forms[spec.form] = _Reader(linking, expressions, document, spec, entity).form()


@dataclass(slots=True)
class _Reader:
    linking: Linking
    expressions: Expressions
    document: Document
    spec: FormSpec
    entity: Entity

    def form(self) -> Form:
        spec = self.spec
        for index, name in enumerate(spec.read_only):
            self._known(name, find(self.document.node, "read_only", index), "read_only")
        sections = tuple(self._section(each, at) for at, each in enumerate(spec.sections))
        form = Form(
            spec.form,
            self.linking.label(f"form.{spec.form}", text_of(spec.label), Bilingual("", naming.human(spec.form))),
            self.document.place,
            spec.for_,
            sections,
            text_of(spec.help),
            spec.phone,
        )
        seen: set[str] = set()
        for _, each in form.fields():
            if each.name in seen:
                self.linking.findings.add(
                    rules_process.FORM_TWICE, self.document.at("sections"), path="sections", name=each.name
                )
            seen.add(each.name)
        return form

    def _section(self, spec: SectionSpec, at: int) -> Section:
        node, where = find(self.document.node, "sections", at), f"sections.{at}"
        fields = [
            self._field(each, find(node, "fields", index), f"{where}.fields.{index}")
            for index, each in enumerate(spec.fields)
        ]
        return Section(
            text_of(spec.title),
            tuple(each for each in fields if each is not None),
            text_of(spec.help),
            self._condition(spec.visible_when, find(node, "visible_when"), f"{where}.visible_when"),
            spec.columns,
            spec.folded,
        )

    def _field(self, spec: FormFieldSpec, node: AnyNode, where: str) -> FormField | None:
        named = [each for each in (spec.field, spec.scan, spec.camera) if each is not None]
        if len(named) != 1:
            self.linking.findings.add(rules_process.FORM_FIELD, node.place, path=where)
            return None
        name = named[0]
        if not self._known(name, node, where):
            return None
        field = self.entity.fields.get(name)
        fixed = name in self.spec.read_only or field is None or not writable(field)
        widget: str = spec.widget or ("scan" if spec.scan else "camera" if spec.camera else "")
        if field is not None and not fixed:
            fitting = WIDGETS[field.kind]
            if widget and widget not in (*fitting, READOUT):
                self.linking.findings.add(
                    rules_process.FORM_WIDGET,
                    node.place,
                    path=where,
                    name=name,
                    widget=widget,
                    fitting=", ".join(fitting),
                )
            widget = widget or fitting[0]
            fixed = widget == READOUT
        if fixed and (spec.required or spec.required_when):
            self.linking.findings.add(rules_process.FORM_READ_ONLY, node.place, path=where, name=name)
        default = None
        if spec.default is not None and field is not None:
            default = self.expressions.value(
                spec.default, find(node, "default"), self.entity.name, field, f"{where}.default"
            )
        return FormField(
            name,
            READOUT if fixed else widget,
            text_of(spec.label),
            text_of(spec.help),
            spec.accept,
            spec.width,
            self._columns(spec, field.target if field is not None and field.targets else "", node, where),
            self._condition(spec.visible_when, find(node, "visible_when"), f"{where}.visible_when"),
            spec.required or (field is not None and field.required and not fixed),
            self._condition(spec.required_when, find(node, "required_when"), f"{where}.required_when"),
            fixed,
            self._condition(spec.read_only_when, find(node, "read_only_when"), f"{where}.read_only_when"),
            default,
        )

    def _columns(self, spec: FormFieldSpec, target: str, node: AnyNode, where: str) -> tuple[str, ...]:
        line = self.linking.entities.get(target)
        for name in spec.columns:
            if line is None or name not in line.fields:
                known = line.fields if line is not None else ()
                place = find(node, "columns").place
                self.linking.unknown(rules.UNKNOWN_FIELD, place, name, known, f"{where}.columns", entity=target)
        return spec.columns

    def _condition(self, text: str | None, node: AnyNode, where: str) -> Checked | None:
        return self.expressions.condition(text, node, self.entity.name, where)

    def _known(self, name: str, node: AnyNode, where: str) -> bool:
        if name in self.entity.fields or name in self.entity.inverses:
            return True
        known = (*self.entity.fields, *self.entity.inverses)
        self.linking.unknown(rules.UNKNOWN_FIELD, node.place, name, known, where, entity=self.entity.name)
        return False


def form_of_step(linking: Linking, spec: StepSpec, node: AnyNode, entity: str, where: str) -> Form | None:
    """The form a step names, which must show what the step asks for; None with what is wrong."""
    if spec.form is None:
        return None
    place = find(node, "form").place
    form = linking.forms.get(spec.form)
    if form is None:
        linking.unknown(rules_process.UNKNOWN_FORM, place, spec.form, linking.forms, f"{where}.form")
        return None
    if form.entity != entity:
        linking.findings.add(
            rules.BAD_VALUE,
            place,
            path=f"{where}.form",
            value=spec.form,
            reason=f"it shows {form.entity}",
            reason_zh=f"它显示的是 {form.entity}",
        )
        return None
    asked = {each.name for _, each in form.fields() if not each.read_only}
    for name in spec.output:
        field = linking.entities[entity].fields.get(name)
        if name not in asked and field is not None and field.kind is not FieldKind.NUMBER and name != spec.choose:
            linking.findings.add(
                rules_process.FORM_LACKS, place, path=f"{where}.form", form=form.name, name=name, related=[form.place]
            )
    for _, each in form.fields():
        if (each.required or each.required_when) and not each.read_only and each.name not in spec.output:
            declared = linking.entities[entity].fields[each.name].required
            if each.required_when or not declared:
                linking.findings.add(
                    rules_process.FORM_NOT_ASKED, place, path=f"{where}.form", form=form.name, name=each.name
                )
    return form
