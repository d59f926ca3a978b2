"""Where whole records are read out of the platform – a page, an export – and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clew.access.decision import Decision
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint
from clew.storage.blobs import Blobs
from clew.storage.engine import Database
from clew.storage.tables import Tables


@dataclass(frozen=True, slots=True)
class Source:
    """What is read, under whose rights, and the moment it is read at. `release`: what the trail says it was read under;
    `blobs`: where the contents of files are, for whoever proves signatures over them."""

    database: Database
    blueprint: Blueprint
    tables: Tables
    decision: Decision
    context: Context
    now: datetime
    release: str = ""
    blobs: Blobs | None = None
