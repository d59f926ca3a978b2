"""Verification: whether the trail is whole, and if not, where it first is not."""
