"""Scenarios: what analysts expect of their processes, played with the real runtime on a database of its own."""
