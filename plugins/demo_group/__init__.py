"""Demonstration data for the medical-device pack: a believable group with three sites, always the same story."""
