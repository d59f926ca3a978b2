"""Processes: working time, the pure machine, and the engine that runs it beside the records."""
