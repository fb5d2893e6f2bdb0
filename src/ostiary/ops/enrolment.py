"""The door to enrolment, as the gateway is to have it: who answers there, with which certificate, and whom it believes."""

from ostiary.errors import Conflict
from ostiary.model.authority import Authority
from ostiary.model.desired import DesiredEnrolment
from ostiary.model.listener import Listener
from ostiary.model.rules import port_is_free
from ostiary.model.tls import Trust
from ostiary.ops import server_certificates
from ostiary.ops.system import System
from ostiary.store.desired import identity
from ostiary.store.kinds import AUTHORITY, LISTENER, LOAD_BALANCER
from ostiary.store.material import Materials
from ostiary.store.store import Reader


def prepare(system: System) -> None:
    """Before anything is served: the door has its certificate, and no listener has its port. Raises `Conflict`."""
    door = system.door
    if door is None:
        return
    with system.store.read() as reader:
        addresses = {balancer.id: balancer.vip_address for balancer in reader.all(LOAD_BALANCER)}
        listeners = reader.all(LISTENER, protocol_port=door.port)
    try:
        port_is_free(door.address, door.port, ((addresses[listener.loadbalancer_id], listener) for listener in listeners))
    except Conflict as taken:
        raise Conflict(f"--enroll-listen: {taken.message}") from None
    server_certificates.keep_door(system)


def as_listener(system: System) -> tuple[tuple[str, Listener], ...]:
    """The door as one whose port is taken (`rules.port_is_free`)."""
    door = system.door
    if door is None:
        return ()
    named = Listener(
        id="enrolment",
        name="the door to enrolment",
        loadbalancer_id="ostiary",
        protocol="TERMINATED_HTTPS",
        protocol_port=door.port,
    )
    return ((door.address, named),)


def desired(reader: Reader, system: System) -> DesiredEnrolment | None:
    """What every gateway should open; None where there is no door, or no certificate for it yet."""
    door = system.door
    container = server_certificates.of_door(reader, door) if door is not None else None
    if door is None or container is None:
        return None
    shown = identity(f"/v1/containers/{container.id}", Materials(reader, system.sealer), "default_tls_container_ref")
    return DesiredEnrolment(
        address=door.address, port=door.port, socket=door.socket, identities=(shown,), trust=_trust(reader.all(AUTHORITY))
    )


def _trust(known: tuple[Authority, ...]) -> Trust | None:
    """All authorities that issue here, up to their roots.

    One whose own issuer is unknown is left out: the engine could not check revocation for the others then (envoy.secret).
    """
    by_id = {authority.id: authority for authority in known}
    above = [_up_to_root(authority, by_id) for authority in known if authority.has_key]
    trusted = {authority.id: authority for line in above for authority in line}
    if not trusted:
        return None
    return Trust(name="trust/enrolment", certificates="".join(authority.certificate for authority in trusted.values()))


def _up_to_root(authority: Authority, by_id: dict[str, Authority]) -> tuple[Authority, ...]:
    """It and all above it; empty when that does not end in a root."""
    line = [authority]
    while line[-1].parent_id in by_id:
        line.append(by_id[line[-1].parent_id])
    return tuple(line) if line[-1].kind == "root" else ()
