"""Benchmarks: ratios against named baselines, measured in one run on one machine. Never run as tests."""
