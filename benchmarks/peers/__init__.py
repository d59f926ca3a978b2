"""The servers Clew is measured against, on the same PostgreSQL and the same tables."""
