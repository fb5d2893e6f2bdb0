"""The server certificate that ostiary issues itself when an HTTPS listener is made without one."""

import ipaddress
import re
from datetime import datetime, timedelta
from typing import Final

from ostiary.ids import new_id
from ostiary.model.authority import Authority, NewAuthority, SubjectName
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.model.reference import parse
from ostiary.model.secret import Container, Secret, SecretRef
from ostiary.ops.caller import SYSTEM
from ostiary.ops.change import change, sealed
from ostiary.ops.signing import chain_above, make_authority, open_issuer, pem_text
from ostiary.ops.system import System
from ostiary.pki import keys
from ostiary.pki.chain import read_certificates
from ostiary.pki.issue import issue
from ostiary.pki.names import Names
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN
from ostiary.pki.request import SigningRequest
from ostiary.store.kinds import AUTHORITY, CONTAINER, LISTENER, LOAD_BALANCER, SECRET
from ostiary.store.material import secret_context
from ostiary.store.store import Reader, Transaction

AUTHORITY_NAME: Final = "ostiary server CA"
_OURS: Final = "ostiary: server certificate of listener "
_HOST_NAME: Final = re.compile(r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
_LIFETIME: Final = timedelta(days=90)
_RENEW_BEFORE: Final = _LIFETIME / 3


def give(transaction: Transaction, system: System, balancer: LoadBalancer, listener: Listener) -> Listener:
    """Issue a certificate for what the listener is reached by, store it, and refer to it."""
    certificate, key = _made(transaction, system, balancer, listener)
    refs = []
    for name, secret_type, payload in (("certificate", "certificate", certificate), ("private_key", "private", key)):
        secret_id = new_id()
        transaction.insert(
            SECRET,
            Secret(
                id=secret_id,
                name=f"{_OURS}{listener.id} ({name})",
                project_id=listener.project_id,
                secret_type=secret_type,  # type: ignore[arg-type]  # a literal of the tuple above
                payload=sealed(system, payload, secret_context(secret_id)),
                payload_content_type="text/plain",
            ),
        )
        refs.append(SecretRef(name=name, secret_ref=f"/v1/secrets/{secret_id}"))  # type: ignore[arg-type]  # likewise
    container = transaction.insert(
        CONTAINER,
        Container(id=new_id(), name=name_for(listener), project_id=listener.project_id, secret_refs=tuple(refs)),
    )
    return listener.model_copy(update={"default_tls_container_ref": f"/v1/containers/{container.id}"})


def name_for(listener: Listener) -> str:
    """What the container of a certificate that we made for this listener is called."""
    return _OURS + listener.id


def take_back(transaction: Transaction, listener: Listener) -> None:
    """Delete the certificate that was made for this listener, if it was ours and nobody else uses it."""
    container = _ours(transaction, listener)
    if container is None or transaction.holders(container.id):
        return
    transaction.delete(CONTAINER, container)
    for part in container.secret_refs:
        transaction.delete(SECRET, transaction.require(SECRET, parse(part.secret_ref, "secret_ref").id))


def renew_due(system: System) -> int:
    """Renew each certificate of ours that is in its last third; the references stay the same. Returns how many."""
    with system.store.read() as reader:
        # Looked for without the write lock: almost always none is due.
        due = [listener.id for listener in reader.all(LISTENER) if _due(reader, system, listener, system.clock())]
    return sum(_renew(system, listener_id) for listener_id in due)


def _renew(system: System, listener_id: str) -> bool:
    """Renew one, unless that is no longer called for; says whether it was."""
    with change(system, SYSTEM, "listener:renew-certificate") as transaction:
        listener = transaction.get(LISTENER, listener_id)
        held = _due(transaction, system, listener, transaction.at) if listener is not None else None
        if listener is None or held is None:
            return False
        balancer = transaction.require(LOAD_BALANCER, listener.loadbalancer_id)
        certificate, key = _made(transaction, system, balancer, listener)
        for secret, payload in ((held["certificate"], certificate), (held["private_key"], key)):
            after = secret.model_copy(update={"payload": sealed(system, payload, secret_context(secret.id))})
            transaction.replace(SECRET, secret, after)
        transaction.touch(LISTENER, listener.id)
        return True


def _due(reader: Reader, system: System, listener: Listener, at: datetime) -> dict[str, Secret] | None:
    """The secrets of a certificate of ours that should be renewed, by the name of their part; None if there is none."""
    container = _ours(reader, listener)
    if container is None:
        return None
    held: dict[str, Secret] = {
        part.name: reader.require(SECRET, parse(part.secret_ref, "secret_ref").id) for part in container.secret_refs
    }
    stored = held["certificate"]
    pem = system.sealer.open(stored.payload, secret_context(stored.id))
    (leaf, *_) = read_certificates(pem, "default_tls_container_ref")
    return held if leaf.not_valid_after_utc - at <= _RENEW_BEFORE else None


def authority(transaction: Transaction, system: System) -> Authority:
    """The authority that signs these certificates; made when first needed. Clients that connect must trust it."""
    for known in transaction.all(AUTHORITY, name=AUTHORITY_NAME):
        if known.has_key and known.not_after - transaction.at > _LIFETIME:
            return known
    wanted = NewAuthority(name=AUTHORITY_NAME, kind="root", lifetime_days=3650, subject=SubjectName(CN=AUTHORITY_NAME))
    return make_authority(transaction, system, wanted)


def _made(transaction: Transaction, system: System, balancer: LoadBalancer, listener: Listener) -> tuple[bytes, bytes]:
    """A new certificate chain and key, both PEM."""
    signer = authority(transaction, system)
    issuer = open_issuer(system, signer)
    key = keys.generate("EC-P256")
    asked = _names(balancer, listener)
    approved = approve(
        SigningRequest(public_key=key.public_key(), names=asked),
        BUILT_IN["server"],
        names=None,
        lifetime=_LIFETIME,
        issuer=issuer.certificate,
        at=transaction.at,
    )
    chain = pem_text(issue(approved, issuer, transaction.at)) + chain_above(transaction, signer)
    return chain.encode(), keys.to_pem(key)


def _names(balancer: LoadBalancer, listener: Listener) -> Names:
    """What clients can reach it by: the address it binds to, and names of the listener and load balancer that are host names."""
    address = ipaddress.ip_address(balancer.vip_address)
    hosts = [name for name in (listener.name.lower(), balancer.name.lower()) if _HOST_NAME.match(name)]
    addresses = [] if address.is_unspecified else [str(address)]
    if address.is_loopback or address.is_unspecified:
        hosts.append("localhost")
        addresses += [loopback for loopback in ("127.0.0.1", "::1") if loopback not in addresses]
    return Names(common_name=(hosts + addresses)[0], dns=tuple(dict.fromkeys(hosts)), ip=tuple(addresses))


def _ours(reader: Reader, listener: Listener) -> Container | None:
    """The container of the listener's default certificate, if it is one that we made for it."""
    text = listener.default_tls_container_ref
    container = reader.get(CONTAINER, parse(text, "default_tls_container_ref").id) if text else None
    return container if container is not None and container.name == name_for(listener) else None
