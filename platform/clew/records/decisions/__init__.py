"""Decisions on regulated actions: what was asked, what it was asked of, what came out; kept, replayed, listed."""
