"""Doors of our own, as the gateway is to have them: who answers there, with which certificate, and whom they believe."""

import contextlib
import ipaddress
import re
import socket
from pathlib import Path
from typing import Final

from ostiary.errors import Conflict, Invalid
from ostiary.model.authority import Authority
from ostiary.model.desired import DesiredHouseDoor
from ostiary.model.house_door import HouseDoor, HouseDoorKind
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
# What options of each begin with.
_OPTION: Final[dict[HouseDoorKind, str]] = {"enrolment": "--enroll", "console": "--console"}


def doors(settings: Settings, enrolment_socket: Path, console_socket: Path) -> tuple[HouseDoor, ...]:
    """The doors that the settings ask for, before these Unix sockets of ours. Raises `Invalid`."""
    enrolment = _door("enrolment", settings.enroll_listen, settings.enroll_names, enrolment_socket)
    console = _door("console", settings.console_listen, settings.console_names, console_socket)
    if enrolment and console and enrolment.port == console.port:
        raise Invalid("--console-listen", f"port {console.port} is that of --enroll-listen; choose another.")
    demands = settings.console_client_authentication
    if demands not in {"OPTIONAL", "MANDATORY"}:
        raise Invalid("--console-client-authentication", f"'{demands}' is neither OPTIONAL nor MANDATORY.")
    if demands == "MANDATORY" and console is None:
        raise Invalid("--console-client-authentication", "is of a door that is not there; give --console-listen HOST:PORT too.")
    if console is not None:
        console = console.model_copy(update={"demands_certificate": demands == "MANDATORY"})
    return tuple(filter(None, (enrolment, console)))


def _door(kind: HouseDoorKind, listen: str, known_as: tuple[str, ...], socket_path: Path) -> HouseDoor | None:
    option = _OPTION[kind]
    if not listen:
        if known_as:
            raise Invalid(f"{option}-name", f"names a door that is not there; give {option}-listen HOST:PORT too.")
        return None
    host, port = split_address(listen, f"{option}-listen")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise Invalid(f"{option}-listen", f"'{host}' is not an IP address, such as 0.0.0.0 or 127.0.0.1.") from None
    if not port:
        raise Invalid(f"{option}-listen", "links need a port that stays; choose one from 1 to 65535.")
    names = tuple(dict.fromkeys(_host(name, f"{option}-name") for name in known_as)) or _names_of(address)
    return HouseDoor(kind=kind, address=str(address), port=port, names=names, socket=str(socket_path))


def _host(text: str, option: str) -> str:
    """A host name or address as certificates and links have it."""
    name = text.lower().strip("[]")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))
    if not _HOST_NAME.fullmatch(name):
        raise Invalid(option, f"'{text}' is neither a host name nor an IP address.")
    return name


def _names_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[str, ...]:
    """By which names it is reached when nobody says: its own, and on this machine alone also localhost."""
    if address.is_unspecified:
        own = socket.gethostname().lower()
        return (own, "localhost") if _HOST_NAME.fullmatch(own) and own != "localhost" else ("localhost",)
    return (str(address), "localhost") if address.is_loopback else (str(address),)


def prepare(system: System) -> None:
    """Before anything is served: each door has its certificate, and no listener has its port. Raises `Conflict`."""
    for door in system.doors:
        with system.store.read() as reader:
            addresses = {balancer.id: balancer.vip_address for balancer in reader.all(LOAD_BALANCER)}
            listeners = reader.all(LISTENER, protocol_port=door.port)
        try:
            port_is_free(door.address, door.port, ((addresses[listener.loadbalancer_id], listener) for listener in listeners))
        except Conflict as taken:
            raise Conflict(f"{_OPTION[door.kind]}-listen: {taken.message}") from None
    server_certificates.keep_doors(system)


def as_listeners(system: System) -> tuple[tuple[str, Listener], ...]:
    """The doors as ones whose ports are taken (`rules.port_is_free`)."""
    return tuple((door.address, _named(door)) for door in system.doors)


def _named(door: HouseDoor) -> Listener:
    return Listener(
        id=door.kind, name=door.title, loadbalancer_id="ostiary", protocol="TERMINATED_HTTPS", protocol_port=door.port
    )


def desired(reader: Reader, system: System, lists: Lists = NEWEST) -> tuple[DesiredHouseDoor, ...]:
    """What every gateway should open; without those that have no certificate yet.

    A door that demands client certificates stays shut for as long as there is nobody to believe them of.
    """
    trust = _trust(reader, lists) if system.doors else None
    found = []
    for door in system.doors:
        container = server_certificates.of_door(reader, door)
        if container is None or (door.demands_certificate and trust is None):
            continue
        shown = identity(f"/v1/containers/{container.id}", Materials(reader, system.sealer), "default_tls_container_ref")
        found.append(
            DesiredHouseDoor(
                kind=door.kind,
                address=door.address,
                port=door.port,
                socket=door.socket,
                identities=(shown,),
                trust=trust,
                demands_certificate=door.demands_certificate,
            )
        )
    return tuple(found)


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
    anchors = Anchors("ours", pem.encode(), trusted)
    return Trust(name="trust/ours", certificates=pem, crls=authority_lists(reader, anchors, lists))


def _up_to_root(authority: Authority, by_id: dict[str, Authority]) -> tuple[Authority, ...]:
    """It and all above it; empty when that does not end in a root."""
    line = [authority]
    while line[-1].parent_id in by_id:
        line.append(by_id[line[-1].parent_id])
    return tuple(line) if line[-1].kind == "root" else ()
