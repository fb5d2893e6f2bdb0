"""What ends when, week by week: clients' certificates, servers', and authorities."""

from datetime import UTC, datetime, timedelta

import pytest

from ostiary.envoy.resources import Snapshot
from ostiary.errors import Denied
from ostiary.model import authority as model
from ostiary.model.authority import NewCertificate
from ostiary.model.desired import Desired, DesiredListener
from ostiary.model.fields import Private
from ostiary.model.profile import Profile
from ostiary.model.revocation import Revoke
from ostiary.model.tls import Identity
from ostiary.ops import certificates, inventory, profiles, revocation
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.certs import Authority, csr, new_key
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock

WEDNESDAY = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(WEDNESDAY)


def for_a_server(system: System, authority: model.Authority, days: int) -> model.Certificate:
    request = csr(new_key(), "a.test", sans=("DNS:a.test",))
    wanted = NewCertificate(authority_id=authority.id, csr=request, profile="server", lifetime=timedelta(days=days))
    return certificates.issue(system, ADMIN, wanted)


def found(system: System, weeks: int = 26) -> dict[str, tuple[int, int, int]]:
    """Weeks in which something ends: clients, servers, authorities."""
    counted = inventory.expiries(system, ADMIN, weeks)
    assert len(counted) == weeks
    assert {one.week.weekday() for one in counted} == {0}
    return {
        f"{one.week:%m-%d}": (one.clients, one.servers, one.authorities)
        for one in counted
        if one.clients or one.servers or one.authorities
    }


def test_what_is_in_force_is_counted_in_the_week_in_which_it_ends(system: System, clock: FakeClock) -> None:
    authority = an_authority(system, lifetime_days=80)
    for days in (3, 5, 12, 12):
        a_certificate(system, authority, lifetime=timedelta(days=days))
    for_a_server(system, authority, 12)
    a_certificate(system, authority, lifetime=timedelta(days=60))
    gone = a_certificate(system, authority, lifetime=timedelta(days=12))
    revocation.revoke(system, ADMIN, gone.id, Revoke(reason="superseded"))
    assert found(system) == {"11-23": (1, 0, 0), "11-30": (1, 0, 0), "12-07": (2, 1, 0), "01-18": (1, 0, 0), "02-08": (0, 0, 1)}
    assert found(system, 2) == {"11-23": (1, 0, 0), "11-30": (1, 0, 0)}
    clock.advance(days=4)  # Sunday: what has ended this week is not in force any more
    assert found(system, 2) == {"11-30": (1, 0, 0)}


def test_profiles_of_ones_own_are_for_servers_or_for_clients(system: System) -> None:
    authority = an_authority(system)
    for name, usages in (("web", ("serverAuth",)), ("both", ("serverAuth", "clientAuth")), ("mail", ("emailProtection",))):
        profiles.create(
            system,
            ADMIN,
            Profile(id="", name=name, extended_key_usages=usages, names_allowed=("common_name", "dns", "email")),  # type: ignore[arg-type]
        )
        a_certificate(system, authority, "a.test", profile=name, lifetime=timedelta(days=5))
    assert found(system) == {"11-30": (2, 1, 0)}


def test_what_listeners_show_counts_once_wherever_it_is_from(system: System) -> None:
    authority = an_authority(system)
    ours = for_a_server(system, authority, 5)
    elsewhere = Authority.root("Elsewhere").server("b.test")
    listener = a_listener(system, a_balancer(system))
    chains = (ours.certificate + authority.certificate, elsewhere.chain_pem, elsewhere.chain_pem)
    identities = tuple(
        Identity(name=str(number), certificate_chain=chain, private_key=Private(b"")) for number, chain in enumerate(chains)
    )
    before = found(system, 520)
    system.fleet.want(
        Desired(listeners=(DesiredListener(listener=listener, address="127.0.0.1", identities=identities),)), Snapshot()
    )
    after = found(system, 520)
    assert sum(servers for _, servers, _ in before.values()) == 1
    assert sum(servers for _, servers, _ in after.values()) == 2


def test_who_may_not_read_both_is_refused(system: System) -> None:
    with pytest.raises(Denied):
        inventory.expiries(system, Caller(name="x", role="holder"))
    assert inventory.expiries(system, Caller(name="x", role="auditor"), 1)
