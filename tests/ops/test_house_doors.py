"""Doors of our own: what the settings ask for, what the gateways are told, and which ports are taken by them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ostiary.envoy import house_doors as engine
from ostiary.errors import Conflict, Invalid
from ostiary.model.desired import DesiredHouseDoor
from ostiary.model.house_door import HouseDoor
from ostiary.ops import house_doors, list_upkeep, server_certificates
from ostiary.ops.system import System
from ostiary.settings import Settings
from ostiary.store import tables
from support.made import a_balancer, a_listener, an_authority
from support.systems import FakeClock, a_system, sqlite_url

SOCKETS = (Path("/run/api.sock"), Path("/run/console.sock"))
ENROLMENT = HouseDoor(kind="enrolment", address="127.0.0.1", port=9443, names=("door.test",), socket="/run/api.sock")
CONSOLE = HouseDoor(kind="console", address="127.0.0.1", port=9444, names=("console.test",), socket="/run/console.sock")


@pytest.fixture
def housed(tmp_path: Path, clock: FakeClock) -> Iterator[System]:
    """A system with both doors."""
    folder = tmp_path / "housed"
    folder.mkdir()
    made = replace(a_system(sqlite_url(folder), clock), doors=(ENROLMENT, CONSOLE))
    yield made
    made.store.close()


def asked(**fields: Any) -> tuple[HouseDoor, ...]:
    return house_doors.doors(Settings(Path("/data"), **fields), *SOCKETS)


def told(system: System) -> dict[str, DesiredHouseDoor]:
    """What the gateways are told of each door."""
    with system.store.read() as reader:
        return {door.kind: door for door in house_doors.desired(reader, system)}


def test_nobody_asks_for_a_door_and_there_is_none() -> None:
    assert asked() == ()


def test_each_door_has_its_own_names_and_socket() -> None:
    enrolment, console = asked(
        enroll_listen="0.0.0.0:9443",
        enroll_names=("Door.Test",),
        console_listen="[::1]:9444",
        console_names=("console.test", "::1"),
    )
    assert (enrolment.url, enrolment.socket) == ("https://door.test:9443", "/run/api.sock")
    assert (console.url, console.names, console.socket) == (
        "https://console.test:9444",
        ("console.test", "::1"),
        "/run/console.sock",
    )
    assert not enrolment.demands_certificate
    assert not console.demands_certificate


def test_certificates_are_demanded_where_that_is_asked_for_and_never_at_enrolment() -> None:
    doors = asked(enroll_listen="127.0.0.1:9443", console_listen="127.0.0.1:9444", console_client_authentication="MANDATORY")
    assert [door.demands_certificate for door in doors] == [False, True]
    assert doors[1].names == ("127.0.0.1", "localhost")


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"console_names": ("a.test",)}, "--console-name"),
        ({"console_listen": "9444"}, "--console-listen"),
        ({"console_listen": "console.test:9444"}, "--console-listen"),
        ({"console_listen": "127.0.0.1:0"}, "--console-listen"),
        ({"console_listen": "127.0.0.1:9444", "console_names": ("a b",)}, "--console-name"),
        ({"console_listen": "127.0.0.1:9443", "enroll_listen": "127.0.0.1:9443"}, "--console-listen"),
        ({"console_client_authentication": "MANDATORY"}, "--console-client-authentication"),
        ({"console_listen": "127.0.0.1:9444", "console_client_authentication": "NONE"}, "--console-client-authentication"),
        ({"enroll_names": ("a.test",)}, "--enroll-name"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_the_name_of_the_option(fields: dict[str, Any], option: str) -> None:
    with pytest.raises(Invalid) as refused:
        asked(**fields)
    assert refused.value.field == option


def test_each_door_shows_a_certificate_of_its_own(housed: System, clock: FakeClock) -> None:
    assert told(housed) == {}
    house_doors.prepare(housed)
    doors = told(housed)
    assert set(doors) == {"enrolment", "console"}
    assert len({door.identities[0].certificate_chain for door in doors.values()}) == 2
    assert server_certificates.keep_doors(housed) == 0
    clock.advance(days=61)
    assert server_certificates.keep_doors(housed) == 2


def test_all_who_issue_here_are_trusted_once_their_lists_are_signed(housed: System) -> None:
    house_doors.prepare(housed)
    staff = an_authority(housed, "Staff")
    list_upkeep.sign_due(housed)
    doors = told(housed)
    for door in doors.values():
        assert door.trust is not None
        assert staff.certificate in door.trust.certificates
        assert "X509 CRL" in door.trust.crls
    assert doors["console"].trust == doors["enrolment"].trust


def test_a_door_that_demands_certificates_stays_shut_while_there_is_nobody_to_believe(housed: System) -> None:
    """For without anybody to believe, it would have to ask nobody."""
    strict = replace(housed, doors=(ENROLMENT, CONSOLE.model_copy(update={"demands_certificate": True})))
    house_doors.prepare(strict)
    with strict.store.write() as transaction:
        transaction.connection.execute(tables.crls.delete())  # nobody can tell who was revoked
    doors = told(strict)
    assert set(doors) == {"enrolment"}
    assert engine.as_listener(doors["enrolment"]).listener.client_authentication == "NONE"
    list_upkeep.sign_due(strict)
    door = told(strict)["console"]
    assert door.demands_certificate
    assert engine.as_listener(door).listener.client_authentication == "MANDATORY"


def test_a_listener_cannot_have_the_port_of_a_door(housed: System) -> None:
    balancer = a_balancer(housed)
    for port, name in ((9443, "the door to enrolment"), (9444, "the console's door")):
        with pytest.raises(Conflict, match=name):
            a_listener(housed, balancer, protocol="HTTP", protocol_port=port)
    a_listener(housed, balancer, protocol="HTTP", protocol_port=9445)


@pytest.mark.parametrize(
    ("door", "option"), [(ENROLMENT, "--enroll-listen"), (CONSOLE, "--console-listen")], ids=["enrolment", "console"]
)
def test_a_door_cannot_have_the_port_of_a_listener(system: System, door: HouseDoor, option: str) -> None:
    a_listener(system, a_balancer(system), protocol="HTTP", protocol_port=door.port)
    with pytest.raises(Conflict, match=option):
        house_doors.prepare(replace(system, doors=(door,)))
