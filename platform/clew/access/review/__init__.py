"""Review of policies: who may do what and why, in words; what a change would alter; what is unused. Pure, no I/O."""
