"""The trail: leaves written with every change, later sealed and verified."""
