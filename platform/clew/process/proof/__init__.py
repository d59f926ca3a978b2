"""Proof: the whole state space of a process, walked with the machine itself before anybody's record is in it."""
