"""Change under life: diff two Blueprints, plan the steps, apply them so that a crash at any statement is harmless."""

from clew.storage.change.apply import OnStep, Signer, abandon, apply, resume
from clew.storage.change.differences import Change, diff
from clew.storage.change.install import install
from clew.storage.change.plan import Plan, plan
from clew.storage.change.survey import Consequence
from clew.storage.change.values import TextForms

__all__ = [
    "Change",
    "Consequence",
    "OnStep",
    "Plan",
    "Signer",
    "TextForms",
    "abandon",
    "apply",
    "diff",
    "install",
    "plan",
    "resume",
]
