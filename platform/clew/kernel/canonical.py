"""Canonical JSON (RFC 8785 order and escapes, decimals as strings) and SHA-256 digests over it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from clew.kernel.scalars import to_wire


def canonical_json(value: Any) -> bytes:
    """The one byte form of a value: keys sorted by code point, no spaces, UTF-8, scalars as on the wire.

    Floats are refused: a number that is not an int must come as Decimal and is written as a string.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: Any) -> str:
    """Lower-case hex SHA-256 of the canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(_plain(item) for item in value)
    if isinstance(value, float):
        raise TypeError("canonical JSON takes no float: use Decimal")
    return to_wire(value)
