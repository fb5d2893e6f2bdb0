"""Have an authority, ours or imported, signed by another parent too, so that whoever trusts that one trusts it as well."""

from datetime import timedelta

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Authority
from ostiary.model.cross_sign import CrossSign
from ostiary.model.fields import Private
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.signing import certificates_above, limits, open_issuer, parsed, store_authority, the_parent
from ostiary.ops.system import System
from ostiary.pki.cross_sign import cross_sign as sign
from ostiary.pki.urls import below
from ostiary.store.kinds import AUTHORITY


@asks()
def cross_sign(system: System, caller: Caller, authority_id: str, wanted: CrossSign) -> Authority:
    """The authority's second certificate. It has no key of its own: the authority itself signs, lists and answers.

    Raises `NotFound`, and `Invalid` for what neither the authority nor the parent may do.
    """
    with change(system, caller, "authority:cross-sign") as transaction:
        subject = transaction.require(AUTHORITY, authority_id)
        if subject.cross_of is not None:
            raise Invalid("authority_id", f"it is a cross-signed certificate itself; cross-sign authority {subject.cross_of}")
        if subject.revoked_at is not None:
            raise Invalid("authority_id", "it was revoked; cross-sign another")
        parent = the_parent(transaction, wanted.parent_id)
        signed = sign(
            parsed(subject),
            open_issuer(system, parent, "parent_id"),
            timedelta(days=wanted.lifetime_days),
            transaction.at,
            # Whoever has no key here proves by the signature on its own certificate that it holds one.
            holder=open_issuer(system, subject).key if subject.has_key else None,
            above=certificates_above(transaction, parent),
            limits=limits(wanted.path_length, wanted.name_constraints),
            urls=below(system.public_url, parent.id),
        )
        return store_authority(
            transaction,
            signed,
            Private(b""),
            id=new_id(),
            name=wanted.name or f"{subject.name} by {parent.name}"[:255],
            kind="intermediate",
            parent_id=parent.id,
            cross_of=subject.id,
            project_id=subject.project_id,
        )
