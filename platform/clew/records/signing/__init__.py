"""Electronic signatures on records: what a version contains, who may sign it, whether it is still what was signed."""
