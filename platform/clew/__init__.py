"""Clew: a folder of YAML becomes tables, a GraphQL API, running processes and an audit thread."""

__version__ = "0.1.0"
