"""Certificates that others issued and that are in use: their lists and responders are asked, and who is not good is refused."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID
from structlog.testing import capture_logs

from ostiary.clock import now
from ostiary.model.authority import Authority as Stored
from ostiary.model.authority import TrustedAuthority
from ostiary.model.status_check import ForeignStatus
from ostiary.ops import foreign_status, imported, sightings, status_fetch
from ostiary.ops.system import System
from ostiary.store import foreign
from ostiary.store.desired import desired
from ostiary.store.kinds import AUTHORITY
from support.certs import DAY, Authority, Leaf
from support.responder import Responder
from support.site import Page, Site
from support.systems import ADMIN, FakeClock

CA = Authority.root("Partner root")
ALICE, BOB = CA.client("alice"), CA.client("bob")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def responder(tmp_path: Path, site: Site) -> Responder:
    made = Responder(tmp_path, CA, options=("-ndays", "2"))
    made.knows(ALICE, BOB)
    site.pages["/ocsp"] = made.page
    return made


def fingerprint(leaf: Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex()


def seen(system: System, *leaves: Leaf, whole: bool = True) -> None:
    """As a gateway tells it."""
    at = system.clock()
    sightings.seen(
        system,
        "gateway-1",
        {
            "sequence": int(at.timestamp() * 1_000_000),
            "sightings": [
                {
                    "fingerprint_sha256": fingerprint(leaf),
                    "listener_id": "listener",
                    "serial": f"{leaf.certificate.serial_number:x}",
                    "subject": leaf.certificate.subject.rfc4514_string(),
                    "issuer": leaf.certificate.issuer.rfc4514_string(),
                    "not_after": leaf.certificate.not_valid_after_utc.isoformat(),
                    "first_seen": at.isoformat(),
                    "last_seen": at.isoformat(),
                    "requests": 1,
                    "addresses": ["127.0.0.1"],
                }
                for leaf in leaves
            ],
            "certificates": {fingerprint(leaf): leaf.cert_pem for leaf in leaves} if whole else {},
        },
    )


def partner(system: System, site: Site, check: str = "OCSP", **other: Any) -> Stored:
    """The partner's authority, its responder and its list at `site`."""
    site.pages.setdefault("/ca.crl", Page(CA.crl(next_update=now() + 40 * DAY).encode()))
    first = imported.import_bundle(system, ADMIN, TrustedAuthority(name="Partner", certificate=CA.cert_pem))
    return checked(
        system,
        first,
        revocation_check=check,
        ocsp_urls=(site.url("/ocsp"),),
        crl_urls=(site.url("/ca.crl"),),
        fetch_private_networks=("127.0.0.0/8",),
        fetch_ports=(site.port,),
        **other,
    )


def checked(system: System, authority: Stored, **check: Any) -> Stored:
    with system.store.read() as reader:
        before = reader.require(AUTHORITY, authority.id).status_check
    return status_fetch.update(system, ADMIN, authority.id, {"status_check": before.model_copy(update=check)})


def denied(system: System) -> set[str]:
    with system.store.read() as reader:
        return set(desired(reader, system.sealer, system.clock()).denied)


def known(system: System, leaf: Leaf) -> ForeignStatus | None:
    with system.store.read() as reader:
        return foreign.statuses(reader).get(fingerprint(leaf))


def word(system: System, leaf: Leaf) -> str | None:
    found = known(system, leaf)
    return found.status if found else None


def test_who_is_in_use_is_asked_after_and_who_is_revoked_is_refused(
    system: System, site: Site, responder: Responder, clock: FakeClock
) -> None:
    partner(system, site)
    seen(system, ALICE, BOB)
    responder.revokes(BOB)
    assert foreign_status.learn_due(system) == 1
    assert (word(system, ALICE), word(system, BOB)) == ("good", "revoked")
    assert denied(system) == {fingerprint(BOB)}
    responder.revokes(ALICE)
    foreign_status.learn_due(system)
    assert word(system, ALICE) == "good"
    clock.advance(minutes=61)
    foreign_status.learn_due(system)
    assert denied(system) == {fingerprint(ALICE), fingerprint(BOB)}


def test_what_was_learned_is_on_record_and_gateways_hear_of_it(system: System, site: Site, responder: Responder) -> None:
    partner(system, site)
    responder.revokes(BOB)
    seen(system, BOB)
    with system.store.write() as transaction:
        before = transaction.status_sequence()
    foreign_status.learn_due(system)
    with system.store.read() as reader:
        entries = [entry.entry for entry in reader.audit_entries()]
    assert sum('"action":"authority:learn"' in entry and fingerprint(BOB) in entry for entry in entries) == 1
    with system.store.write() as transaction:
        assert transaction.status_sequence() == before + 1


def test_one_on_hold_that_is_released_is_let_in_again_though_nobody_saw_it_meanwhile(
    system: System, site: Site, responder: Responder, clock: FakeClock
) -> None:
    partner(system, site)
    responder.revokes(BOB, reason="certificateHold")
    seen(system, BOB)
    foreign_status.learn_due(system)
    assert denied(system) == {fingerprint(BOB)}
    responder.knows(BOB)
    clock.advance(hours=30)
    foreign_status.learn_due(system)
    assert denied(system) == set()


def test_the_address_in_the_certificate_is_asked_when_none_is_given(system: System, site: Site, responder: Responder) -> None:
    where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(site.url("/ocsp")))
    carol = CA.client("carol", extensions=[(x509.AuthorityInformationAccess([where]), False)])
    responder.revokes(carol)
    partner(system, site)
    with system.store.read() as reader:
        (first,) = reader.all(AUTHORITY)
    checked(system, first, ocsp_urls=())
    seen(system, carol)
    foreign_status.learn_due(system)
    assert word(system, carol) == "revoked"


def test_one_of_whom_only_number_and_issuer_are_known_is_asked_after_too(
    system: System, site: Site, responder: Responder
) -> None:
    partner(system, site)
    responder.revokes(BOB)
    seen(system, BOB, whole=False)
    foreign_status.learn_due(system)
    assert word(system, BOB) == "revoked"


def test_certificates_of_others_are_nobodys_business(system: System, site: Site, responder: Responder) -> None:
    partner(system, site)
    impostor = Authority.root("Partner root").client("mallory")
    seen(system, impostor, Authority.root("Elsewhere").client("dave"))
    foreign_status.learn_due(system)
    assert [page.path for page in site.asked if page.path == "/ocsp"] == []
    assert responder.ca is CA


def test_without_news_nobody_is_let_in_unless_the_operator_wants_it(
    system: System, site: Site, responder: Responder, clock: FakeClock
) -> None:
    first = partner(system, site)
    site.is_down = True
    seen(system, ALICE)
    foreign_status.learn_due(system)
    assert (word(system, ALICE), denied(system)) == ("withheld", {fingerprint(ALICE)})
    checked(system, first, stale_status="ALLOW", stale_allow_hours=2)
    clock.advance(minutes=5)
    foreign_status.learn_due(system)
    assert (word(system, ALICE), denied(system)) == ("unknown", set())
    clock.advance(hours=3)
    foreign_status.learn_due(system)
    assert (word(system, ALICE), denied(system)) == ("withheld", {fingerprint(ALICE)})
    checked(system, first, stale_status="ALARM")
    clock.advance(hours=1)
    foreign_status.learn_due(system)
    assert denied(system) == set()
    site.is_down = False
    clock.advance(hours=1)
    foreign_status.learn_due(system)
    assert word(system, ALICE) == "good"
    assert responder.ca is CA


def test_the_last_word_holds_until_it_ends(system: System, site: Site, responder: Responder, clock: FakeClock) -> None:
    partner(system, site)
    responder.revokes(BOB)
    seen(system, ALICE, BOB)
    foreign_status.learn_due(system)
    site.is_down = True
    clock.advance(hours=20)
    foreign_status.learn_due(system)
    found = known(system, ALICE)
    assert found is not None
    assert found.status == "good"
    assert found.error is not None
    clock.advance(days=2)
    seen(system, ALICE)
    foreign_status.learn_due(system)
    assert denied(system) == {fingerprint(ALICE), fingerprint(BOB)}
    assert word(system, BOB) == "revoked"


def test_a_certificate_that_its_responder_does_not_know_is_not_good(system: System, site: Site, responder: Responder) -> None:
    partner(system, site)
    carol = CA.client("carol")
    seen(system, carol)
    with capture_logs() as logs:
        foreign_status.learn_due(system)
    assert denied(system) == {fingerprint(carol)}
    assert any("does not know this certificate" in str(entry.get("problem")) for entry in logs)
    assert responder.ca is CA


def test_a_responder_that_fails_is_not_asked_about_each_of_many(
    system: System, site: Site, responder: Responder, clock: FakeClock
) -> None:
    partner(system, site)
    site.pages["/ocsp"] = Page(status=503)
    seen(system, *(CA.client(f"client {number}") for number in range(20)))
    foreign_status.learn_due(system)
    foreign_status.learn_due(system)
    assert sum(page.path == "/ocsp" for page in site.asked) == 1
    clock.advance(seconds=70)
    foreign_status.learn_due(system)
    assert sum(page.path == "/ocsp" for page in site.asked) == 2
    assert responder.ca is CA


def test_who_is_on_the_list_is_refused_on_open_connections_too_and_let_in_when_taken_off(
    system: System, site: Site, clock: FakeClock
) -> None:
    first = partner(system, site, "CRL")
    seen(system, ALICE, BOB)
    foreign_status.learn_due(system)
    assert denied(system) == set()
    site.pages["/ca.crl"] = Page(CA.crl([BOB], number=2, next_update=now() + 40 * DAY).encode())
    status_fetch.fetch_now(system, ADMIN, first.id)
    foreign_status.learn_due(system)
    assert (word(system, BOB), denied(system)) == ("listed", {fingerprint(BOB)})
    clock.advance(hours=30)
    site.pages["/ca.crl"] = Page(CA.crl(number=3, next_update=now() + 40 * DAY).encode())
    status_fetch.fetch_now(system, ADMIN, first.id)
    foreign_status.learn_due(system)
    assert denied(system) == set()


def test_who_is_on_a_list_that_was_set_aside_is_refused_by_what_is_known_of_them(
    system: System, site: Site, clock: FakeClock
) -> None:
    seen(system, BOB)
    clock.advance(days=3)
    site.pages["/ca.crl"] = Page(CA.crl([BOB], next_update=clock.at + timedelta(hours=5)).encode())
    partner(system, site, "CRL", stale_status="ALLOW")
    foreign_status.learn_due(system)
    assert denied(system) == set()  # not seen for long, and the list stands guard at the handshake
    site.is_down = True
    clock.advance(hours=6)
    status_fetch.fetch_due(system)
    foreign_status.learn_due(system)
    assert denied(system) == {fingerprint(BOB)}


def test_the_list_wins_over_a_responder_that_says_good(system: System, site: Site, responder: Responder) -> None:
    site.pages["/ca.crl"] = Page(CA.crl([BOB], next_update=now() + 40 * DAY).encode())
    partner(system, site, "CRL_AND_OCSP")
    seen(system, ALICE, BOB)
    foreign_status.learn_due(system)
    assert (word(system, ALICE), word(system, BOB)) == ("good", "listed")
    assert responder.ca is CA


def test_nothing_is_known_any_longer_when_nothing_is_to_be_checked(system: System, site: Site, responder: Responder) -> None:
    first = partner(system, site)
    responder.revokes(BOB)
    seen(system, BOB)
    foreign_status.learn_due(system)
    checked(system, first, revocation_check="NONE")
    foreign_status.learn_due(system)
    assert (known(system, BOB), denied(system)) == (None, set())


def test_an_expired_certificate_is_forgotten_for_the_handshake_refuses_it(
    system: System, site: Site, responder: Responder, clock: FakeClock
) -> None:
    partner(system, site)
    responder.revokes(BOB)
    seen(system, BOB)
    foreign_status.learn_due(system)
    clock.advance(days=31)
    foreign_status.learn_due(system)
    assert denied(system) == set()
