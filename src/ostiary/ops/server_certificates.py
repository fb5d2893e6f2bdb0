"""The server certificates that ostiary issues itself: for HTTPS listeners made without one, and for doors of our own."""

import ipaddress
import re
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography import x509

from ostiary.ids import new_id
from ostiary.model.authority import Authority, NewAuthority, SubjectName
from ostiary.model.balancer import LoadBalancer
from ostiary.model.house_door import HouseDoor
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
from ostiary.pki.names import Names, sans_text
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN
from ostiary.pki.request import SigningRequest
from ostiary.store.kinds import AUTHORITY, CONTAINER, LISTENER, LOAD_BALANCER, SECRET
from ostiary.store.material import secret_context
from ostiary.store.store import Reader, Transaction

AUTHORITY_NAME: Final = "ostiary server CA"
_OURS: Final = "ostiary: server certificate of listener "
_OF_DOOR: Final = "ostiary: server certificate of the door "
OURS: Final = (_OURS, _OF_DOOR)  # what the names of their containers begin with
_HOST_NAME: Final = re.compile(r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
_COMMON_NAME: Final = 64  # RFC 5280, ub-common-name
_LIFETIME: Final = timedelta(days=90)
_RENEW_BEFORE: Final = _LIFETIME / 3


def give(transaction: Transaction, system: System, balancer: LoadBalancer, listener: Listener) -> Listener:
    """Issue a certificate for what the listener is reached by, store it, and refer to it."""
    made = _made(transaction, system, _names(balancer, listener))
    container = store(transaction, system, name_for(listener), made, listener.project_id)
    return listener.model_copy(update={"default_tls_container_ref": f"/v1/containers/{container.id}"})


def store(transaction: Transaction, system: System, name: str, made: tuple[bytes, bytes], project_id: str = "") -> Container:
    """Put a certificate with its chain and its key (PEM) into a container of that name."""
    refs = keep_parts(transaction, system, name, made, project_id)
    return transaction.insert(CONTAINER, Container(id=new_id(), name=name, project_id=project_id, secret_refs=refs))


def keep_parts(
    transaction: Transaction, system: System, name: str, made: tuple[bytes, bytes], project_id: str
) -> tuple[SecretRef, ...]:
    """Put each of both into a secret."""
    refs = []
    for part, secret_type, payload in (("certificate", "certificate", made[0]), ("private_key", "private", made[1])):
        secret_id = new_id()
        transaction.insert(
            SECRET,
            Secret(
                id=secret_id,
                name=f"{name} ({part})"[:255],
                project_id=project_id,
                secret_type=secret_type,  # type: ignore[arg-type]  # a literal of the tuple above
                payload=sealed(system, payload, secret_context(secret_id)),
                payload_content_type="text/plain",
            ),
        )
        refs.append(SecretRef(name=part, secret_ref=f"/v1/secrets/{secret_id}"))  # type: ignore[arg-type]  # likewise
    return tuple(refs)


def name_for(listener: Listener) -> str:
    """What the container of a certificate that we made for this listener is called."""
    return _OURS + listener.id


def origin(name: str) -> tuple[Literal["brought", "listener", "door"], str]:
    """Whether a container of this name is one of ours, for a listener or a door, and the listener's id or the door's address."""
    if name.startswith(_OURS):
        return "listener", name.removeprefix(_OURS)
    return ("door", name.removeprefix(_OF_DOOR)) if name.startswith(_OF_DOOR) else ("brought", "")


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
    return sum(_renew(system, listener_id) for listener_id in due) + keep_doors(system)


def _renew(system: System, listener_id: str) -> bool:
    """Renew one, unless that is no longer called for; says whether it was."""
    with change(system, SYSTEM, "listener:renew-certificate") as transaction:
        listener = transaction.get(LISTENER, listener_id)
        held = _due(transaction, system, listener, transaction.at) if listener is not None else None
        if listener is None or held is None:
            return False
        balancer = transaction.require(LOAD_BALANCER, listener.loadbalancer_id)
        _replace(transaction, system, held, _made(transaction, system, _names(balancer, listener)))
        transaction.touch(LISTENER, listener.id)
        return True


def _replace(transaction: Transaction, system: System, held: dict[str, Secret], made: tuple[bytes, bytes]) -> None:
    for secret, payload in zip((held["certificate"], held["private_key"]), made, strict=True):
        after = secret.model_copy(update={"payload": sealed(system, payload, secret_context(secret.id))})
        transaction.replace(SECRET, secret, after)


def _due(reader: Reader, system: System, listener: Listener, at: datetime) -> dict[str, Secret] | None:
    """The secrets of a certificate of ours that should be renewed, by the name of their part; None if there is none."""
    container = _ours(reader, listener)
    if container is None:
        return None
    held = _held(reader, container)
    return held if _leaf(system, held).not_valid_after_utc - at <= _RENEW_BEFORE else None


def _held(reader: Reader, container: Container) -> dict[str, Secret]:
    return {part.name: reader.require(SECRET, parse(part.secret_ref, "secret_ref").id) for part in container.secret_refs}


def _leaf(system: System, held: dict[str, Secret]) -> x509.Certificate:
    stored = held["certificate"]
    pem = system.sealer.open(stored.payload, secret_context(stored.id))
    return read_certificates(pem, "default_tls_container_ref")[0]


def keep_doors(system: System) -> int:
    """See that each door of ours has a certificate with the names it has now, not in its last third; how many were made."""
    return sum(_keep(system, door) for door in system.doors)


def _keep(system: System, door: HouseDoor) -> bool:
    wanted = _names_of_door(door)
    with system.store.read() as reader:
        if _fits(reader, system, door, wanted, system.clock()):
            return False
    with change(system, SYSTEM, f"{door.kind}:renew-certificate") as transaction:
        container = of_door(transaction, door)
        made = _made(transaction, system, wanted)
        if container is None:
            store(transaction, system, _OF_DOOR + door.url, made)
        else:
            _replace(transaction, system, _held(transaction, container), made)
    return True


def of_door(reader: Reader, door: HouseDoor) -> Container | None:
    """The container of the door's certificate; None until one was made."""
    return next(iter(reader.all(CONTAINER, name=_OF_DOOR + door.url)), None)


def _fits(reader: Reader, system: System, door: HouseDoor, wanted: Names, at: datetime) -> bool:
    container = of_door(reader, door)
    if container is None:
        return False
    leaf = _leaf(system, _held(reader, container))
    return leaf.not_valid_after_utc - at > _RENEW_BEFORE and {*sans_text(leaf)} == _sans(wanted)


def _sans(names: Names) -> set[str]:
    return {*(f"DNS:{name}" for name in names.dns), *(f"IP:{name}" for name in names.ip)}


def _names_of_door(door: HouseDoor) -> Names:
    addresses = tuple(name for name in door.names if _is_address(name))
    hosts = tuple(name for name in door.names if name not in addresses)
    return Names(common_name=door.names[0] if len(door.names[0]) <= _COMMON_NAME else "", dns=hosts, ip=addresses)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def authority(transaction: Transaction, system: System) -> Authority:
    """The authority that signs these certificates; made when first needed. Clients that connect must trust it."""
    for known in transaction.all(AUTHORITY, name=AUTHORITY_NAME):
        if known.has_key and known.not_after - transaction.at > _LIFETIME:
            return known
    wanted = NewAuthority(name=AUTHORITY_NAME, kind="root", lifetime_days=3650, subject=SubjectName(CN=AUTHORITY_NAME))
    return make_authority(transaction, system, wanted)


def _made(transaction: Transaction, system: System, asked: Names) -> tuple[bytes, bytes]:
    """A new certificate chain and key, both PEM."""
    signer = authority(transaction, system)
    issuer = open_issuer(system, signer)
    key = keys.generate("EC-P256")
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
