"""The composition root: one frozen Runtime per release, and the host that swaps it for a newer one.

Nothing else in the platform builds these parts, and none of them finds another by itself.
"""

from clew.runtime.assembly import assemble
from clew.runtime.features import api_features
from clew.runtime.host import TEXTS, RuntimeHost, open_runtime
from clew.runtime.identity import IdentityParts, identity_desk, identity_parts
from clew.runtime.project import ProjectInvalid, stored_blueprint, usable
from clew.runtime.release import OPERATOR, Runtime

__all__ = [
    "OPERATOR",
    "TEXTS",
    "IdentityParts",
    "ProjectInvalid",
    "Runtime",
    "RuntimeHost",
    "api_features",
    "assemble",
    "identity_desk",
    "identity_parts",
    "open_runtime",
    "stored_blueprint",
    "usable",
]
