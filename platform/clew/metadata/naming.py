"""All names that are derived from the analyst's names. Nobody else makes one."""

from __future__ import annotations

from functools import lru_cache

_IRREGULAR = {
    "person": "people",
    "child": "children",
    "criterion": "criteria",
    "datum": "data",
    "index": "indexes",
    "matrix": "matrices",
    "analysis": "analyses",
    "basis": "bases",
    "diagnosis": "diagnoses",
    "axis": "axes",
    "hypothesis": "hypotheses",
    "appendix": "appendices",
    "bom": "boms",
    "leaf": "leaves",
    "shelf": "shelves",
    "half": "halves",
    "life": "lives",
    "quiz": "quizzes",
    "foot": "feet",
    "medium": "media",
    "addendum": "addenda",
    "erratum": "errata",
    "curriculum": "curricula",
    "corrigendum": "corrigenda",
}
_UNCOUNTED = frozenset(
    {
        "equipment",
        "information",
        "staff",
        "series",
        "species",
        "software",
        "hardware",
        "evidence",
        "news",
        "stock",
        "training",
        "personnel",
        "feedback",
        "advice",
    }
)

RESERVED_FIELDS = frozenset(
    {
        "id",
        "row_version",
        "created_at",
        "created_by",
        "updated_at",
        "updated_by",
        "voided_at",
        "void_reason",
        "source_system",
        "external_id",
        "thread_id",
        "site",
        "state",
        "number",
        "corrects",
        "legal_hold",
    }
)
"""Envelope and trait fields. Those that ALWAYS_RESERVED leaves out are free where the trait is absent."""

ALWAYS_RESERVED = RESERVED_FIELDS - {"site", "state", "number", "corrects", "legal_hold"}

RESERVED_MEMBERS = frozenset(
    {
        "history",
        "audit",
        "signatures",
        "old",
        "user",
        "now",
        "today",
        "this",
        "true",
        "false",
        "null",
        "in",
        "typename",
        "as_of",
        "node_id",
        "cursor",
        "and",
        "or",
        "not",
        "row_number",
    }
)
"""Names that mean something else on every record: API features and words of the expression language."""

RESERVED_TYPES = frozenset(
    {
        "query",
        "mutation",
        "subscription",
        "node",
        "page_info",
        "date",
        "date_time",
        "datetime",
        "decimal",
        "money",
        "duration",
        "json",
        "file",
        "upload",
        "big_int",
        "int",
        "float",
        "string",
        "boolean",
        "id",
        "person",
        "user",
        "audit_entry",
        "signature",
        "translated",
        "release",
        "explain",
        "viewer",
    }
)
"""Entity names that would hide a type of the API's own."""


@lru_cache(maxsize=8192)
def type_name(name: str) -> str:
    """`purchase_order_line` → `PurchaseOrderLine`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part)


@lru_cache(maxsize=16384)
def field_name(name: str) -> str:
    """`supplier_lot` → `supplierLot`."""
    whole = type_name(name)
    return whole[:1].lower() + whole[1:]


@lru_cache(maxsize=8192)
def plural(name: str) -> str:
    """The English plural of a snake_case name: its last word is bent (`purchase_order` → `purchase_orders`)."""
    head, _, word = name.rpartition("_")
    bent = _plural_word(word)
    return f"{head}_{bent}" if head else bent


def _plural_word(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _UNCOUNTED:
        return word if word.endswith("s") else f"{word}s"
    if word.endswith("y") and word[-2:-1] not in ("a", "e", "i", "o", "u", ""):
        return f"{word[:-1]}ies"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    return f"{word}s"


def human(name: str) -> str:
    """`supplier_lot` → `Supplier lot`: an English label where none is given."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


# GraphQL operations of an entity. `many` is the entity's plural as in the blueprint.


def list_query(many: str) -> str:
    """`lots`."""
    return field_name(many)


def one_query(entity: str) -> str:
    """`lot`."""
    return field_name(entity)


def key_query(entity: str, key: tuple[str, ...]) -> str:
    """`lotByNumber`, `supplierItemBySupplierAndItem`."""
    return f"{field_name(entity)}By{'And'.join(type_name(each) for each in key)}"


def create_mutation(entity: str) -> str:
    return f"create{type_name(entity)}"


def update_mutation(entity: str) -> str:
    return f"update{type_name(entity)}"


def void_mutation(entity: str) -> str:
    return f"void{type_name(entity)}"


def upsert_mutation(entity: str) -> str:
    return f"upsert{type_name(entity)}"


def correct_mutation(entity: str) -> str:
    return f"correct{type_name(entity)}"


def bulk_mutation(many: str) -> str:
    return f"create{type_name(many)}"


def transition_mutation(entity: str, transition: str) -> str:
    """`releaseLot`."""
    return f"{field_name(transition)}{type_name(entity)}"


def enum_name(code_list: str) -> str:
    """The GraphQL enum of a code list: `SeverityCode`."""
    return f"{type_name(code_list)}Code"


MAX_PHYSICAL = 63
"""What PostgreSQL keeps of a name, in bytes."""


def physical_tables(entity: str) -> tuple[str, ...]:
    """The longest tables an entity may need; every one must fit `MAX_PHYSICAL`."""
    return (entity, f"{entity}__history", f"{entity}__gram")


def physical_links(entity: str, field: str) -> tuple[str, ...]:
    """The tables of a many-to-many field."""
    return (f"{entity}__{field}", f"{entity}__{field}__history")


PATH = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){0,8}"
"""A path of field names: `item.base_uom`."""


SHARED_TYPES = (
    "Query", "Mutation", "Subscription", "Node", "PageInfo", "Money", "File", "Translated", "AuditEntry", "AuditChange",
    "SortDirection", "Voided", "MoneyInput", "TranslatedInput", "FileInput", "LinksInput", "RuleWarning", "BulkRow",
    "BulkMode", "Signature", "SignatureConnection",
    "SignatureEdge", "Signable", "SignatureInput",
    "DecisionRecord", "DecisionCheck", "DecisionReplay", "DecisionVerdict", "DecisionDifference",
    "TextFilter", "IdFilter", "IntFilter", "BigIntFilter", "DecimalFilter", "DateFilter",
    "DateTimeFilter", "DurationFilter", "BooleanFilter", "MoneyFilter", "TranslatedFilter", "PresenceFilter",
    "String", "Int", "Float", "Boolean", "ID", "Decimal", "Date", "DateTime", "Duration", "BigInt", "JSON", "Cursor",
)  # fmt: skip
"""Types of the API that no project brings."""
ENTITY_TYPES = (
    "", "Connection", "Edge", "Where", "Some", "Order", "Aggregate", "Min", "Max", "Sum", "Avg", "Distinct",
    "Group", "GroupKey", "GroupField", "Version", "CreateInput", "UpdateInput", "ChangeInput", "ChangesInput",
    "Payload", "BulkPayload",
)  # fmt: skip
"""Suffixes of the types each entity may bring."""
STATE_TYPES = ("State", "StateFilter")
"""The same of one that has states."""


def code_types(code_list: str) -> tuple[str, ...]:
    """The types a code list brings."""
    name = enum_name(code_list)
    return (name, f"{name}Filter", f"{name}sFilter")
