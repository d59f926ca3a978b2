"""`clew docs`: the data dictionary of a project as a static site in both languages."""

from clew.cli.dictionary.site import site

__all__ = ["site"]
