"""Promotion: what environment a database is, and how a release comes into production: tested, signed by two."""
