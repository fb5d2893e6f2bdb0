"""A system as it is after some months at a small payment company, to look at: one of everything, with names as people give them.

It has no gateway. One is pretended that accepts whatever is wanted, at once, so that statuses read as they do in service.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Awaits
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.approval import NewBreakGlass
from ostiary.model.authority import (
    Authority,
    Certificate,
    NewAuthority,
    NewCertificate,
    RequestedNames,
    SubjectName,
    TrustedAuthority,
)
from ostiary.model.denial import DenialQuery
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.notification import NotificationTarget
from ostiary.model.pool import Pool
from ostiary.model.profile import Profile
from ostiary.model.review import NewReview
from ostiary.model.revocation import Revoke
from ostiary.model.token import NewToken
from ostiary.model.user import User
from ostiary.ops import (
    access,
    authorities,
    break_glass,
    certificates,
    denials,
    exceptions,
    house_settings,
    imported,
    listeners,
    monitors,
    notification_targets,
    profiles,
    rehearsals,
    requests,
    reviews,
    revocation,
    rotations,
    sessions,
    sightings,
    sign_in_links,
    tokens,
    traffic,
    users,
    watching,
)
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.notification_targets import Secrets
from ostiary.ops.system import System
from ostiary.pki import issue, keys
from ostiary.pki.names import SubjectFields
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store.desired import desired
from support.certs import csr, key_pem, new_key
from support.made import a_balancer, a_certificate, a_container, a_listener, a_member, a_pool
from support.systems import ADMIN, FakeClock, a_store, sqlite_url

NOW: Final = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
LAN: Final = Caller(name="lan.nguyen", role="admin", source="10.20.0.15", request_id="req-5e1f")
TOM: Final = Caller(name="tom.baker", role="operator", source="10.20.0.22", request_id="req-9a40")
GATEWAY: Final = "gateway-1"
# What fills in a part of an address of the console: the town's noun of that name.
PARTS: Final = {
    "balancer_id": "balancer",
    "listener_id": "listener",
    "pool_id": "pool",
    "member_id": "member",
    "certificate_id": "certificate",
    "authority_id": "authority",
    "rotation_id": "rotation",
    "request_id": "request",
    "approval_id": "approval",
    "glass_id": "break-glass",
    "profile_name": "profile_name",
    "rule_id": "rule",
    "exception_id": "exception",
    "denial_id": "denial",
    "gateway_id": "gateway",
    "token_id": "token",
    "user_id": "user",
    "session_id": "session",
    "review_id": "review",
    "target_id": "target",
    "kind": "kind of target",
    "sequence": "number",
    "number": "number",
}
# Addresses whose parts are other nouns than their names say, by how they begin.
OTHERWISE: Final = {
    "/console/server-certificates/": {"certificate_id": "container"},
    "/console/rehearsals/": {"listener_id": "rehearsed listener"},
    "/console/certificates/{certificate_id}/release": {"certificate_id": "certificate on hold"},
    "/console/authorities/{authority_id}/upload": {"authority_id": "imported authority"},
    "/console/access/{rule_id}/enforce": {"rule_id": "rehearsed rule"},
}
# What a page has to be told besides; without it there is nothing to show.
NEEDED: Final = {
    "/console/access/create": "?listener_id={listener_id}",
    "/console/access/exceptions/create": "?listener_id={listener_id}",
}


@dataclass
class Town:
    """The system, and one of each noun by name: `its["listener"]` is a listener's id."""

    system: System
    clock: FakeClock
    its: dict[str, str] = field(default_factory=lambda: {"gateway": GATEWAY, "number": "3"})
    listeners: dict[str, Listener] = field(default_factory=dict)
    authorities: dict[str, Authority] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)

    def filled(self, path: str) -> str | None:
        """An address of the console with something there is in it; None where nobody said what (`PARTS`)."""
        meant = PARTS | next((parts for start, parts in OTHERWISE.items() if path.startswith(start)), {})
        path += NEEDED.get(path, "")
        parts = re.findall(r"\{(\w+)\}", path)
        if any(meant.get(part) not in self.its for part in parts):
            return None
        for part in parts:
            path = path.replace(f"{{{part}}}", self.its[meant[part]])
        return path

    def accept(self) -> None:
        """The pretended gateway accepts what is wanted now."""
        at = self.clock()
        with self.system.store.read() as reader:
            wanted = desired(reader, self.system.sealer, at)
        translated = snapshot(wanted)
        self.system.fleet.want(wanted, translated)
        accepted = {key: resource.version for key, resource in translated.resources.items()}
        self.system.fleet.heard(GATEWAY, at, connected=True, accepted=accepted, rejected={}, report=self._report())

    def _report(self) -> dict[str, Any]:
        place = {"10.20.1.11:8080": "healthy", "10.20.1.12:8080": "healthy"}
        members = {f"pool/{self.its['pool']}": place} if "pool" in self.its else {}
        return {"version": "1.40.0", "state": "LIVE", "uptime": 86_400 * 12.0, "pid": 4711, "restarts": 0, "members": members}


@contextmanager
def a_town(folder: Path) -> Iterator[Town]:
    """A town; its clock stands still at `NOW`."""
    with an_empty_town(folder) as town:
        _people(town)
        _authorities(town)
        _balancers(town)
        _certificates(town)
        _rules(town)
        _approvals(town)
        _traffic(town)
        _reviewed(town)
        town.clock.at = NOW
        _signed_in(town)
        town.accept()
        _told(town)
        yield town


@contextmanager
def an_empty_town(folder: Path) -> Iterator[Town]:
    """A system on its first day, with a gateway and nothing else."""
    clock = FakeClock(NOW)
    made: list[Town] = []

    def committed(_revision: int) -> None:
        if made and made[0].system.fleet.wanted is not None:
            made[0].accept()

    store = a_store(sqlite_url(folder), clock)
    town = Town(System(store=store, sealer=Sealer(new_kek()), clock=clock, committed=committed), clock)
    made.append(town)
    try:
        yield town
    finally:
        store.close()


def _at(town: Town, **ago: float) -> None:
    town.clock.at = NOW - timedelta(**ago)


def _approvals(town: Town) -> None:
    """Something waits for another person, and there was an emergency; but for these, nothing needs anybody's approval."""
    system = town.system
    _at(town, hours=3)
    house_settings.update(system, SYSTEM, {"approval_needed_for": ("CLIENT_CA", "LOWER_PROTECTION")})
    glass = break_glass.begin(system, LAN, NewBreakGlass(reason="The partner's CA was withdrawn by its owner", minutes=15))
    town.its["break-glass"] = break_glass.end(system, LAN, glass.id).id
    _at(town, hours=2)
    asks = replace(TOM, justification="Old terminals show no certificate; until they are replaced")
    try:
        listeners.update(system, asks, town.its["listener"], {"client_authentication": "OPTIONAL"})
    except Awaits as waits:
        town.its["approval"] = waits.approval_id
    house_settings.update(system, SYSTEM, {"approval_needed_for": ()})


def _signed_in(town: Town) -> None:
    link = sign_in_links.make(town.system, ADMIN)
    session, _secret = sessions.by_link(town.system, bytes(link), "10.20.0.15", "req-5e20")
    town.its["session"] = session.id


def _told(town: Town) -> None:
    """Two who are told what ends; nothing is sent."""
    mail = NotificationTarget(
        name="Operations",
        kind="EMAIL",
        host="mail.hoasen.example",
        username="ostiary",
        sender="ostiary@hoasen.example",
        recipients=("lan.nguyen@hoasen.example", "ops@hoasen.example"),
        language="vi",
    )
    made, _key = notification_targets.create(town.system, LAN, mail, Secrets(password="a password"))
    hook = NotificationTarget(name="On-call", kind="WEBHOOK", severity="CRITICAL")
    notification_targets.create(town.system, LAN, hook, Secrets(url="https://oncall.example/hooks/8f1a"))
    town.its |= {"target": made.id, "kind of target": "email"}
    watching.look(town.system)


def _reviewed(town: Town) -> None:
    _at(town, days=120)
    quarter = timedelta(days=90)
    looked = NewReview(
        subject="access",
        since=town.clock.at - quarter,
        until=town.clock.at - timedelta(days=1),
        note="With both team leads",
        findings="Old Broker Ltd. has no contract any more",
    )
    town.its["review"] = reviews.create(town.system, LAN, looked).id


def _people(town: Town) -> None:
    _at(town, days=190)
    profile = Profile(name="treasury", description="Systems that move money: two people agree", approval="two")
    town.its["profile_name"] = profiles.create(town.system, LAN, profile).profile.name
    wanted = NewToken(name="deploy-pipeline", role="operator", expires_in=timedelta(days=300))
    town.its["token"] = tokens.create(town.system, LAN, wanted)[0].id
    mine = Holders(subject_cn=("Trần Minh",))
    town.its["user"] = users.create(town.system, LAN, User(name="minh.tran", role="auditor", certificate=mine)).id


def _authorities(town: Town) -> None:
    _at(town, days=190, minutes=-10)

    def made(name: str, cn: str, **fields: Any) -> Authority:
        wanted = NewAuthority(name=name, subject=SubjectName(CN=cn, O="Hoa Sen Payments", C="VN"), **fields)
        town.authorities[name] = authorities.create(town.system, LAN, wanted)
        return town.authorities[name]

    root = made("Hoa Sen Root", "Hoa Sen Root CA", key="EC-P384")
    made("Terminals", "Hoa Sen Terminals CA", kind="intermediate", parent_id=root.id)
    made("Partners", "Hoa Sen Partners CA", kind="intermediate", parent_id=root.id)
    made("Staff", "Hoa Sen Staff CA", kind="intermediate", parent_id=root.id)
    made("Servers", "Hoa Sen Servers CA", kind="intermediate", parent_id=root.id)
    town.its["authority"] = town.authorities["Terminals"].id
    key = keys.generate("EC-P256")
    elsewhere = issue.create_root(SubjectFields(CN="State Treasury Root CA"), key, timedelta(days=3650), town.clock())
    imported_one = TrustedAuthority(name="State Treasury", certificate=elsewhere.public_bytes(Encoding.PEM).decode())
    town.its["imported authority"] = imported.import_bundle(town.system, LAN, imported_one).id


def _balancers(town: Town) -> None:
    _at(town, days=180)
    system, issued = town.system, town.authorities
    shop = a_balancer(system, name="payments", vip_address="203.0.113.20", description="Card payments, Hà Nội")
    pool = a_pool(system, shop, name="payment-switch")
    members = [a_member(system, pool, address=f"10.20.1.1{number}", name=f"switch-{number}") for number in (1, 2)]
    asks = HealthMonitor(pool_id=pool.id, type="HTTP", delay=5, timeout=3, max_retries=2, url_path="/healthz", name="switch")
    monitor = monitors.create(system, LAN, asks)
    key = new_key()
    asked = NewCertificate(
        authority_id=issued["Servers"].id, csr=csr(key, "pay.hoasen.example", sans=("DNS:pay.hoasen.example",)), profile="server"
    )
    server = certificates.issue(system, LAN, asked)
    container = a_container(system, server.certificate, key_pem(key), server.chain)
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{issued['Terminals'].id}"}
    town.listeners["terminals"] = a_listener(system, shop, name="terminals", protocol_port=443, default_pool_id=pool.id, **on)
    on = {"client_authentication": "REHEARSAL", "client_ca_tls_container_ref": f"/v1/authorities/{issued['Partners'].id}"}
    town.listeners["partners"] = a_listener(
        system,
        shop,
        name="partner-api",
        protocol_port=8443,
        default_pool_id=pool.id,
        default_tls_container_ref=container,
        description="Banks and treasuries",
        **on,
    )
    town.listeners["shop"] = a_listener(system, shop, name="shop", protocol_port=9443, default_pool_id=pool.id)
    town.listeners["status"] = a_listener(system, shop, name="status", protocol="HTTP", protocol_port=80, default_pool_id=pool.id)
    inner = a_balancer(system, name="intranet", vip_address="10.20.0.2", description="Wiki and back office")
    wiki: Pool = a_pool(system, inner, name="wiki")
    a_member(system, wiki, address="10.20.2.7", name="wiki-1")
    on = {"client_authentication": "OPTIONAL", "client_ca_tls_container_ref": f"/v1/authorities/{issued['Staff'].id}"}
    town.listeners["wiki"] = a_listener(system, inner, name="wiki", protocol_port=443, default_pool_id=wiki.id, **on)
    town.its |= {
        "balancer": shop.id,
        "pool": pool.id,
        "member": members[0].id,
        "monitor": monitor.id,
        "listener": town.listeners["terminals"].id,
        "rehearsed listener": town.listeners["partners"].id,
        "container": container.rpartition("/")[2],
    }


def _certificates(town: Town) -> None:
    system, issued = town.system, town.authorities

    def made(authority: str, cn: str, days_ago: float, **fields: Any) -> Certificate:
        _at(town, days=days_ago)
        town.certificates[cn] = a_certificate(system, issued[authority], cn, **fields)
        return town.certificates[cn]

    for number, days in ((1041, 80), (1042, 80), (1043, 61), (1077, 33), (1078, 33), (1102, 4)):
        made("Terminals", f"terminal-{number}", days, owner="Field service", groups=("terminals",))
    made("Partners", "treasury.example.vn", 50, owner="Kho bạc Nhà nước", groups=("partners",))
    made("Partners", "lotus-bank.example", 85, owner="Lotus Bank", groups=("partners", "banks"))
    made("Partners", "old-broker.example", 120, owner="Old Broker Ltd.", groups=("partners",))
    made("Staff", "Nguyễn Thị Lan", 20, owner="lan.nguyen", groups=("staff", "admins"))
    made("Staff", "Trần Minh", 12, owner="minh.tran", groups=("staff",))
    _at(town, days=3)
    revocation.revoke(system, LAN, town.certificates["terminal-1043"].id, Revoke(reason="keyCompromise"))
    _at(town, days=2)
    revocation.revoke(system, TOM, town.certificates["terminal-1077"].id, Revoke(reason="certificateHold"))
    _at(town, hours=5)
    asked = NewCertificate(
        authority_id=issued["Partners"].id,
        csr=csr(new_key(), "settlement.example"),
        profile="treasury",
        owner="Settlement",
        justification="New settlement run from December on",
    )
    town.its["request"] = requests.submit(system, TOM, asked).id
    names = RequestedNames(common_name="terminal-1103")
    grant = NewToken(
        name="terminal-1103", authority_id=issued["Terminals"].id, profile="device", names=names, expires_in=timedelta(days=2)
    )
    town.its["grant"] = tokens.create(system, TOM, grant)[0].id
    town.its["certificate"] = town.certificates["terminal-1041"].id
    town.its["certificate on hold"] = town.certificates["terminal-1077"].id
    _at(town, hours=4)
    wanted = NewAuthority(name="Staff 2027", kind="intermediate", parent_id=issued["Hoa Sen Root"].id)
    successor = authorities.create(system, LAN, wanted)
    town.its["rotation"] = rotations.start(system, LAN, issued["Staff"].id, successor.id).id


def _rules(town: Town) -> None:
    _at(town, days=30)
    listener = town.listeners["terminals"]

    def rule(name: str, **fields: Any) -> AccessRule:
        return access.create(town.system, LAN, AccessRule(listener_id=listener.id, name=name, **fields))

    first = rule("Terminals pay", certificate=Holders(groups=("terminals",)), paths=("/pay/*",), methods=("POST",))
    rule("Refunds only from head office", action="DENY", paths=("/refund/*",), sources=("192.0.2.0/24",))
    rehearsed = rule(
        "Staff look at receipts", certificate=Holders(groups=("staff",)), paths=("/receipts/*",), methods=("GET",), shadow=True
    )
    exception = AccessException(
        listener_id=listener.id,
        name="Uptime monitor",
        kind="HEALTH_CHECK",
        sources=("198.51.100.0/24",),
        owner="tom.baker",
        not_after=NOW + timedelta(days=40),
    )
    town.its |= {"rule": first.id, "rehearsed rule": rehearsed.id}
    town.its["exception"] = exceptions.create(town.system, LAN, exception).id
    # What an operator does all the time: a switch, and back.
    _at(town, hours=30)
    listeners.update(town.system, TOM, listener.id, {"description": "Card terminals in shops", "timeout_client_data": 30_000})


def _traffic(town: Town) -> None:
    _at(town, minutes=1)
    terminals, partners = town.listeners["terminals"], town.listeners["partners"]
    batch = []
    for number, (name, hours) in enumerate(
        {"terminal-1041": 0.1, "terminal-1042": 2, "terminal-1078": 30, "Trần Minh": 4}.items()
    ):
        one = town.certificates[name]
        last = NOW - timedelta(hours=hours)
        batch.append(
            {
                "fingerprint_sha256": one.fingerprint_sha256,
                "listener_id": terminals.id,
                "serial": one.serial,
                "subject": one.subject,
                "issuer": town.authorities["Terminals"].subject,
                "not_after": one.not_after.isoformat(),
                "first_seen": (last - timedelta(days=3)).isoformat(),
                "last_seen": last.isoformat(),
                "requests": 1200 + 317 * number,
                "addresses": {f"198.51.100.{40 + number}": last.isoformat()},
            }
        )
    assert sightings.seen(town.system, GATEWAY, {"sequence": 1, "sightings": batch}) == 0
    _refusals(town)
    _rehearsed(town, partners)
    _counted(town, terminals)


def _refused(town: Town, listener: Listener, code: str, ago: float, name: str | None = None, **fields: Any) -> dict[str, Any]:
    at = (NOW - timedelta(hours=ago)).isoformat()
    held = town.certificates.get(name or "")
    client = f"198.51.100.{len(code) + int(ago)}"
    example = {
        "client": client,
        "fingerprint_sha256": held.fingerprint_sha256 if held else "",
        "serial": held.serial if held else "",
        "subject": held.subject if held else "",
        "host": "pay.hoasen.example",
        "method": "POST",
        "path": "/pay/charge",
    }
    shown = {"who": held.fingerprint_sha256 if held else client, "certificate": held.certificate if held else ""}
    usual = {"listener_id": listener.id, "stage": "handshake", "code": code, "first": at, "last": at, "count": 1}
    return {**usual, **shown, "addresses": [client], "references": [1_795_426_200_000 + int(ago)], "example": example, **fields}


def _refusals(town: Town) -> None:
    terminals = town.listeners["terminals"]
    entries = [
        _refused(town, terminals, "revoked", 0.2, "terminal-1043", count=14),
        _refused(town, terminals, "no_certificate", 0.6, count=3),
        _refused(town, terminals, "expired", 1.5, "old-broker.example", count=6),
        _refused(town, terminals, "no_rule_allows", 2.2, "Trần Minh", stage="request"),
        _refused(town, terminals, "unknown_authority", 5, "lotus-bank.example", count=2),
        _refused(town, terminals, "denied_by_rule", 7, "terminal-1042", stage="request", rule_id=town.its["rule"]),
        *(_refused(town, terminals, "no_certificate", 9 + 2 * number, count=1 + number % 4) for number in range(7)),
    ]
    assert denials.denied(town.system, GATEWAY, {"sequence": 1, "denials": entries}) == 0
    found = denials.find(town.system, LAN, DenialQuery())
    town.its["denial"] = found.items[0].id


def _rehearsed(town: Town, listener: Listener) -> None:
    now = listeners.get(town.system, LAN, listener.id)
    its: dict[str, Any] = {"stage": "request", "trust_revision": now.trust_revision}
    entries = [
        _refused(town, listener, "no_certificate", 1, count=220, **its),
        _refused(town, listener, "expired", 3, "old-broker.example", count=12, **its),
        _refused(town, listener, "allowed", 0.5, "lotus-bank.example", count=900, **its),
        _refused(town, listener, "allowed", 0.4, "treasury.example.vn", count=410, **its),
    ]
    assert rehearsals.rehearsed(town.system, GATEWAY, {"sequence": 1, "denials": entries}) == 0


def _counted(town: Town, listener: Listener) -> None:
    """A day's work: quiet at night, busy at noon."""
    at, run = NOW - timedelta(hours=24), {"handshakes": 0, "failed_handshakes": 0, "requests": 0, "admitted": 0}
    for step in range(24 * 4 + 1):
        town.clock.at = at + timedelta(minutes=15 * step)
        report = {"pid": 1, "uptime": 1 + 900 * step, "listeners": {f"listener/{listener.id}": dict(run)}}
        town.system.counting.told(GATEWAY, report, town.clock.at)
        busy = max(1, 12 - abs((town.clock.at.hour + 7) % 24 - 12))
        run = {name: run[name] + busy * times for name, times in zip(run, (40, 3, 300, 290), strict=True)}
        if step % 8 == 0:
            traffic.write(town.system)
    traffic.write(town.system)
