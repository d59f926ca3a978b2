"""`clew release sign`: author and approver sign a bundle, each with an electronic signature of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import NAMESPACE_OID, uuid5

import typer

from clew.cli.bundle_files import NotPlanned, read_bundle, write_bundle
from clew.cli.identity_desk import Counter, PasswordStdin, at_counter
from clew.cli.options import BundleFile, Situation, common
from clew.cli.sealing import sealing_key
from clew.cli.signing import As, Totp, asked_password, prove
from clew.cli.usage import WrongUsage
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.cli.options import Situation
    from clew.storage.promotion.bundle import Bundle, Meaning

MeaningOption = Annotated[
    str, typer.Option("--meaning", help=t("authorship or approval.", "authorship(编制)或 approval(批准)。"))
]
SUBJECT = "clew.bundle"


class UnknownMeaning(WrongUsage):
    """A bundle is signed by its author and its approver only."""

    code = "UNKNOWN_MEANING"
    en, zh = "A bundle is signed for {known}, not {given}.", "发布包的签名含义为 {known},不能是 {given}。"


@common
def sign_command(
    given: Situation,
    bundle: BundleFile,
    signer: As,
    meaning: MeaningOption,
    password_stdin: PasswordStdin = False,
    totp: Totp = "",
) -> None:
    from typing import cast, get_args

    from clew.storage.promotion.bundle import Meaning

    if meaning not in get_args(Meaning):
        raise UnknownMeaning(given=meaning, known=" / ".join(get_args(Meaning)))
    found = read_bundle(bundle)
    if found.target is None:
        raise NotPlanned()
    password = asked_password(given, password_stdin)

    async def work(counter: Counter) -> Bundle:
        return await _sign(given, counter, found, cast("Meaning", meaning), (signer, password, totp))

    signed = at_counter(given, work)
    write_bundle(given.terminal, signed, bundle)


async def _sign(
    given: Situation, counter: Counter, bundle: Bundle, meaning: Meaning, who: tuple[str, str, str]
) -> Bundle:
    import sqlalchemy as sa

    from clew.records.signing.statements import Statement, sign_statement
    from clew.storage import system
    from clew.storage.promotion.bundle import Endorsement

    key = sealing_key(given.settings)
    signing = await prove(counter, *who)
    runtime, account = counter.runtime, signing.proof.account
    content = {"bundle": bundle.digest, **shown(bundle)}
    statement = Statement(SUBJECT, uuid5(NAMESPACE_OID, bundle.digest), f"bundle:{meaning}", meaning, content)

    async def work(connection: Any, at: Any) -> Bundle:
        database_id = await connection.fetch_value(sa.select(system.platform.c.database_id))
        blank = Endorsement(
            meaning, account.id, account.employee, account.login, account.name, at, bundle.digest, None, database_id, ""
        )
        bundle.signed(blank, key)  # who has signed is refused before anything is written
        signature = await sign_statement(
            connection,
            signing.context,
            signing.decision,
            signing.proof,
            statement,
            runtime.commands.engine,
        )
        given_at = {"at": signature.signed_at, "signature": signature.signature_id}
        fields = {name: getattr(blank, name) for name in Endorsement.__dataclass_fields__}
        return bundle.signed(Endorsement(**{**fields, **given_at}), key)

    return await counter.do(work)


def shown(bundle: Bundle) -> dict[str, Any]:
    """What the signer has in view: enough to know what it is, besides the digest of all of it."""
    export, target = bundle.export, bundle.target or {}
    return {
        "project": export["project"],
        "origin": export["origin"],
        "blueprint_digest": export["blueprint_digest"],
        "tests": export["tests"],
        "note": export["note"],
        "plan": target["plan"]["id"],
        "consents": target["consents"],
        "access": target["access"],
    }
