"""What people should know: everything that ends, from what is on record and in service; told once, to each target, by topic."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from ostiary.envoy.resources import Snapshot
from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Awaits, Denied
from ostiary.model.access import AccessException
from ostiary.model.approval import NewBreakGlass
from ostiary.model.authority import NewAuthority, TrustedAuthority
from ostiary.model.desired import Desired, DesiredHouseDoor, DesiredPool
from ostiary.model.key_transfer import KeyExport
from ostiary.model.notification import NotificationTarget
from ostiary.model.pool import Pool
from ostiary.model.revocation import Revoke
from ostiary.model.status_check import StatusCheck
from ostiary.model.token import NewToken
from ostiary.model.warning import TOPICS, Notice
from ostiary.ops import (
    authorities,
    break_glass,
    certificates,
    exceptions,
    house_settings,
    imported,
    key_transfer,
    list_upkeep,
    listeners,
    notification_targets,
    revocation,
    sightings,
    tokens,
    watching,
)
from ostiary.ops.caller import Caller
from ostiary.ops.notification_targets import Secrets
from ostiary.ops.system import System
from ostiary.pki.holder import new_key_and_request
from ostiary.store import notifications, revocations, statuses
from ostiary.store.desired import desired
from support.certs import Authority
from support.made import a_balancer, a_certificate, a_container, a_listener, a_secret, an_authority
from support.systems import ADMIN, FakeClock

_BATCHES = itertools.count(1)
NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def serve(system: System) -> None:
    """A gateway that has what is wanted."""
    with system.store.read() as reader:
        wanted = desired(reader, system.sealer, system.clock())
    system.fleet.want(wanted, snapshot(wanted))
    system.fleet.heard("gateway-1", system.clock(), connected=True)


def see(system: System, fingerprint: str, listener_id: str = "door", *, days_ago: float = 0, **told: Any) -> None:
    at = (system.clock() - timedelta(days=days_ago)).isoformat()
    entry = {
        "fingerprint_sha256": fingerprint,
        "listener_id": listener_id,
        "first_seen": at,
        "last_seen": at,
        "requests": 1,
        "addresses": {},
        **told,
    }
    assert sightings.seen(system, "gateway-1", {"sequence": next(_BATCHES), "sightings": [entry], "certificates": {}}) == 0


def found(system: System, kind: str | None = None) -> list[tuple[str, str, int | None]]:
    """Kind, name and threshold; without what gateways say, of which there is none."""
    every = watching.warnings(system, ADMIN)
    return [(one.kind, one.name, one.within_days) for one in every if one.kind != "GATEWAY" and kind in {None, one.kind}]


def only(system: System, kind: str) -> Notice:
    (one,) = [one for one in watching.warnings(system, ADMIN) if one.kind == kind]
    return one


def a_target(system: System, **fields: Any) -> NotificationTarget:
    topics = tuple(one for one in TOPICS if one != "NOTIFICATIONS")  # that another target was added is nothing here
    values: dict[str, Any] = {"name": "hook", "kind": "WEBHOOK", "topics": topics, **fields}
    made, _secret = notification_targets.create(
        system, ADMIN, NotificationTarget(**values), Secrets(url="https://alerts.example.com/hook")
    )
    return made


def others_decide(system: System) -> None:
    """Two administrators, who have to agree to what lowers protection."""
    for name in ("alice", "bob"):
        tokens.create(system, ADMIN, NewToken(name=name, role="admin"))
    house_settings.update(system, ADMIN, {"approval_needed_for": ("LOWER_PROTECTION",)})


def told(system: System, target: NotificationTarget) -> list[dict[str, Any]]:
    """The bodies that wait for it, the oldest first."""
    with system.store.read() as reader:
        return [json.loads(one.body) for one in notifications.waiting(reader, target.id, 1000)]


def test_certificates_of_clients_that_are_in_use_are_watched_and_no_others(system: System) -> None:
    authority = an_authority(system)
    listener = a_listener(system, a_balancer(system), name="shop")
    used = a_certificate(system, authority, "used", owner="ann", lifetime=timedelta(days=20))
    for name, lifetime in (("idle", 20), ("late", 200)):
        a_certificate(system, authority, name, lifetime=timedelta(days=lifetime))
    long_ago = a_certificate(system, authority, "long ago", lifetime=timedelta(days=100))
    revoked = a_certificate(system, authority, "revoked", lifetime=timedelta(days=20))
    see(system, used.fingerprint_sha256, listener.id)
    see(system, long_ago.fingerprint_sha256, listener.id, days_ago=31)
    see(system, revoked.fingerprint_sha256, listener.id)
    revocation.revoke(system, ADMIN, revoked.id, Revoke())
    assert found(system, "CLIENT_CERTIFICATE") == []  # a life of 20 days passes 60 and 30 at its beginning
    clock: Any = system.clock
    clock.advance(days=6)
    see(system, used.fingerprint_sha256, listener.id)
    assert found(system, "CLIENT_CERTIFICATE") == [("CLIENT_CERTIFICATE", "CN=used", 14)]
    one = only(system, "CLIENT_CERTIFICATE")
    assert (one.owner, one.listeners, one.severity) == ("ann", ("shop",), "WARNING")
    assert one.command == f"ostiary cert renew {used.id} --csr FILE"
    assert one.last_seen is not None


def test_one_that_was_renewed_is_over_and_its_successor_counts_from_its_last_third(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    old = a_certificate(system, authority, "device", lifetime=timedelta(days=90))
    clock.advance(days=70)
    see(system, old.fingerprint_sha256)
    assert found(system, "CLIENT_CERTIFICATE") == [("CLIENT_CERTIFICATE", "CN=device", 30)]
    _key, csr = new_key_and_request("device")
    new = certificates.renew(system, ADMIN, old.id, csr)
    see(system, old.fingerprint_sha256)
    see(system, new.fingerprint_sha256)
    assert found(system, "CLIENT_CERTIFICATE") == []
    clock.advance(days=61)  # 29 left of 90: its program is about to renew it
    see(system, new.fingerprint_sha256)
    assert found(system, "CLIENT_CERTIFICATE") == []
    clock.advance(days=16)
    see(system, new.fingerprint_sha256)
    assert found(system, "CLIENT_CERTIFICATE") == [("CLIENT_CERTIFICATE", "CN=device", 14)]


def test_certificates_that_others_issued_are_watched_until_a_later_one_is_seen(system: System) -> None:
    ends = system.clock() + timedelta(days=5)
    names: Any = {"subject": "CN=partner", "issuer": "CN=Elsewhere"}
    see(system, "a" * 64, not_after=ends.isoformat(), **names)
    one = only(system, "CLIENT_CERTIFICATE")
    assert (one.name, one.within_days, one.detail, one.command) == ("CN=partner", 7, "CN=Elsewhere", "")
    see(system, "b" * 64, not_after=(ends + timedelta(days=300)).isoformat(), **{**names, "issuer": "CN=Another"})
    assert found(system, "CLIENT_CERTIFICATE") == [("CLIENT_CERTIFICATE", "CN=partner", 7)]
    see(system, "c" * 64, not_after=(ends + timedelta(days=300)).isoformat(), **names)
    assert found(system, "CLIENT_CERTIFICATE") == []


def test_certificates_of_an_hour_make_no_noise_whoever_issued_them(system: System, clock: FakeClock) -> None:
    elsewhere = Authority.root("Workloads", not_before=NOW - timedelta(days=9), not_after=NOW + timedelta(days=900))
    leaf = elsewhere.client("", not_before=NOW - timedelta(minutes=30), not_after=NOW + timedelta(minutes=30))
    fingerprint = leaf.certificate.fingerprint(SHA256()).hex()
    at = clock().isoformat()
    entry = {"fingerprint_sha256": fingerprint, "listener_id": "door", "first_seen": at, "last_seen": at, "addresses": {}}
    entry |= {"not_after": leaf.certificate.not_valid_after_utc.isoformat()}
    told_of = {"sequence": next(_BATCHES), "sightings": [entry], "certificates": {fingerprint: leaf.cert_pem}}
    assert sightings.seen(system, "gateway-1", told_of) == 0
    ours = a_certificate(system, an_authority(system), "job", lifetime=timedelta(hours=1))
    see(system, ours.fingerprint_sha256)
    tokens.create(system, ADMIN, NewToken(name="job", role="auditor", expires_in=timedelta(hours=1)))
    for _ in range(3):
        assert found(system, "CLIENT_CERTIFICATE") == found(system, "ACCESS_TOKEN") == []
        clock.advance(minutes=40)


def test_server_certificates_in_service_are_watched_sni_and_chains_too(system: System) -> None:
    ca = Authority.root("Web CA", not_before=NOW - timedelta(days=900), not_after=NOW + timedelta(days=900))
    issuing = ca.intermediate("Web issuing", not_before=NOW - timedelta(days=900), not_after=NOW + timedelta(days=40))
    usual = ca.server("a.test", not_before=NOW - timedelta(days=80), not_after=NOW + timedelta(days=10))
    chained = issuing.server("b.test", not_before=NOW - timedelta(days=10), not_after=NOW + timedelta(days=300))
    a_listener(
        system,
        a_balancer(system),
        name="web",
        default_tls_container_ref=a_container(system, usual.cert_pem, usual.key_pem),
        sni_container_refs=(a_container(system, chained.cert_pem, chained.key_pem, chained.intermediates_pem),),
    )
    assert found(system, "SERVER_CERTIFICATE") == []  # nothing is in service yet
    serve(system)
    ends = {one.name: (one.within_days, one.listeners, one.detail) for one in watching.warnings(system, ADMIN)}
    assert ends == {"CN=a.test": (14, ("web",), ""), "CN=b.test": (60, ("web",), "CN=Web issuing")}


def test_what_ostiary_renews_itself_is_told_of_only_when_it_does_not(system: System, clock: FakeClock) -> None:
    a_listener(system, a_balancer(system))
    serve(system)
    clock.advance(days=62)  # 28 days are left: it is renewed in these hours
    assert found(system, "SERVER_CERTIFICATE") == []
    clock.advance(days=15)
    one = only(system, "SERVER_CERTIFICATE")
    assert (one.within_days, one.way) == (14, "own server")


def test_doors_of_our_own_and_certificates_shown_to_members_are_watched_too(system: System, clock: FakeClock) -> None:
    listener = a_listener(system, a_balancer(system))
    serve(system)
    assert system.fleet.wanted is not None
    (shown,) = system.fleet.wanted.desired.listeners[0].identities
    door = DesiredHouseDoor(kind="console", address="127.0.0.1", port=9444, socket="/run/x", identities=(shown,))
    pool = DesiredPool(
        pool=Pool(name="backend", protocol="HTTP", lb_algorithm="ROUND_ROBIN", loadbalancer_id="x"), identity=shown
    )
    listeners_too = system.fleet.wanted.desired.listeners
    system.fleet.want(Desired(listeners=listeners_too, doors=(door,), pools=(pool,)), Snapshot())
    clock.advance(days=80)
    assert only(system, "SERVER_CERTIFICATE").listeners == (listener.name, "backend", "console")


def test_who_answers_ocsp_is_watched_where_nobody_can_replace_them_at_once(system: System, clock: FakeClock) -> None:
    public = replace(system, public_url="http://pki.test")
    here, offline = an_authority(system, "Here"), an_authority(system, "Offline")
    key_transfer.export_key(system, ADMIN, offline.id, KeyExport(passphrase="correct horse battery", remove=True))
    ends = clock() + timedelta(days=14)
    with system.store.write() as transaction:
        for one in (here, offline):
            statuses.put_signer(transaction, statuses.Signer(one.id, one.certificate, ends, b""))
    clock.advance(days=7.5)
    assert found(public, "OCSP_SIGNER") == []  # half of its life has just passed
    clock.advance(days=5.6)
    assert found(public, "OCSP_SIGNER") == [("OCSP_SIGNER", "Offline", 1)]
    clock.advance(minutes=2)
    assert found(system, "OCSP_SIGNER") == []  # nobody was told to ask


def test_authorities_are_watched_ours_and_others_and_those_in_files(system: System, clock: FakeClock) -> None:
    root = an_authority(system, "Root", lifetime_days=400)
    issuing = authorities.create(
        system, ADMIN, NewAuthority(name="Devices; rm -rf ~", kind="intermediate", parent_id=root.id, lifetime_days=100)
    )
    elsewhere = Authority.root("Partner", not_before=NOW - timedelta(days=900), not_after=NOW + timedelta(days=50))
    imported.import_bundle(system, ADMIN, TrustedAuthority(name="Partner", certificate=elsewhere.cert_pem))
    in_a_file = Authority.root("In a file", not_before=NOW - timedelta(days=900), not_after=NOW + timedelta(days=50))
    a_listener(
        system,
        a_balancer(system),
        name="web",
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=a_secret(system, in_a_file.cert_pem),
    )
    serve(system)
    assert sorted(found(system, "AUTHORITY")) == [("AUTHORITY", "CN=In a file", 60), ("AUTHORITY", "Partner", 60)]
    clock.advance(days=45)
    (ours,) = [one for one in watching.warnings(system, ADMIN) if (one.kind, one.thing_id) == ("AUTHORITY", issuing.id)]
    assert ours.command == "ostiary ca roll 'Devices; rm -rf ~'"  # it may be pasted into a shell
    assert ours.within_days == 60


def test_lists_are_watched_at_half_of_their_life_and_at_their_end(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    list_upkeep.sign_due(system)
    assert found(system, "REVOCATION_LIST") == []
    with system.store.read() as reader:
        signed = revocations.lists_without_content(reader, [authority.id])[authority.id, "complete"]
    clock.at = signed.half_life + timedelta(minutes=1)
    assert found(system, "REVOCATION_LIST") == []  # it is about to be signed anew
    clock.advance(minutes=10)
    one = only(system, "REVOCATION_LIST")
    assert (one.stage, one.severity, one.way, one.topic) == ("HALF_LIFE", "WARNING", "list of ours", "FRESHNESS")
    clock.at = signed.next_update
    assert only(system, "REVOCATION_LIST").severity == "CRITICAL"
    list_upkeep.sign_due(system)
    assert found(system, "REVOCATION_LIST") == []


def test_lists_that_were_uploaded_are_watched_and_those_in_secrets(system: System, clock: FakeClock) -> None:
    span: Any = {"last_update": NOW - timedelta(days=1), "next_update": NOW + timedelta(days=9)}
    elsewhere = Authority.root("Partner", not_before=NOW - timedelta(days=900), not_after=NOW + timedelta(days=900))
    partner = imported.import_bundle(system, ADMIN, TrustedAuthority(name="Partner", certificate=elsewhere.cert_pem))
    imported.upload(system, ADMIN, partner.id, elsewhere.crl(**span).encode())
    in_a_file = Authority.root("In a file", not_before=NOW - timedelta(days=900), not_after=NOW + timedelta(days=900))
    a_listener(
        system,
        a_balancer(system),
        name="web",
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=a_secret(system, in_a_file.cert_pem),
        client_crl_container_ref=a_secret(system, in_a_file.crl(**span)),
    )
    serve(system)
    assert found(system, "REVOCATION_LIST") == []
    clock.advance(days=4.5)
    list_upkeep.sign_due(system)
    ways = {one.name: (one.way, one.listeners, one.command) for one in watching.warnings(system, ADMIN) if one.ends_at}
    assert ways == {
        "Partner": ("uploaded list", (), "ostiary ca upload-crl Partner FILE"),
        "CN=In a file": ("list in a secret", ("web",), ""),
    }
    imported.update(system, ADMIN, partner.id, {"status_check": StatusCheck()})
    assert found(system, "REVOCATION_LIST") == [("REVOCATION_LIST", "CN=In a file", None)]  # nobody refuses by the other


def test_exceptions_and_access_tokens_are_watched_and_renewed_ones_are_not(system: System, clock: FakeClock) -> None:
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{an_authority(system).id}"}
    listener = a_listener(system, a_balancer(system), name="shop", **on)
    wanted = AccessException(
        listener_id=listener.id,
        name="status page",
        kind="PATHS",
        paths=("/status",),
        owner="ann",
        not_after=system.clock() + timedelta(days=45),
    )
    exception = exceptions.create(system, ADMIN, wanted)
    tokens.create(system, ADMIN, NewToken(name="ci; reboot", role="auditor", expires_in=timedelta(days=32)))
    clock.advance(days=20)
    list_upkeep.sign_due(system)
    ends = {
        one.kind: (one.name, one.within_days, one.owner, one.listeners) for one in watching.warnings(system, ADMIN) if one.ends_at
    }
    assert ends == {
        "ACCESS_EXCEPTION": ("status page", 30, "ann", ("shop",)),
        "ACCESS_TOKEN": ("ci; reboot", 14, "admin", ()),
    }
    assert only(system, "ACCESS_TOKEN").command.endswith("--name 'ci; reboot'")
    exceptions.update(system, ADMIN, exception.id, {"not_after": system.clock() + timedelta(days=300)})
    assert found(system, "ACCESS_EXCEPTION") == []
    clock.advance(days=13)
    assert only(system, "ACCESS_TOKEN").stage == "ENDED"
    clock.advance(days=8)
    assert found(system, "ACCESS_TOKEN") == []  # nobody misses it any more


def test_the_thresholds_are_a_setting(system: System, clock: FakeClock) -> None:
    an_authority(system, "Root", lifetime_days=400)
    house_settings.update(system, ADMIN, {"warn_days": (90, 300)})
    clock.advance(days=110)
    assert found(system, "AUTHORITY") == [("AUTHORITY", "Root", 300)]


def test_a_target_is_told_once_of_each_threshold_and_when_it_is_over(system: System, clock: FakeClock) -> None:
    serve(system)
    target = a_target(system, digest_hours=0)
    wanted = NewToken(name="ci", role="auditor", expires_in=timedelta(days=40))
    token, _secret = tokens.create(system, ADMIN, wanted)
    assert watching.look(system) == 0
    clock.advance(days=11)
    assert watching.look(system) == 1
    for _ in range(3):
        clock.advance(hours=5)
        assert watching.look(system) == 0
    again = System(store=system.store, sealer=system.sealer, clock=clock)  # a restart: memory is gone
    serve(again)
    assert watching.look(again) == 0
    clock.advance(days=16)
    assert watching.look(again) == 1
    tokens.delete(again, ADMIN, token.id)
    assert watching.look(again) == 1
    assert watching.look(again) == 0
    bodies = told(again, target)
    assert [body["type"] for body in bodies] == ["ostiary.warnings"] * 3
    raised = [[(one["name"], one["within_days"]) for one in body["data"]["raised"]] for body in bodies]
    assert raised == [[("ci", 30)], [("ci", 14)], []]
    assert [one["name"] for one in bodies[2]["data"]["resolved"]] == ["ci"]
    assert bodies[0]["data"]["raised"][0]["id"] == bodies[2]["data"]["resolved"][0]["id"]


def test_what_does_not_hurry_is_gathered_and_told_together(system: System, clock: FakeClock) -> None:
    serve(system)
    target = a_target(system)
    for number in range(5):
        tokens.create(system, ADMIN, NewToken(name=f"t{number}", role="auditor", expires_in=timedelta(days=40, hours=number)))
    clock.advance(days=11)
    assert watching.look(system) == 1  # five in one
    clock.advance(days=15, hours=2, minutes=1)
    assert watching.look(system) == 1
    clock.advance(hours=1)
    assert watching.look(system) == 0  # one more has passed 14 days: within a day it is told with the others
    clock.advance(hours=24)
    assert watching.look(system) == 1
    counted = [len(body["data"]["raised"]) for body in told(system, target)]
    assert counted == [5, 3, 2]
    clock.advance(days=12, hours=6)
    assert watching.look(system) == 1
    assert told(system, target)[-1]["subject"] == "5 critical warnings"  # which wait for nothing


def test_a_target_is_told_of_its_topics_from_its_severity_on_in_its_language(system: System, clock: FakeClock) -> None:
    severe = a_target(system, name="severe", severity="WARNING", digest_hours=0)
    lists = a_target(system, name="lists", topics=("FRESHNESS",))
    vietnamese = a_target(system, name="vi", language="vi")
    an_authority(system)
    serve(system)
    list_upkeep.sign_due(system)
    tokens.create(system, ADMIN, NewToken(name="ci", role="auditor", expires_in=timedelta(days=33)))
    clock.advance(days=4)
    watching.look(system)
    kinds = {
        one.name: [each["kind"] for body in told(system, one) for each in body["data"]["raised"]]
        for one in (severe, lists, vietnamese)
    }
    assert kinds["severe"] == kinds["lists"] == ["REVOCATION_LIST"]
    assert kinds["vi"] == ["REVOCATION_LIST", "ACCESS_TOKEN"]
    assert "cảnh báo" in told(system, vietnamese)[0]["subject"]


def test_a_new_target_is_told_all_there_is(system: System, clock: FakeClock) -> None:
    serve(system)
    tokens.create(system, ADMIN, NewToken(name="ci", role="auditor", expires_in=timedelta(days=40)))
    clock.advance(days=27)
    first = a_target(system)
    assert watching.look(system) == 1
    second = a_target(system, name="another")
    assert watching.look(system) == 1
    assert len(told(system, first)) == len(told(system, second)) == 1


def test_gateways_are_told_of_once_they_have_been_gone_for_a_while(system: System, clock: FakeClock) -> None:
    target = a_target(system, topics=("GATEWAYS",))
    system.fleet.want(Desired(), Snapshot())
    assert watching.look(system) == 0  # we have just started, and so has it
    clock.advance(minutes=3)
    assert watching.look(system) == 1
    restarted = System(store=system.store, sealer=system.sealer, clock=clock)
    assert watching.look(restarted) == 0  # it is not over because we do not know yet
    restarted.fleet.heard("gateway-1", clock(), connected=True)
    clock.advance(minutes=1)
    assert watching.look(restarted) == 1
    raised, resolved = told(restarted, target)
    assert raised["data"]["raised"][0]["kind"] == resolved["data"]["resolved"][0]["kind"] == "GATEWAY"
    assert raised["data"]["raised"][0]["severity"] == "CRITICAL"


def test_an_emergency_is_told_at_once_step_by_step_and_nothing_of_before(system: System) -> None:
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{an_authority(system).id}"}
    listener = a_listener(system, a_balancer(system), **on)
    others_decide(system)
    bob = Caller(name="bob", role="admin", source="192.0.2.7")
    before = break_glass.begin(system, bob, NewBreakGlass(reason="before anybody listened"))
    break_glass.end(system, bob, before.id)
    target = a_target(system, topics=("BREAK_GLASS",))
    assert watching.hear(system) == 0
    glass = break_glass.begin(system, bob, NewBreakGlass(reason="everybody is locked out"))
    listeners.update(system, bob, listener.id, {"client_authentication": "NONE"})
    assert watching.hear(system) == 2
    assert watching.hear(system) == 0
    assert watching.look(system) == 0  # not once more as a warning
    assert only(system, "BREAK_GLASS").detail == "everybody is locked out"
    break_glass.end(system, bob, glass.id)
    assert watching.hear(system) == 1
    begun, used, ended = told(system, target)
    assert begun["subject"] == "Break-glass: bob began to do without approval"
    assert (begun["type"], begun["data"]["severity"], begun["data"]["actor"]) == ("ostiary.event", "CRITICAL", "bob")
    assert "Reason: everybody is locked out" in begun["data"]["lines"]
    assert "From: 192.0.2.7" in begun["data"]["lines"]
    assert (used["subject"], used["data"]["action"]) == ("Break-glass: bob did something without approval", "listener:update")
    assert ended["data"]["action"] == "break-glass:end"


def test_what_waits_for_somebodys_word_is_told_at_once(system: System) -> None:
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{an_authority(system).id}"}
    listener = a_listener(system, a_balancer(system), **on)
    others_decide(system)
    target = a_target(system, topics=("APPROVALS",))
    watching.look(system)
    with pytest.raises(Awaits):
        listeners.update(system, ADMIN, listener.id, {"client_authentication": "NONE"})
    assert watching.look(system) == 1
    (raised,) = told(system, target)[0]["data"]["raised"]
    assert (raised["kind"], raised["owner"], raised["severity"]) == ("APPROVAL", "admin", "WARNING")
    assert raised["command"].startswith("ostiary approval approve ")


def test_a_flood_is_cut_into_messages_of_a_size_and_none_is_lost(system: System) -> None:
    target = a_target(system)
    ends = (system.clock() + timedelta(days=3)).isoformat()
    at = system.clock().isoformat()
    entries = [
        {
            "fingerprint_sha256": f"{number:064x}",
            "listener_id": "door",
            "subject": f"CN=c{number}",
            "first_seen": at,
            "last_seen": at,
            "not_after": ends,
            "addresses": {},
        }
        for number in range(250)
    ]
    assert sightings.seen(system, "gateway-1", {"sequence": next(_BATCHES), "sightings": entries, "certificates": {}}) == 0
    assert watching.look(system) == 3
    bodies = told(system, target)
    names = [one["name"] for body in bodies for one in body["data"]["raised"]]
    assert len(names) == len(set(names)) == 250
    assert max(len(body["data"]["raised"]) for body in bodies) == 100


def test_what_is_counted_for_a_monitoring_system(system: System, clock: FakeClock) -> None:
    an_authority(system, "Root")
    list_upkeep.sign_due(system)
    tokens.create(system, ADMIN, NewToken(name="ci", role="auditor", expires_in=timedelta(days=33)))
    (fresh,) = watching.counts(system).freshness
    assert fresh.authority == "Root"
    assert fresh.ratio == pytest.approx(1, abs=0.01)
    clock.advance(days=3, hours=1)
    counted = watching.counts(system)
    assert dict(counted.expiring) == {("ACCESS_TOKEN", 30): 1}
    assert counted.failed == {}
    assert counted.freshness[0].ratio < fresh.ratio


def test_who_may_see_warnings(system: System) -> None:
    with pytest.raises(Denied):
        watching.warnings(system, Caller(name="x", role="holder"))
    watching.warnings(system, Caller(name="x", role="auditor"))
