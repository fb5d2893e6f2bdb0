"""A month at a small payment company, event by event, by a clock that is set: what evidence packs are shown with.

`MONTH` is October 2026. Before it the house is set up; after it much is changed again, so that how things were at its end is not
how they are when a pack is made. Two gateways are pretended, whose times to effect are those that are written here.
"""

import itertools
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest import mock

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.envoy.resources import ROUTE, Key
from ostiary.errors import Awaits, Denied
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.authority import (
    Authority,
    Certificate,
    NewAuthority,
    NewCertificate,
    RequestedNames,
    SubjectName,
    TrustedAuthority,
)
from ostiary.model.key_transfer import KeyExport
from ostiary.model.listener import Listener
from ostiary.model.profile import Profile
from ostiary.model.query import Query
from ostiary.model.review import NewReview
from ostiary.model.revocation import Matching, Revoke
from ostiary.model.token import NewToken
from ostiary.model.user import User
from ostiary.ops import (
    access,
    approvals,
    authorities,
    certificates,
    denials,
    effects_kept,
    enrolling,
    exceptions,
    heads,
    house_settings,
    imported,
    key_transfer,
    listeners,
    profiles,
    requests,
    reviews,
    revisions,
    revocation,
    rotations,
    sessions,
    sightings,
    tokens,
    traffic,
    users,
)
from ostiary.ops.caller import Caller
from ostiary.ops.effects import Effects
from ostiary.ops.reports import Wanted
from ostiary.ops.system import System
from ostiary.pki import issue, keys
from ostiary.pki.names import SubjectFields
from ostiary.pki.sealing import Sealer, new_kek
from support.certs import csr, new_key
from support.made import a_balancer, a_listener, a_member, a_pool
from support.systems import ADMIN, FakeClock, a_store

SINCE: Final = datetime(2026, 10, 1, tzinfo=UTC)
UNTIL: Final = datetime(2026, 11, 1, tzinfo=UTC)
MADE_AT: Final = datetime(2026, 11, 4, 9, 0, tzinfo=UTC)
FRAMEWORKS: Final = ("pci-4.0.1", "nist-800-53r5", "iso-27001", "soc2")
MONTH: Final = Wanted(FRAMEWORKS, SINCE, UNTIL)
LAN: Final = Caller("lan.nguyen", "admin", "10.20.0.15", "req-lan")
HUNG: Final = Caller("hung.pham", "admin", "10.20.0.16", "req-hung")
TOM: Final = Caller("tom.baker", "operator", "10.20.0.22", "req-tom")
MINH: Final = Caller("minh.tran", "auditor", "10.20.0.31", "req-minh")
_PASSPHRASE: Final = "correct horse battery staple"
_RESOURCE: Final[Key] = (ROUTE, "route/all")


@dataclass
class Month:
    """The system, its clock, and what there is in it by name."""

    system: System
    clock: FakeClock
    authorities: dict[str, Authority] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    listeners: dict[str, Listener] = field(default_factory=dict)
    rules: dict[str, AccessRule] = field(default_factory=dict)
    its: dict[str, str] = field(default_factory=dict)
    published: int = 0

    def at(self, day: str) -> None:
        """Set the clock, as `10-12 14:05`."""
        self.clock.at = datetime.fromisoformat(f"2026-{day}").replace(tzinfo=UTC)

    def in_force(self, **seconds: float) -> None:
        """The gateways take up what was committed, each after so long."""
        self.published += 1
        versions = {_RESOURCE: str(self.published)}
        with self.system.store.read() as reader:
            now = reader.revision(), reader.status_sequence()
        begun = self.clock.at
        self.system.effects.published(*now, versions)
        for gateway, after in sorted(seconds.items(), key=lambda both: both[1]):
            self.clock.at = begun + timedelta(seconds=after)
            self.system.effects.accepted(gateway, versions)
        effects_kept.write(self.system)

    def issue(self, authority: str, cn: str, by: Caller = LAN, **fields: Any) -> Certificate:
        """A certificate at once, for a new key."""
        asked = NewCertificate(authority_id=self.authorities[authority].id, csr=csr(new_key(), cn), **fields)
        self.certificates[cn] = certificates.issue(self.system, by, asked)
        return self.certificates[cn]


@contextmanager
def a_month(url: str) -> Iterator[Month]:
    """The month, over, in this database; the clock stands where a pack is made."""
    clock = FakeClock(datetime(2026, 9, 1, 8, 0, tzinfo=UTC))
    numbers = itertools.count(1)

    def counted() -> uuid.UUID:
        return uuid.UUID(int=0x05E0_0000_0000_4000_8000_0000_0000_0000 + next(numbers))

    def now() -> datetime:
        return clock.at

    def seconds() -> float:
        return ((clock.at - SINCE) // timedelta(milliseconds=125)) / 8  # exact, so that nothing is rounded up

    store = a_store(url, clock)
    # Ids are the same each time, so that an example of a pack changes only where something about packs does.
    with mock.patch("ostiary.ids.uuid.uuid4", counted):
        system = System(
            store=store,
            sealer=Sealer(new_kek()),
            clock=clock,
            effects=Effects(now, seconds),
            synchronised=lambda: True,
        )
        month = Month(system, clock)
        try:
            _before(month)
            _october(month)
            _after(month)
            clock.at = MADE_AT
            yield month
        finally:
            store.close()


# September: the house.


def _before(month: Month) -> None:
    system = month.system
    for gateway in ("gateway-1", "gateway-2"):
        system.effects.connected(gateway)
    month.in_force(**{"gateway-1": 0.125, "gateway-2": 0.25})
    _authorities(month)
    month.at("09-02 10:00")
    profiles.create(system, LAN, Profile(name="treasury", description="Moves money: another person agrees", approval="one"))
    house_settings.update(system, LAN, {"audit_retention_days": 500})
    users.create(system, LAN, User(name="minh.tran", role="auditor", certificate=Holders(subject_cn=("Trần Minh",))))
    users.create(system, LAN, User(name="tom.baker", role="operator", certificate=Holders(subject_cn=("Tom Baker",))))
    users.create(system, ADMIN, User(name="hung.pham", role="admin", certificate=Holders(subject_cn=("Phạm Hùng",))))
    users.create(system, ADMIN, User(name="lan.nguyen", role="admin", certificate=Holders(subject_cn=("Nguyễn Thị Lan",))))
    made, _secret = tokens.create(system, LAN, NewToken(name="deploy-pipeline", role="operator", expires_in=timedelta(days=300)))
    month.its["token"] = made.id
    _balancers(month)
    month.at("09-05 09:00")
    for cn in ("terminal-1041", "terminal-1042", "terminal-1043"):
        month.issue("Terminals", cn, TOM, owner="Field service", groups=("terminals",))
    month.issue("Partners", "lotus-bank.example", owner="Lotus Bank", groups=("partners",))
    month.issue("Partners", "old-broker.example", owner="Old Broker Ltd.", groups=("partners",))
    month.issue("Staff", "Nguyễn Thị Lan", owner="lan.nguyen", groups=("staff", "admins"))
    month.issue("Staff", "Trần Minh", owner="minh.tran", groups=("staff",))
    _rules(month)
    month.in_force(**{"gateway-1": 0.25, "gateway-2": 0.375})


def _rules(month: Month) -> None:
    def rule(name: str, **fields: Any) -> None:
        wanted = AccessRule(listener_id=month.listeners["terminals"].id, name=name, **fields)
        month.rules[name] = access.create(month.system, LAN, wanted)

    rule("Terminals pay", certificate=Holders(groups=("terminals",)), paths=("/pay/*",), methods=("POST",))
    rule("No refunds from outside", action="DENY", paths=("/refund/*",))


def _authorities(month: Month) -> None:
    def made(name: str, cn: str, **fields: Any) -> Authority:
        wanted = NewAuthority(name=name, subject=SubjectName(CN=cn, O="Hoa Sen Payments", C="VN"), **fields)
        month.authorities[name] = authorities.create(month.system, LAN, wanted)
        return month.authorities[name]

    root = made("Hoa Sen Root", "Hoa Sen Root CA", key="EC-P384")
    for name in ("Terminals", "Partners", "Staff"):
        made(name, f"Hoa Sen {name} CA", kind="intermediate", parent_id=root.id)
    key = keys.generate("EC-P256")
    elsewhere = issue.create_root(SubjectFields(CN="State Treasury Root CA"), key, timedelta(days=3650), month.clock())
    text = elsewhere.public_bytes(Encoding.PEM).decode()
    month.its["imported"] = imported.import_bundle(
        month.system, LAN, TrustedAuthority(name="State Treasury", certificate=text)
    ).id


def _balancers(month: Month) -> None:
    month.at("09-03 11:00")
    system, issued = month.system, month.authorities
    shop = a_balancer(system, name="payments", vip_address="203.0.113.20", description="Card payments, Hà Nội")
    pool = a_pool(system, shop, name="payment-switch")
    a_member(system, pool, address="10.20.1.11", name="switch-1")

    def trusts(name: str, mode: str) -> dict[str, Any]:
        return {"client_authentication": mode, "client_ca_tls_container_ref": f"/v1/authorities/{issued[name].id}"}

    its = {"default_pool_id": pool.id}
    month.listeners["terminals"] = a_listener(
        system, shop, name="terminals", protocol_port=443, **its, **trusts("Terminals", "MANDATORY")
    )
    month.listeners["partners"] = a_listener(
        system, shop, name="partner-api", protocol_port=8443, **its, **trusts("Partners", "OPTIONAL")
    )
    month.listeners["wiki"] = a_listener(
        system, shop, name="wiki", protocol_port=9443, tls_versions=("TLSv1.3",), **its, **trusts("Staff", "MANDATORY")
    )


# October.


def _october(month: Month) -> None:
    system = month.system
    month.at("10-01 09:00")
    looked = "With both team leads: all certificates, users and tokens."
    reviews.create(
        system, MINH, _review("access", "2026-07-01", "2026-10-01", looked, "old-broker.example has no contract any more.")
    )
    house_settings.update(system, LAN, {"audit_retention_days": 730, "approval_needed_for": ("KEY_EXPORT",)})
    month.in_force(**{"gateway-1": 0.125, "gateway-2": 0.25})
    _requested(month)
    _enrolled(month)
    month.at("10-08 10:00")
    listeners.update(system, LAN, month.listeners["partners"].id, {"client_authentication": "REHEARSAL"})
    month.in_force(**{"gateway-1": 0.125, "gateway-2": 0.25})
    _excepted(month)
    _lost(month)
    _mistaken(month)
    _taken_out(month)
    month.at("10-20 10:00")
    listeners.update(system, LAN, month.listeners["partners"].id, {"client_authentication": "MANDATORY"})
    month.in_force(**{"gateway-1": 0.25, "gateway-2": 0.125})
    month.at("10-21 09:00")
    wanted_ca = NewAuthority(name="Staff 2027", kind="intermediate", parent_id=month.authorities["Hoa Sen Root"].id)
    month.authorities["Staff 2027"] = authorities.create(system, LAN, wanted_ca)
    month.its["rotation"] = rotations.start(system, LAN, month.authorities["Staff"].id, month.authorities["Staff 2027"].id).id
    _signed_in(month)
    _seen(month)
    month.at("10-28 16:00")
    gone = Matching(owner="Old Broker Ltd.")
    revocation.revoke_matching(system, LAN, gone, Revoke(reason="cessationOfOperation"), expected=1)
    month.in_force(**{"gateway-1": 0.375, "gateway-2": 0.5})
    month.at("10-30 15:00")
    looked = "By reason and by client."
    reviews.create(
        system, LAN, _review("refusals", "2026-10-01", "2026-10-30", looked, "terminal-1042 was tried after its loss.")
    )
    month.at("10-31 23:00")
    heads.sign(system)


def _review(subject: str, since: str, until: str, note: str, findings: str) -> NewReview:
    said = {"subject": subject, "since": f"{since}T00:00:00Z", "until": f"{until}T00:00:00Z", "note": note, "findings": findings}
    return NewReview.model_validate_json(json.dumps(said))


def _requested(month: Month) -> None:
    """One asks, another agrees; and one is refused."""
    month.at("10-03 09:10")
    asked = NewCertificate(
        authority_id=month.authorities["Partners"].id,
        csr=csr(new_key(), "settlement.example"),
        profile="treasury",
        owner="Settlement",
        groups=("partners",),
        justification="New settlement run from November on, ticket OPS-1182",
    )
    waits = requests.submit(month.system, TOM, asked)
    month.at("10-03 11:40")
    done = requests.approve(month.system, LAN, waits.id, "called back, OPS-1182")
    month.certificates["settlement.example"] = certificates.get(month.system, LAN, str(done.certificate_id))
    month.at("10-04 10:00")
    other = asked.model_copy(update={"csr": csr(new_key(), "test.example"), "justification": "for a test"})
    waits = requests.submit(month.system, TOM, other)
    requests.refuse(month.system, LAN, waits.id, "tests have a CA of their own")


def _enrolled(month: Month) -> None:
    month.at("10-05 08:00")
    wanted = NewToken(
        name="terminal-1045, shop 12",
        authority_id=month.authorities["Terminals"].id,
        profile="device",
        names=RequestedNames(common_name="terminal-1045"),
        owner="Field service",
        groups=("terminals",),
        expires_in=timedelta(days=2),
    )
    _grant, secret = tokens.create(month.system, TOM, wanted)
    month.at("10-05 13:30")
    knocker = enrolling.Knocker("198.51.100.45", "req-device")
    month.certificates["terminal-1045"] = enrolling.enroll(month.system, knocker, bytes(secret), csr(new_key(), "terminal-1045"))


def _excepted(month: Month) -> None:
    month.at("10-09 10:00")
    listener_id = month.listeners["terminals"].id
    monitor = AccessException(
        listener_id=listener_id,
        name="Uptime monitor",
        kind="HEALTH_CHECK",
        sources=("198.51.100.0/24",),
        owner="tom.baker",
        not_after=datetime(2026, 12, 24, tzinfo=UTC),
    )
    month.its["exception"] = exceptions.create(month.system, LAN, monitor).id
    campaign = AccessException(
        listener_id=listener_id,
        name="Public price list",
        kind="PATHS",
        paths=("/prices/*",),
        owner="Marketing",
        not_after=datetime(2026, 10, 25, tzinfo=UTC),
    )
    exceptions.create(month.system, LAN, campaign)
    month.in_force(**{"gateway-1": 0.25, "gateway-2": 0.25})


def _lost(month: Month) -> None:
    """One terminal is lost for good, one for two days."""
    month.at("10-12 14:05")
    revocation.revoke(month.system, TOM, month.certificates["terminal-1042"].id, Revoke(reason="keyCompromise"))
    month.in_force(**{"gateway-1": 0.375, "gateway-2": 1.875})
    month.at("10-14 09:00")
    revocation.revoke(month.system, TOM, month.certificates["terminal-1043"].id, Revoke(reason="certificateHold"))
    month.in_force(**{"gateway-1": 0.375, "gateway-2": 0.5})
    month.at("10-16 09:30")
    revocation.revoke(month.system, TOM, month.certificates["terminal-1043"].id, Revoke(reason="removeFromCRL"))
    month.in_force(**{"gateway-1": 0.375, "gateway-2": 0.5})


def _mistaken(month: Month) -> None:
    month.at("10-17 17:45")
    rule = month.rules["Terminals pay"]
    access.update(month.system, TOM, rule.id, {"paths": ("/*",)})
    with month.system.store.read() as reader:
        before = reader.revision() - 1
    month.in_force(**{"gateway-1": 0.25, "gateway-2": 0.25})
    month.at("10-17 18:05")
    revisions.revert(month.system, LAN, before)
    month.in_force(**{"gateway-1": 0.25, "gateway-2": 0.25})


def _taken_out(month: Month) -> None:
    """The key of the partners' CA goes into a safe: another person agrees first."""
    month.at("10-18 10:00")
    wanted = KeyExport(passphrase=_PASSPHRASE)
    with pytest.raises(Awaits) as waits:
        key_transfer.export_key(month.system, LAN, month.authorities["Partners"].id, wanted)
    approvals.justify(month.system, LAN, waits.value.approval_id, "Copy for the safe in Đà Nẵng, OPS-1190")
    month.at("10-18 11:15")
    approvals.approve(month.system, HUNG, waits.value.approval_id, "safe is ready, I am there as the second person")
    month.at("10-18 11:30")
    key_transfer.export_key(month.system, LAN, month.authorities["Partners"].id, wanted)


def _signed_in(month: Month) -> None:
    month.at("10-22 08:15")
    for number in range(3):
        with pytest.raises(Denied):
            sessions.by_token(month.system, b"oa_wrong", False, "203.0.113.99", f"req-{number}")
    month.at("10-22 08:20")
    session, _secret = sessions.by_token(month.system, b"", True, "10.20.0.15", "req-console")
    month.at("10-22 09:00")
    sessions.end(month.system, LAN, session.id)


def _seen(month: Month) -> None:
    """What gateways told: refusals, how many there were, and a certificate that is used from many places."""
    month.at("10-25 12:00")
    terminals, now = month.listeners["terminals"], month.clock.at
    lost, shared = month.certificates["terminal-1042"], month.certificates["terminal-1041"]

    def refused(code: str, hours: int, one: Certificate | None, **more: Any) -> dict[str, Any]:
        at = (now - timedelta(hours=hours)).isoformat()
        client = f"198.51.100.{60 + hours}"
        shown = {"fingerprint_sha256": one.fingerprint_sha256, "serial": one.serial, "subject": one.subject} if one else {}
        example = {"client": client, "host": "pay.hoasen.example", "method": "POST", "path": "/pay/charge", **shown}
        who = one.fingerprint_sha256 if one else client
        usual = {"listener_id": terminals.id, "stage": "handshake", "first": at, "last": at, "count": 1, "addresses": [client]}
        return {**usual, "code": code, "who": who, "example": example, **more}

    entries = [
        refused("revoked", 2, lost, count=14),
        refused("no_certificate", 5, None, count=3),
        refused("no_rule_allows", 7, shared, stage="request"),
    ]
    assert denials.denied(month.system, "gateway-1", {"sequence": 1, "denials": entries}) == 0
    places = {f"198.51.100.{number}": (now - timedelta(hours=number)).isoformat() for number in range(1, 8)}
    sighting = {
        "fingerprint_sha256": shared.fingerprint_sha256,
        "listener_id": terminals.id,
        "serial": shared.serial,
        "subject": shared.subject,
        "issuer": month.authorities["Terminals"].subject,
        "not_after": shared.not_after.isoformat(),
        "first_seen": (now - timedelta(days=20)).isoformat(),
        "last_seen": (now - timedelta(hours=1)).isoformat(),
        "requests": 4711,
        "addresses": places,
    }
    assert sightings.seen(month.system, "gateway-1", {"sequence": 1, "sightings": [sighting]}) == 0
    _counted(month, terminals)


def _counted(month: Month, listener: Listener) -> None:
    run = {"handshakes": 0, "failed_handshakes": 0, "requests": 0, "admitted": 0}
    name = f"listener/{listener.id}"
    for step in range(2):
        month.clock.at += timedelta(minutes=15)
        refusals = {"revoked": 14 * step, "no_certificate": 3 * step, "no_rule_allows": step, "tls_failed": 9 * step}
        report = {"pid": 1, "uptime": 900.0 * (step + 1), "listeners": {name: dict(run)}, "refusals": {name: refusals}}
        month.system.counting.told("gateway-1", report, month.clock.at)
        run = {key: value + more for (key, value), more in zip(run.items(), (400, 26, 3000, 2999), strict=True)}
    traffic.write(month.system)


# November: nothing of this was so in October.


def _after(month: Month) -> None:
    system = month.system
    month.at("11-02 09:00")
    access.delete(system, LAN, month.rules["Terminals pay"].id)
    listeners.update(system, LAN, month.listeners["wiki"].id, {"client_authentication": "OPTIONAL"})
    exceptions.delete(system, LAN, month.its["exception"])
    certificates.update(system, TOM, month.certificates["terminal-1041"].id, {"groups": (), "owner": "Nobody"})
    revocation.revoke(system, TOM, month.certificates["terminal-1045"].id, Revoke(reason="superseded"))
    month.issue("Terminals", "terminal-1050", TOM, owner="Field service", groups=("terminals",))
    tokens.delete(system, LAN, month.its["token"])
    user = users.find(system, LAN, Query(filters=(("name", "tom.baker"),))).items[0]
    users.update(system, LAN, user.id, {"role": "auditor"})
    month.in_force(**{"gateway-1": 0.375, "gateway-2": 0.375})
