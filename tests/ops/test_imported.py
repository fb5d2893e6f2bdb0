"""The user's own PKI: imported as a bundle, its lists taken and kept, and what happens when there are none."""

import ipaddress
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from pydantic import ValidationError
from structlog.testing import capture_logs

from ostiary.clock import now
from ostiary.errors import Conflict, Denied, Invalid
from ostiary.model.authority import Authority as Stored
from ostiary.model.authority import TrustedAuthority
from ostiary.model.desired import DesiredListener
from ostiary.model.status_check import StatusCheck, StatusCheckState
from ostiary.ops import authorities, imported, listeners, status_fetch
from ostiary.ops.caller import Caller
from ostiary.ops.series import members
from ostiary.ops.system import System
from ostiary.pki.list_ends import NOBODYS_LIST
from ostiary.store import foreign, revocations
from ostiary.store.desired import desired
from ostiary.store.kinds import AUTHORITY
from support.certs import DAY, Authority, Updates
from support.made import a_balancer, a_listener, an_authority
from support.site import Page, Site
from support.systems import ADMIN, FakeClock

ROOT = Authority.root("Partner root")
ISSUING = ROOT.intermediate("Partner issuing")
BUNDLE = ISSUING.bundle_pem


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def a_bundle(system: System, pem: str = BUNDLE, name: str = "Partner") -> Stored:
    return imported.import_bundle(system, ADMIN, TrustedAuthority(name=name, certificate=pem))


def all_of(system: System, authority: Stored) -> tuple[Stored, ...]:
    with system.store.read() as reader:
        return members(reader, authority.series_id)


def state(system: System, authority: Stored) -> StatusCheckState:
    with system.store.read() as reader:
        return status_fetch.state(system, reader, reader.require(AUTHORITY, authority.id))


def settings(site: Site, *paths: str, **other: Any) -> dict[str, Any]:
    return {
        "revocation_check": "CRL",
        "crl_urls": tuple(site.url(path) for path in paths),
        "fetch_private_networks": ("127.0.0.0/8",),
        "fetch_ports": (site.port,),
        **other,
    }


def checked(system: System, authority: Stored, **check: Any) -> Stored:
    with system.store.read() as reader:
        before = reader.require(AUTHORITY, authority.id).status_check
    return status_fetch.update(system, ADMIN, authority.id, {"status_check": before.model_copy(update=check)})


def publish(site: Site, *, number: int = 1, last: datetime | None = None, days: float = 7, revoked: Sequence[int] = ()) -> None:
    """Both lists, as PEM in one file."""
    last = last or now() - timedelta(hours=1)
    fresh = Updates(last_update=last, next_update=last + days * DAY)
    site.pages["/all.crl"] = Page((ROOT.crl(number=number, **fresh) + ISSUING.crl(revoked, number=number, **fresh)).encode())


def trusting(system: System, authority: Stored) -> str:
    made = a_listener(
        system,
        a_balancer(system),
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=f"/v1/authorities/{authority.id}",
    )
    return made.id


def handed_out(system: System, listener_id: str) -> str:
    """The lists that gateways are given for a listener."""
    with system.store.read() as reader:
        wanted = desired(reader, system.sealer, system.clock())
    (found,) = [one for one in wanted.listeners if _is(one, listener_id)]
    assert found.trust is not None
    return found.trust.crls


def _is(one: DesiredListener, listener_id: str) -> bool:
    return one.listener.id == listener_id


def test_a_bundle_of_many_becomes_one_series_whatever_its_order(system: System) -> None:
    pems = [one.cert_pem for one in (ROOT, ISSUING, Authority.root("Another"))]
    first = a_bundle(system, "".join(reversed(pems)))
    held = all_of(system, first)
    assert [one.series_id for one in held] == [first.id] * 3
    assert [one.generation for one in held] == [1, 2, 3]
    assert {one.kind for one in held} == {"imported"}
    by_subject = {one.subject: one for one in held}
    assert by_subject["CN=Partner issuing"].parent_id == by_subject["CN=Partner root"].id
    assert by_subject["CN=Another"].parent_id is None
    assert first.name == "Partner"
    assert first.parent_id is None


def test_a_listener_that_refers_to_one_of_a_bundle_trusts_all_of_it(system: System) -> None:
    one = all_of(system, a_bundle(system))[-1]
    listener_id = trusting(system, one)
    with system.store.read() as reader:
        (found,) = [each for each in desired(reader, system.sealer, system.clock()).listeners if _is(each, listener_id)]
    assert found.trust is not None
    assert found.trust.certificates.count("BEGIN CERTIFICATE") == 2


def test_what_is_in_the_system_already_is_named_and_nothing_is_imported(system: System) -> None:
    known = a_bundle(system, ROOT.cert_pem, "Known")
    with pytest.raises(Conflict, match=rf"in the system already: CN=Partner root is authority {known.id} \(Known\)") as refused:
        a_bundle(system)
    assert refused.value.field == "certificate"
    with system.store.read() as reader:
        assert reader.count(AUTHORITY) == 1


def test_one_that_could_not_have_signed_clients_keeps_the_whole_bundle_out(system: System) -> None:
    with pytest.raises(Invalid, match="'CN=alice' is not a CA certificate"):
        a_bundle(system, BUNDLE + ISSUING.client("alice").cert_pem)
    with system.store.read() as reader:
        assert reader.count(AUTHORITY) == 0


def test_a_bundle_is_deleted_as_it_came(system: System) -> None:
    first = a_bundle(system)
    authorities.delete(system, ADMIN, all_of(system, first)[-1].id)
    with system.store.read() as reader:
        assert reader.count(AUTHORITY) == 0
    a_bundle(system)


def test_a_bundle_with_one_in_use_is_not_deleted(system: System) -> None:
    first, second = all_of(system, a_bundle(system))
    trusting(system, second)
    with pytest.raises(Conflict, match="in use by listener"):
        authorities.delete(system, ADMIN, first.id)


def test_lists_are_fetched_at_once_when_they_are_to_be_checked(system: System, site: Site) -> None:
    first = a_bundle(system)
    listener_id = trusting(system, first)
    assert handed_out(system, listener_id) == ""
    publish(site, number=7, revoked=[5])
    checked(system, first, **settings(site, "/all.crl"))
    assert handed_out(system, listener_id).count("BEGIN X509 CRL") == 2
    for one in all_of(system, first):
        assert one.status_check.revocation_check == "CRL"
        found = state(system, one)
        assert (found.state, found.number, found.source, found.last_error) == ("FRESH", 7, "fetched", None)
    assert {state(system, one).entries for one in all_of(system, first)} == {0, 1}


def test_lists_are_not_checked_before_each_authority_has_one(system: System, site: Site) -> None:
    first = a_bundle(system)
    site.pages["/issuing.crl"] = Page(ISSUING.crl().encode())
    with pytest.raises(Invalid, match=r"no current revocation list of CN=Partner root .*PUT /v1/authorities/") as refused:
        checked(system, first, **settings(site, "/issuing.crl"))
    assert refused.value.field == "status_check.revocation_check"
    with pytest.raises(Invalid, match=r"http://127.0.0.1:\d+ answered with status 404"):
        checked(system, first, **settings(site, "/issuing.crl", "/nothing"))
    with pytest.raises(Invalid, match=r"this machine \(127.0.0.1\), which is not asked"):
        checked(system, first, **settings(site, "/issuing.crl", fetch_private_networks=()))
    assert all_of(system, first)[0].status_check.revocation_check == "NONE"


def test_addresses_are_taken_from_the_certificates_when_none_are_given(system: System, site: Site) -> None:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(site.url("/all.crl"))], None, None, None)
    as_ca = ((x509.BasicConstraints(ca=True, path_length=None), True), (x509.CRLDistributionPoints([point]), False))
    issuing = ROOT.sign(ISSUING.certificate.subject, ISSUING.key, as_ca)
    publish(site)
    first = a_bundle(system, ROOT.cert_pem + Authority(issuing, ISSUING.key).cert_pem)
    checked(system, first, **settings(site, crl_urls=()))
    assert state(system, first).state == "FRESH"


def test_ldap_and_urls_with_passwords_are_refused_where_they_are_written() -> None:
    for url in ("ldap://d.test/cn=ca", "http://u:p@a.test/", "file:///etc/passwd", "http://a.test/ b"):
        with pytest.raises(ValidationError):
            StatusCheck(crl_urls=(url,))


def test_our_own_authorities_have_no_such_settings(system: System) -> None:
    with pytest.raises(Invalid, match="is one of ours"):
        checked(system, an_authority(system), revocation_check="OCSP")


def test_a_newer_list_is_taken_and_an_older_one_is_not(system: System, site: Site) -> None:
    first = a_bundle(system)
    publish(site, number=5)
    checked(system, first, **settings(site, "/all.crl"))
    publish(site, number=6, revoked=[9])
    status_fetch.fetch_now(system, ADMIN, first.id)
    assert state(system, first).number == 6
    publish(site, number=4, last=now() - 3 * DAY)
    status_fetch.fetch_now(system, ADMIN, first.id)
    found = state(system, first)
    assert found.number == 6
    assert "older than the one that is held" in str(found.last_error)


def test_an_unchanged_list_is_asked_for_but_not_sent_again(system: System, site: Site) -> None:
    first = a_bundle(system)
    publish(site)
    site.pages["/all.crl"] = Page(site.pages["/all.crl"].body, etag='"1"')  # type: ignore[union-attr]  # a page, just made
    checked(system, first, **settings(site, "/all.crl"))
    status_fetch.fetch_now(system, ADMIN, first.id)
    assert site.asked[-1].headers["if-none-match"] == '"1"'
    assert state(system, first).last_error is None


def test_lists_are_uploaded_and_checked_from_the_moment_each_has_one(system: System) -> None:
    first, second = all_of(system, a_bundle(system))
    listener_id = trusting(system, first)
    imported.upload(system, ADMIN, second.id, ISSUING.crl([5]).encode())
    assert handed_out(system, listener_id) == ""
    assert state(system, second).number == 1
    imported.upload(system, ADMIN, first.id, ROOT.crl().encode())
    assert handed_out(system, listener_id).count("BEGIN X509 CRL") == 2
    assert all_of(system, first)[1].status_check.revocation_check == "CRL"
    assert state(system, second).source == "uploaded"


def test_an_upload_is_checked_and_older_ones_take_force(system: System) -> None:
    first = a_bundle(system, ROOT.cert_pem)
    imported.upload(system, ADMIN, first.id, ROOT.crl(number=5).encode())
    older = ROOT.crl(number=4).encode()
    with pytest.raises(Invalid, match=r"it is older \(number 4"):
        imported.upload(system, ADMIN, first.id, older)
    assert state(system, first).number == 5
    imported.upload(system, ADMIN, first.id, older, force=True)
    assert state(system, first).number == 4
    with pytest.raises(Invalid, match="not signed by any"):
        imported.upload(system, ADMIN, first.id, Authority.root("Partner root").crl(number=9).encode())
    with pytest.raises(Invalid, match="is one of ours"):
        imported.upload(system, ADMIN, an_authority(system).id, older)
    with pytest.raises(Denied):
        imported.upload(system, Caller("eve", "nobody"), first.id, older)


def test_what_was_taken_is_on_record(system: System, site: Site) -> None:
    first = a_bundle(system, ROOT.cert_pem)
    imported.upload(system, ADMIN, first.id, ROOT.crl(number=5).encode())
    site.pages["/"] = Page(ROOT.crl(number=6).encode())
    checked(system, first, **settings(site, "/"))
    with system.store.read() as reader:
        actions = [entry.entry for entry in reader.audit_entries()]
    assert sum('"action":"authority:upload"' in entry and '"number":"5"' in entry for entry in actions) == 1
    assert sum('"action":"authority:fetch"' in entry and '"number":"6"' in entry for entry in actions) == 1


def test_a_list_is_asked_for_again_in_time_and_after_a_failure_less_often(system: System, site: Site, clock: FakeClock) -> None:
    first = a_bundle(system, ROOT.cert_pem)
    site.pages["/"] = Page(ROOT.crl(next_update=now() + 40 * DAY).encode())
    checked(system, first, **settings(site, "/"))

    def asked_after(**by: float) -> int:
        before = len(site.asked)
        clock.advance(**by)
        status_fetch.fetch_due(system)
        return len(site.asked) - before

    assert asked_after(minutes=1) == 0
    assert asked_after(minutes=66) == 1
    assert asked_after(minutes=1) == 0
    site.pages["/"] = Page(status=500)
    assert asked_after(minutes=66) == 1
    assert asked_after(seconds=30) == 0
    assert asked_after(seconds=40) == 1
    assert asked_after(seconds=70) == 0
    assert asked_after(seconds=70) == 1
    assert "status 500" in str(state(system, first).last_error)
    assert state(system, first).state == "FRESH"


def a_stale_one(system: System, site: Site, clock: FakeClock, **policy: Any) -> tuple[Stored, str]:
    """An authority whose list has ended, and whose publisher is gone; and a listener that trusts it."""
    first = a_bundle(system)
    publish(site, days=1, revoked=[5])
    listener_id = trusting(system, first)
    checked(system, first, **settings(site, "/all.crl", **policy))
    site.is_down = True
    clock.advance(hours=24)
    status_fetch.fetch_due(system)
    return first, listener_id


def test_a_list_that_ended_is_left_with_the_gateways_so_that_they_refuse(system: System, site: Site, clock: FakeClock) -> None:
    first, listener_id = a_stale_one(system, site, clock)
    assert handed_out(system, listener_id).count("BEGIN X509 CRL") == 2
    assert state(system, first).state == "STALE_REFUSED"


def test_a_list_that_ended_is_set_aside_for_some_hours_where_that_is_allowed(
    system: System, site: Site, clock: FakeClock
) -> None:
    first, listener_id = a_stale_one(system, site, clock, stale_status="ALLOW", stale_allow_hours=2)
    assert handed_out(system, listener_id) == ""
    assert state(system, first).state == "STALE_ALLOWED"
    clock.advance(hours=2)
    status_fetch.fetch_due(system)
    assert handed_out(system, listener_id).count("BEGIN X509 CRL") == 2
    assert state(system, first).state == "STALE_REFUSED"


def test_a_new_list_takes_the_place_of_one_set_aside(system: System, site: Site, clock: FakeClock) -> None:
    first, listener_id = a_stale_one(system, site, clock, stale_status="ALARM")
    clock.advance(days=30)
    status_fetch.fetch_due(system)
    assert handed_out(system, listener_id) == ""
    publish(site, number=9, last=clock.at - DAY)
    site.is_down = False
    status_fetch.fetch_now(system, ADMIN, first.id)
    assert handed_out(system, listener_id).count("BEGIN X509 CRL") == 2
    assert state(system, first).state == "FRESH"
    with system.store.read() as reader:
        assert revocations.current_list(reader, first.id, "set_aside") is None


def test_a_policy_that_is_made_stricter_is_in_force_at_once(system: System, site: Site, clock: FakeClock) -> None:
    first, listener_id = a_stale_one(system, site, clock, stale_status="ALARM")
    checked(system, first, stale_status="REFUSE")
    assert handed_out(system, listener_id).count("BEGIN X509 CRL") == 2


def test_people_are_told_well_before_a_list_ends_and_when_it_did(system: System, site: Site, clock: FakeClock) -> None:
    first = a_bundle(system, ROOT.cert_pem)
    site.pages["/"] = Page(ROOT.crl(next_update=now() + 8 * DAY).encode())
    checked(system, first, **settings(site, "/"))
    site.is_down = True

    def told(**by: float) -> list[str]:
        clock.advance(**by)
        with capture_logs() as logs:
            status_fetch.fetch_due(system)
        return [entry["event"] for entry in logs if entry["log_level"] == "warning"]

    assert told(days=1) == []
    (warning,) = told(days=4)
    assert "ends soon" in warning
    assert state(system, first).state == "ENDING"
    assert told(minutes=30) == []
    assert len(told(minutes=31)) == 1
    (warning,) = told(days=4)
    assert "has ended: its clients are refused" in warning


def test_without_any_list_of_an_authority_that_must_have_one_nobody_gets_in(system: System, site: Site) -> None:
    first = a_bundle(system, ROOT.cert_pem)
    listener_id = trusting(system, first)
    site.pages["/"] = Page(ROOT.crl().encode())
    checked(system, first, **settings(site, "/"))
    with system.store.write() as transaction:
        foreign.set_aside(transaction, first.id)
        foreign.forget_set_aside(transaction, first.id)
    assert handed_out(system, listener_id) == NOBODYS_LIST
    assert state(system, first).state == "MISSING"


def test_lists_are_no_longer_handed_out_when_they_are_not_to_be_checked(system: System, site: Site) -> None:
    first = a_bundle(system)
    listener_id = trusting(system, first)
    publish(site)
    checked(system, first, **settings(site, "/all.crl"))
    checked(system, first, revocation_check="NONE")
    assert handed_out(system, listener_id) == ""
    assert state(system, first).state == "NOT_CHECKED"


def test_a_bundle_of_roots_and_loose_ends_cannot_be_checked_by_lists(system: System, site: Site) -> None:
    first = a_bundle(system, ISSUING.cert_pem + Authority.root("Another").cert_pem)
    site.pages["/"] = Page(ISSUING.crl().encode())
    with pytest.raises(Invalid, match="its own CA is not in the bundle"):
        checked(system, first, **settings(site, "/"))


def test_the_lists_of_an_authority_that_is_gone_are_gone(system: System, site: Site) -> None:
    first = a_bundle(system)
    publish(site)
    checked(system, first, **settings(site, "/all.crl"))
    authorities.delete(system, ADMIN, first.id)
    assert status_fetch.fetch_due(system) == 0


def test_networks_are_read_as_they_were_written() -> None:
    check = StatusCheck(fetch_private_networks=("10.0.0.0/8", "fd00::/8"))
    assert status_fetch.networks(check) == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def test_a_listener_of_a_bundle_is_switched_off_whatever_its_lists(system: System, site: Site, clock: FakeClock) -> None:
    _, listener_id = a_stale_one(system, site, clock)
    off = listeners.update(system, ADMIN, listener_id, {"client_authentication": "NONE"})
    assert off.client_authentication == "NONE"
