"""What users get for their own tests: fresh databases on both engines, tiers, a clock that stands still."""

from clew.testing.clock import ManualClock
from clew.testing.databases import TestDatabase

__all__ = ["ManualClock", "TestDatabase"]
