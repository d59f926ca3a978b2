"""The verifier that goes along with evidence. `clew_verify.py` imports nothing of the platform, and nothing imports it:
it was written from docs/audit-format.md alone, so that two programs must agree before evidence holds."""
