"""Signing a transition: the argument `signature`, and the proof it becomes before the transaction begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLArgument, ObjectValueNode, VariableNode

from clew.api.build import Build, required
from clew.api.planner import Selected
from clew.kernel.context import Context
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Transition
from clew.records.errors import SignatureRequired
from clew.records.signing.errors import ComponentsMissing, SecretInDocument
from clew.records.signing.proven import COMPONENTS, PERSONAL, Proof, Prover, Signing, enough

ARGUMENT = "signature"


def signature_argument(build: Build, move: Transition) -> tuple[str, Callable[[], GraphQLArgument]]:
    """The argument of a transition that takes a signature."""
    text = build.say(f"电子签名,含义:{move.sign}", f"Electronic signature; it means: {move.sign}")
    return ARGUMENT, lambda: GraphQLArgument(required(build.type("SignatureInput")), description=text)


async def proven(prover: Prover | None, context: Context, move: Transition, args: Mapping[str, Any]) -> Signing:
    """What the signer gave, checked. A secret that is wrong is counted by whoever checks it."""
    if prover is None:
        raise SignatureRequired(transition=move.label, meaning=move.sign)
    given = args[ARGUMENT]
    return Signing(await proof_of(prover, context, given), args["rowVersion"], given["digest"], given["meaning"])


async def proof_of(prover: Prover, context: Context, given: Mapping[str, Any]) -> Proof:
    """The components that were given, checked before any transaction: proving a secret takes its time."""
    components = {name: given[name] for name in COMPONENTS if given.get(name)}
    if not enough(frozenset(components), continuing=True):
        # Spares a slow check, and a try that could not have led to a signature.
        needed = Bilingual("个人密码、PIN 或动态口令", "a secret of yours: password, PIN or one-time code")
        raise ComponentsMissing(path=[ARGUMENT], needed=needed, given=", ".join(components) or "–")
    return await prover.prove(context, components)


def refuse_written_secrets(selected: Selected) -> None:
    """Documents are kept and shared; what is secret has no place in their text."""
    for node in selected.nodes:
        for argument in node.arguments or ():
            if argument.name.value != ARGUMENT or not isinstance(argument.value, ObjectValueNode):
                continue
            for field in argument.value.fields:
                if field.name.value in PERSONAL and not isinstance(field.value, VariableNode):
                    raise SecretInDocument(path=[ARGUMENT, field.name.value], field=field.name.value)
