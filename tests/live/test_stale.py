"""A gateway that nobody brings newer revocation lists to does what the listener's owner chose."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from cryptography.hazmat.primitives import hashes

from ostiary.clock import now
from ostiary.envoy import stale
from ostiary.envoy.resources import LISTENER, Resource
from ostiary.envoy.snapshot import snapshot
from ostiary.gateway import client
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from ostiary.paths import Paths
from ostiary.pki.list_ends import NOBODYS_LIST
from support.certs import DAY, Authority, Leaf
from support.control_plane import ControlPlane
from support.desired import listener
from support.ports import free_port
from support.processes import Running
from support.tiny_ads import Engine
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

ROOT: Final = Authority.root("Stale root")
ISSUING: Final = ROOT.intermediate("Stale issuing")
LET_IN: Final = "503"  # nobody stands behind the door, and it says so


@dataclass(frozen=True)
class People:
    """Who knocks at a door. TLS 1.2 tells why it refuses."""

    folder: Path
    port: int

    def knock(self, leaf: Leaf) -> str:
        """What this one is answered over a new connection: a status, or the reason of the refusal in TLS."""
        paths = leaf.write(self.folder, f"{leaf.certificate.serial_number:x}"[:12])
        try:
            return str(TLSClient(self.port, cert=paths.chain, key=paths.key, version="TLSv1.2").get().status)
        except Refused as refused:
            return refused.reason


ALICE: Final = ISSUING.client("alice")
MALLORY: Final = ISSUING.client("mallory")
LATE: Final = ISSUING.client("late", not_before=now() - 9 * DAY, not_after=now() - DAY)


def lists(ends: datetime, number: int = 1) -> str:
    """Both authorities' lists; mallory is revoked."""
    return ROOT.crl(next_update=ends, number=number) + ISSUING.crl([MALLORY], next_update=ends, number=number)


def wanted(port: int, crls: str, allow: str | None = None, denied: Leaf | None = None) -> tuple[Resource, ...]:
    """A door with these lists. `allow` is for how long after their end clients are let in, in seconds for who cannot wait."""
    trust = Trust(name="trust/clients", certificates=ROOT.cert_pem + ISSUING.cert_pem, crls=crls)
    choice = {"stale_revocation": "ALLOW", "stale_allow_hours": 100} if allow else {}
    settings: dict[str, Any] = {"client_authentication": "MANDATORY", "protocol_port": port, **choice}
    refused = frozenset({denied.certificate.fingerprint(hashes.SHA256()).hex()} if denied else ())
    made = snapshot(Desired(listeners=(listener(trust=trust, **settings),), denied=refused))
    return tuple(_renamed(one, f"/stale-allow-{allow}") if allow else one for one in made.resources.values())


def _renamed(resource: Resource, choice: str) -> Resource:
    """The same under a shorter time: as long as the name it had, so that the message holds together."""
    before = "trust/clients/stale-allow-100h"
    after = f"trust/clients{choice}"
    if resource.type_url == LISTENER or resource.name == before:
        assert len(after) == len(before)
        body = resource.body.replace(before.encode(), after.encode())
        return replace(resource, name=resource.name.replace(before, after), body=body, version=f"{resource.version}{choice}")
    return resource


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path, free_port())


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    found = Paths(tmp_path / "data")
    found.prepare()
    yield found
    client.stop(found.data_dir)
    assert not found.envoy_pid.exists() or not psutil.pid_exists(int(re.findall(r"\d+", found.envoy_pid.read_text())[0]))


@pytest.fixture
def control(paths: Paths) -> Iterator[ControlPlane]:
    with ControlPlane(paths.control_socket) as running:
        yield running


@pytest.fixture
def keeper(paths: Paths, control: ControlPlane, start_process: Callable[..., Running]) -> Running:
    words = ("-m", "ostiary.gateway", "--data-dir", paths.data_dir, "--drain-seconds", 1)
    running = start_process(sys.executable, *words, name="keeper")
    eventually(lambda: control.connected)  # so that lists with a short life are not spent on waiting for it
    return running


def seconds(number: float) -> datetime:
    """A time as lists write it, this far away."""
    return (now() + timedelta(seconds=number)).replace(microsecond=0)


def reported(control: ControlPlane) -> list[dict[str, Any]]:
    return list(control.reports[-1]["stale"]) if control.reports else []


def test_refuse_refuses_once_the_list_has_ended_and_a_fresh_one_puts_all_right(
    control: ControlPlane, keeper: Running, people: People
) -> None:
    ends = seconds(8)
    control.publish(*wanted(people.port, lists(ends)))
    eventually(lambda: people.knock(ALICE) == LET_IN)
    eventually(lambda: people.knock(ALICE) == "certificate_expired")
    keeper.says("all clients of their authorities are refused")
    eventually(lambda: reported(control) == [{"listeners": ["l1"], "since": ends.isoformat(), "until": None}])
    fresh = wanted(people.port, lists(seconds(3600), number=2))
    control.publish(*fresh)
    eventually(lambda: people.knock(ALICE) == LET_IN)
    assert people.knock(MALLORY) == "certificate_revoked"
    eventually(lambda: reported(control) == [])
    keeper.says("revocation lists are fresh again")
    eventually(lambda: control.has(fresh))


def test_allow_lets_in_who_is_not_known_to_be_revoked_and_refuses_when_its_time_is_over(
    control: ControlPlane, keeper: Running, people: People
) -> None:
    ends = seconds(5)
    made = wanted(people.port, lists(ends), allow="014s")
    control.publish(*made)
    eventually(lambda: people.knock(ALICE) == LET_IN)
    eventually(lambda: control.has(made))  # what Envoy was given in its place counts as what is wanted
    assert not control.rejected
    eventually(lambda: reported(control) and now() > ends)
    assert reported(control) == [
        {"listeners": ["l1"], "since": ends.isoformat(), "until": (ends + timedelta(seconds=14)).isoformat()}
    ]
    assert people.knock(ALICE) == LET_IN
    assert people.knock(MALLORY) == "certificate_revoked"
    assert people.knock(LATE) == "403"  # the handshake looks at no time now, the request does
    keeper.says("clients are let in, but for those known to be revoked")
    control.stop()  # whatever is left to do, the keeper does by itself
    eventually(lambda: people.knock(ALICE) == "certificate_expired")
    keeper.says("all clients of their authorities are refused")


def test_a_fresh_list_ends_what_was_allowed(control: ControlPlane, keeper: Running, people: People) -> None:
    control.publish(*wanted(people.port, lists(seconds(2)), allow="009h"))
    keeper.says("clients are let in, but for those known to be revoked")
    eventually(lambda: people.knock(LATE) == "403")
    fresh = wanted(people.port, lists(seconds(3600), number=2), allow="009h")
    control.publish(*fresh)
    eventually(lambda: people.knock(LATE) == "certificate_expired")
    assert people.knock(ALICE) == LET_IN
    keeper.says("revocation lists are fresh again")
    eventually(lambda: control.has(fresh) and not control.rejected)


def test_a_keeper_that_starts_anew_without_a_control_plane_goes_on_with_what_was_chosen(
    control: ControlPlane, keeper: Running, people: People, paths: Paths, start_process: Callable[..., Running]
) -> None:
    control.publish(*wanted(people.port, lists(seconds(2)), allow="009h", denied=ALICE))
    keeper.says("clients are let in, but for those known to be revoked")
    control.stop()
    keeper.kill()
    again = start_process(
        sys.executable, "-m", "ostiary.gateway", "--data-dir", paths.data_dir, "--drain-seconds", 1, name="again"
    )
    again.says("clients are let in, but for those known to be revoked")
    assert people.knock(ISSUING.client("bob")) == LET_IN
    assert people.knock(ALICE) == "403"  # what was denied last is denied still
    assert people.knock(MALLORY) == "certificate_revoked"


def test_where_there_is_no_list_of_an_authority_looking_at_no_time_lets_nobody_in(people: People, tmp_path: Path) -> None:
    made = snapshot(
        Desired(
            listeners=(
                listener(
                    trust=Trust(name="trust/clients", certificates=ROOT.cert_pem + ISSUING.cert_pem, crls=NOBODYS_LIST),
                    client_authentication="MANDATORY",
                    protocol_port=people.port,
                ),
            )
        )
    )
    given = {key: stale.timeless(one) if one.name == "trust/clients" else one for key, one in made.resources.items()}
    with Engine(tmp_path) as engine:
        assert engine.apply(replace(made, resources=given)) == {}
        engine.listens_on(people.port)
        assert people.knock(ALICE) == "unknown_ca"
