"""Secrets: store, read, delete. Payloads are encrypted before they reach the database."""

import re
from typing import Final

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.query import Page, Query
from ostiary.model.secret import Secret
from ostiary.ops import gate
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, sealed
from ostiary.ops.facts import record
from ostiary.ops.record import entry
from ostiary.ops.system import System
from ostiary.store.kinds import SECRET, Kind, R
from ostiary.store.material import secret_context
from ostiary.store.store import Change, Facts, Transaction

_LABEL: Final = re.compile(rb"-----BEGIN ([^\n\r]{0,64}?)-----")
_PUBLIC: Final = frozenset({b"CERTIFICATE", b"TRUSTED CERTIFICATE", b"X509 CRL", b"PUBLIC KEY"})


def create(system: System, caller: Caller, secret: Secret) -> Secret:
    """Store bytes under a name."""
    if not secret.payload:
        raise Invalid("payload", "is needed and may not be empty")
    secret_id = new_id()
    payload = sealed(system, secret.payload, secret_context(secret_id))
    with change(system, caller, "secret:create") as transaction:
        return transaction.insert(SECRET, secret.model_copy(update={"id": secret_id, "payload": payload}))


def get(system: System, caller: Caller, secret_id: str) -> Secret:
    """One secret, without its payload in the clear. Raises `NotFound`."""
    caller.must("secret:read")
    with system.store.read() as reader:
        return reader.require(SECRET, secret_id)


@asks(repeats=True)
def payload(system: System, caller: Caller, secret_id: str) -> bytes:
    """The payload in the clear, for a caller who may have it. That they got it is on record, unless all of it is public."""
    caller.must("secret:decrypt")
    with system.store.read() as reader:
        secret = reader.require(SECRET, secret_id)
    plain = system.sealer.open(secret.payload, secret_context(secret_id))
    if _is_public(plain):
        return plain

    def work(facts: Facts) -> None:
        needs = gate.why(facts, "KEY_EXPORT", "secret", secret.name or secret_id)
        gate.ask(facts, caller, "secret:decrypt", needs, about=secret_id)
        said = entry(caller, "secret:decrypt", Change(SECRET.name, secret_id, None, {"name": secret.name}), None)
        facts.append_audit({**said, **facts.remarks})

    record(system, caller, "secret:decrypt", work)
    return plain


def _is_public(plain: bytes) -> bool:
    """Whether it is certificates, revocation lists and public keys in PEM: told by what it is, not by what it is called."""
    labels = _LABEL.findall(plain)
    return bool(labels) and set(labels) <= _PUBLIC


def find(system: System, caller: Caller, query: Query) -> Page[Secret]:
    """Secrets that match."""
    caller.must("secret:read")
    with system.store.read() as reader:
        return reader.find(SECRET, query)


def delete(system: System, caller: Caller, secret_id: str) -> None:
    """Remove a secret that nothing refers to. Raises `Conflict` naming what does."""
    with change(system, caller, "secret:delete") as transaction:
        secret = transaction.require(SECRET, secret_id)
        refuse_if_held(transaction, SECRET, secret)
        transaction.delete(SECRET, secret)


def refuse_if_held(transaction: Transaction, kind: Kind[R], thing: R) -> None:
    """Raises `Conflict` while anything refers to it."""
    holders = transaction.holders(thing.id)
    if holders:
        named = ", ".join(f"{holder} {holder_id} ({field})" for holder, holder_id, field in holders[:5])
        more = f" and {len(holders) - 5} more" if len(holders) > 5 else ""
        raise Conflict(f"{kind.title} {thing.id} is in use by {named}{more}; let them refer to another first.")
