"""The door to enrolment, as the gateway is to have it: who answers there, with which certificate, and whom it believes."""

import contextlib
import ipaddress
import re
import socket
from pathlib import Path
from typing import Final

from ostiary.errors import Conflict, Invalid
from ostiary.model.authority import Authority
from ostiary.model.desired import DesiredEnrolment
from ostiary.model.enrolment import EnrolmentDoor
from ostiary.model.listener import Listener
from ostiary.model.rules import port_is_free
from ostiary.model.tls import Trust
from ostiary.ops import server_certificates
from ostiary.ops.system import System
from ostiary.settings import Settings, split_address
from ostiary.store import revocations
from ostiary.store.desired import NEWEST, authority_lists, identity
from ostiary.store.kinds import AUTHORITY, LISTENER, LOAD_BALANCER
from ostiary.store.lists import Lists
from ostiary.store.material import Anchors, Materials
from ostiary.store.store import Reader

_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def door(settings: Settings, socket_path: Path) -> EnrolmentDoor | None:
    """The door to enrolment, before this Unix socket of the API; None when there is none. Raises `Invalid`."""
    if not settings.enroll_listen:
        if settings.enroll_names:
            raise Invalid("--enroll-name", "names a door that is not there; give --enroll-listen HOST:PORT too.")
        return None
    host, port = split_address(settings.enroll_listen, "--enroll-listen")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise Invalid("--enroll-listen", f"'{host}' is not an IP address, such as 0.0.0.0 or 127.0.0.1.") from None
    if not port:
        raise Invalid("--enroll-listen", "links need a port that stays; choose one from 1 to 65535.")
    names = tuple(dict.fromkeys(_host(name) for name in settings.enroll_names)) or _names_of(address)
    return EnrolmentDoor(address=str(address), port=port, names=names, socket=str(socket_path))


def _host(text: str) -> str:
    """A host name or address as certificates and links have it."""
    name = text.lower().strip("[]")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))
    if not _HOST_NAME.fullmatch(name):
        raise Invalid("--enroll-name", f"'{text}' is neither a host name nor an IP address.")
    return name


def _names_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[str, ...]:
    """By which names it is reached when nobody says: its own, and on this machine alone also localhost."""
    if address.is_unspecified:
        own = socket.gethostname().lower()
        return (own, "localhost") if _HOST_NAME.fullmatch(own) and own != "localhost" else ("localhost",)
    return (str(address), "localhost") if address.is_loopback else (str(address),)


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


def desired(reader: Reader, system: System, lists: Lists = NEWEST) -> DesiredEnrolment | None:
    """What every gateway should open; None where there is no door, or no certificate for it yet."""
    door = system.door
    container = server_certificates.of_door(reader, door) if door is not None else None
    if door is None or container is None:
        return None
    shown = identity(f"/v1/containers/{container.id}", Materials(reader, system.sealer), "default_tls_container_ref")
    return DesiredEnrolment(
        address=door.address, port=door.port, socket=door.socket, identities=(shown,), trust=_trust(reader, lists)
    )


def _trust(reader: Reader, lists: Lists) -> Trust | None:
    """All authorities that issue here, up to their roots, each with its revocation list.

    Left out is whoever was revoked or is below one that was, and whoever's list is not here: without it the engine could not tell
    who was revoked, and with a list of some only it would refuse the clients of all others (`store.desired`).
    """
    by_id = {authority.id: authority for authority in reader.all(AUTHORITY)}
    lines = [_up_to_root(authority, by_id) for authority in by_id.values() if authority.has_key and authority.cross_of is None]
    held = revocations.lists_without_content(reader, tuple(by_id))
    good = [line for line in lines if all(one.revoked_at is None and (one.id, "complete") in held for one in line)]
    trusted = tuple({authority.id: authority for line in good for authority in line}.values())
    if not trusted:
        return None
    pem = "".join(authority.certificate for authority in trusted)
    anchors = Anchors("enrolment", pem.encode(), trusted)
    return Trust(name="trust/enrolment", certificates=pem, crls=authority_lists(reader, anchors, lists))


def _up_to_root(authority: Authority, by_id: dict[str, Authority]) -> tuple[Authority, ...]:
    """It and all above it; empty when that does not end in a root."""
    line = [authority]
    while line[-1].parent_id in by_id:
        line.append(by_id[line[-1].parent_id])
    return tuple(line) if line[-1].kind == "root" else ()
