"""THE read path: a relational plan, compiled with the caller's decision into one SQL statement."""
