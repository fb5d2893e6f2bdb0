"""Server certificates that people bring: put in the system as a whole, renewed in place, and taken out again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography import x509

from ostiary.errors import Conflict, Invalid
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.model.reference import parse
from ostiary.model.secret import Container
from ostiary.ops import served, server_certificates
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, touch_balancer, touch_pool
from ostiary.ops.secrets import refuse_if_held
from ostiary.ops.served import ServerCertificate
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import signatures
from ostiary.pki.chain import ServerIdentity, read_certificates, read_client_identity, read_pkcs12, read_server_identity, to_pem
from ostiary.pki.presented import presented
from ostiary.pki.trust_rules import is_self_issued, who
from ostiary.store.kinds import AUTHORITY, CONTAINER, LISTENER, POOL, SECRET
from ostiary.store.store import Reader, Transaction

T = TypeVar("T", Listener, Pool)

_CHAIN_MAX: Final = 10
_NAME_MAX: Final = 255


@dataclass(frozen=True)
class Brought:
    """Files as somebody has them: PEM in three parts, or all in one PKCS#12 file; and what opens them.

    `is_whole`: the certificate was signed by a root that clients have, so that nothing belongs between. `may_lose_names`: what is
    renewed may be for fewer names than before.
    """

    name: str = ""
    certificate: bytes = field(default=b"", repr=False)
    private_key: bytes = field(default=b"", repr=False)
    intermediates: bytes = field(default=b"", repr=False)
    pkcs12: bytes = field(default=b"", repr=False)
    passphrase: bytes | None = field(default=None, repr=False)
    is_whole: bool = False
    may_lose_names: bool = False


def upload(system: System, caller: Caller, brought: Brought) -> Container:
    """Put one in: the certificate with its chain, and its key without its passphrase, encrypted as every secret is.

    Raises `Invalid` naming the file: for what cannot be read or opened, does not belong together, cannot be served, has expired,
    or lacks what is between it and a root.
    """
    caller.must("secret:create")
    identity = _read(system, brought)
    with change(system, caller, "container:create") as transaction:
        made = (_whole(transaction, identity, brought), identity.key_pem)
        return server_certificates.store(transaction, system, _name(brought, identity), made)


def renew(system: System, caller: Caller, certificate_id: str, brought: Brought) -> ServerCertificate:
    """Put another in its place; who used it uses the new one from the same moment.

    A PKCS#12 file that others put in is not rewritten: a container takes its place everywhere. Raises `Invalid` as `upload` does,
    and for a name that the new one is not for.
    """
    caller.must("secret:create")
    caller.must("secret:delete")
    identity = _read(system, brought)
    with change(system, caller, "container:renew") as transaction:
        before = served.one(system, transaction, certificate_id)
        _refuse_ours(before)
        _refuse_lost_names(before, identity, brought)
        made = (_whole(transaction, identity, brought), identity.key_pem)
        if any(user.kind == "pool" for user in before.users):
            fields = {"certificate": _fields(brought)[0], "private_key": _fields(brought)[0]}
            read_client_identity(made[0], made[1], b"", None, transaction.at, fields)
        container = transaction.get(CONTAINER, certificate_id)
        if container is not None:
            refs = server_certificates.keep_parts(transaction, system, container.name, made, container.project_id)
            transaction.replace(CONTAINER, container, container.model_copy(update={"secret_refs": refs}))
            _drop(transaction, (parse(part.secret_ref, "secret_refs").id for part in container.secret_refs))
            stays = certificate_id
        else:
            secret = transaction.require(SECRET, certificate_id)
            stays = server_certificates.store(transaction, system, secret.name, made, secret.project_id).id
            _switch(transaction, before, stays)
            transaction.delete(SECRET, secret)
        _touch(transaction, before)
        return served.one(system, transaction, stays)


def delete(system: System, caller: Caller, certificate_id: str) -> None:
    """Take one out that nobody uses, with its key. Raises `Conflict` naming who does."""
    caller.must("secret:delete")
    with change(system, caller, "container:delete") as transaction:
        one = served.one(system, transaction, certificate_id)
        _refuse_ours(one)
        container = transaction.get(CONTAINER, certificate_id)
        if container is None:
            secret = transaction.require(SECRET, certificate_id)
            refuse_if_held(transaction, SECRET, secret)
            transaction.delete(SECRET, secret)
            return
        refuse_if_held(transaction, CONTAINER, container)
        transaction.delete(CONTAINER, container)
        _drop(transaction, (parse(part.secret_ref, "secret_refs").id for part in container.secret_refs))


def _fields(brought: Brought) -> tuple[str, str]:
    """Where the certificate, and where those above it, were brought."""
    return ("pkcs12", "pkcs12") if brought.pkcs12 else ("certificate", "intermediates")


def _read(system: System, brought: Brought) -> ServerIdentity:
    at = system.clock()
    if brought.pkcs12:
        if brought.certificate.strip() or brought.private_key.strip():
            raise Invalid("pkcs12", "there is a certificate or a key beside it; give one or the other.")
        return read_pkcs12(brought.pkcs12, brought.passphrase, at, "pkcs12")
    for name in ("certificate", "private_key"):
        if not getattr(brought, name).strip():
            raise Invalid(name, "is needed")
    return read_server_identity(brought.certificate, brought.private_key, brought.intermediates, brought.passphrase, at)


def _whole(reader: Reader, identity: ServerIdentity, brought: Brought) -> bytes:
    """The chain, PEM; what is missing is taken from the authorities here. Raises `Invalid` when nobody knows who signed it."""
    chain = list(read_certificates(identity.chain_pem.encode(), "certificate"))
    known = [parsed(one) for one in reader.all(AUTHORITY)]
    is_known = len(chain) > 1 or identity.is_anchored or _signer(chain[0], known) is not None
    if not is_known and not brought.is_whole:
        raise Invalid(
            _fields(brought)[1],
            f"the chain is incomplete: the certificate of the CA that signed {who(chain[0])} is missing, and clients that do not "
            "have it could not connect; add it, or say that clients have that CA.",
        )
    while len(chain) < _CHAIN_MAX and (above := _signer(chain[-1], known)) is not None and not is_self_issued(above):
        chain.append(above)
    return to_pem(chain).encode()


def _signer(one: x509.Certificate, known: Iterable[x509.Certificate]) -> x509.Certificate | None:
    return next((other for other in known if other.subject == one.issuer and signatures.is_signed_by(one, other)), None)


def _name(brought: Brought, identity: ServerIdentity) -> str:
    content = presented([identity.leaf])
    name = brought.name or next(iter(content.hosts), "") or content.subject
    if name.startswith(server_certificates.OURS):
        raise Invalid("name", "names that begin like this are those of certificates that ostiary issues itself; choose another.")
    return name[:_NAME_MAX]


def _refuse_ours(one: ServerCertificate) -> None:
    if one.origin == "door" or (one.origin == "listener" and one.users):
        raise Conflict("ostiary issued this one itself, renews it, and takes it back when it is not needed any more.")


def _refuse_lost_names(before: ServerCertificate, identity: ServerIdentity, brought: Brought) -> None:
    had = before.content.hosts if before.content is not None else ()
    lost = [name for name in had if name not in presented([identity.leaf]).hosts]
    if lost and not brought.may_lose_names:
        raise Invalid(
            _fields(brought)[0],
            f"it is not for {', '.join(lost[:5])}, and the one before is; clients that ask for it would refuse the new one.",
        )


def _switch(transaction: Transaction, before: ServerCertificate, container_id: str) -> None:
    """Whoever refers to the one before refers to this container instead."""
    for user in before.users:
        if user.kind == "listener":
            listener = transaction.require(LISTENER, user.id)
            transaction.replace(LISTENER, listener, _referring(listener, before.id, container_id))
        else:
            pool = transaction.require(POOL, user.id)
            transaction.replace(POOL, pool, _referring(pool, before.id, container_id))


def _referring(thing: T, old: str, new: str) -> T:
    """The same thing, every reference to `old` being one to the container `new`."""
    changes: dict[str, object] = {}
    for name in ("default_tls_container_ref", "tls_container_ref"):
        text = getattr(thing, name, None)
        if text and parse(text, name).id == old:
            changes[name] = f"/v1/containers/{new}"
    if isinstance(thing, Listener):
        texts = thing.sni_container_refs
        swapped = (f"/v1/containers/{new}" if parse(text, "sni_container_refs").id == old else text for text in texts)
        changes["sni_container_refs"] = tuple(swapped)
    return thing.model_copy(update=changes)


def _drop(transaction: Transaction, secret_ids: Iterable[str]) -> None:
    """Delete the parts of a container that is gone, but for those that others refer to."""
    for secret_id in set(secret_ids):
        secret = transaction.get(SECRET, secret_id)
        if secret is not None and not transaction.holders(secret_id):
            transaction.delete(SECRET, secret)


def _touch(transaction: Transaction, before: ServerCertificate) -> None:
    """Its users are affected: their status is that of this change."""
    for user in before.users:
        if user.kind == "listener":
            transaction.touch(LISTENER, user.id)
            touch_balancer(transaction, transaction.require(LISTENER, user.id).loadbalancer_id)
        else:
            touch_pool(transaction, user.id, transaction.require(POOL, user.id).loadbalancer_id)
