"""Change under life: diff two Blueprints, plan the steps, apply them so that a crash at any statement is harmless."""

from clew.storage.change.install import install

__all__ = ["install"]
