"""The settings of a process: option, environment, file, default, in that order."""
