"""Work that is done later, by exactly one worker at a time: timers, dispatch, sealing, scheduled runs."""
