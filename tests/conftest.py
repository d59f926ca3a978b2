"""Shared by all tests. The fixtures for databases and tiers come from `clew.testing.plugin`, as a user's do."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A slow machine is not a failure: no test judges by the clock.
_PATIENT = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("clew", deadline=None, suppress_health_check=_PATIENT)
settings.load_profile("clew")
