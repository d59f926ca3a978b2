"""Simulation: thousands of cases through a process, with arrivals, people, durations and a working calendar."""
