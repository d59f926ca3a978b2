"""Evidence: what the trail says of a record or a period, in a bundle that proves itself anywhere."""
