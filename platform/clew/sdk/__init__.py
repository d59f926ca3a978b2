"""What a plugin may import: hook markers and the values that hooks are given."""

from clew.sdk.actions import Act, Refused, Row, Within, Work
from clew.sdk.channels import Message, Recipient, Send
from clew.sdk.hooks import Hooks, hookimpl
from clew.sdk.seeds import Loading, Move, SeedOrder

__all__ = [
    "Act", "Hooks", "Loading", "Message", "Move", "Recipient", "Refused", "Row", "SeedOrder", "Send", "Within", "Work",
    "hookimpl",
]  # fmt: skip
