"""Authorities: make a root or intermediate, import a CA certificate to trust, read, delete."""

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Authority, NewAuthority
from ostiary.model.fields import Private
from ostiary.model.query import Page, Query
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.secrets import refuse_if_held
from ostiary.ops.signing import make_authority, new_key, store_authority
from ostiary.ops.system import System
from ostiary.pki.chain import read_client_ca
from ostiary.pki.names import subject_text
from ostiary.store import revocations
from ostiary.store.kinds import AUTHORITY, CERTIFICATE


def create(system: System, caller: Caller, wanted: NewAuthority) -> Authority:
    """Make an authority with a key that stays here, encrypted, or in a token."""
    caller.must("authority:create")
    key = new_key(system, wanted)  # before the lock: RSA and tokens take their time
    with change(system, caller, "authority:create") as transaction:
        return make_authority(transaction, system, wanted, key)


def import_certificate(system: System, caller: Caller, name: str, pem: str, project_id: str = "") -> Authority:
    """Trust a CA certificate whose key is elsewhere. Raises `Invalid` for one that could not have signed clients."""
    found = read_client_ca(pem.encode(), system.clock(), "certificate")
    if len(found) != 1:
        raise Invalid(
            "certificate", f"holds {len(found)} certificates; import one authority at a time, or store a bundle as a secret"
        )
    (certificate,) = found
    with change(system, caller, "authority:import") as transaction:
        return store_authority(
            transaction,
            certificate,
            Private(b""),
            id=new_id(),
            name=name or subject_text(certificate)[:255],
            kind="imported",
            project_id=project_id,
        )


def get(system: System, caller: Caller, authority_id: str) -> Authority:
    """One authority. Raises `NotFound`."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return reader.require(AUTHORITY, authority_id)


def find(system: System, caller: Caller, query: Query) -> Page[Authority]:
    """Authorities that match."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return reader.find(AUTHORITY, query)


def in_use_by(system: System, caller: Caller, authority_id: str) -> list[str]:
    """The ids of the listeners and pools that trust it."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return list(dict.fromkeys(holder_id for _, holder_id, _ in reader.holders(authority_id)))


def delete(system: System, caller: Caller, authority_id: str) -> None:
    """Remove an authority that nothing trusts and that has signed nothing still on record."""
    with change(system, caller, "authority:delete") as transaction:
        authority = transaction.require(AUTHORITY, authority_id)
        refuse_if_held(transaction, AUTHORITY, authority)
        below = transaction.all(AUTHORITY, parent_id=authority_id)
        if below:
            raise Conflict(f"Authority {authority_id} has signed authority {below[0].id} ({below[0].name}); delete that first.")
        issued = transaction.count(CERTIFICATE, authority_id=authority_id)
        if issued:
            raise Conflict(f"Authority {authority_id} has issued {issued} certificates that are on record; it cannot be deleted.")
        revocations.forget_authority(transaction, authority_id)
        transaction.delete(AUTHORITY, authority)
    system.custody.forget(authority_id)
