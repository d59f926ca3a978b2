"""Judgement over given facts: what a caller may read, mask and do. Pure; it performs no I/O."""
