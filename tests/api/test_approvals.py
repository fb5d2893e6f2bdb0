"""With another person's approval on, no call lowers protection without it: each that could, tried; and done once they agreed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from api.client import Client
from ostiary.api.declared import May, declaration
from ostiary.api.openapi import routes
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.authority import TrustedAuthority
from ostiary.model.token import NewToken
from ostiary.model.user import User
from ostiary.ops import access, approvals, exceptions, house_settings, imported, listeners, revisions, rotations, tokens, users
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store.access import fingerprints
from ostiary.store.kinds import (
    ACCESS_EXCEPTION,
    ACCESS_RULE,
    AUTHORITY,
    CERTIFICATE,
    HOUSE_SETTINGS,
    LISTENER,
    MEMBER,
    TOKEN,
    USER,
)
from ostiary.store.material import Materials
from support.certs import Authority as Elsewhere
from support.made import a_balancer, a_certificate, a_listener, a_member, a_pool, a_secret, an_authority
from support.systems import ADMIN, FakeClock, a_store, a_system, sqlite_url

EVERY: Final = ("CLIENT_CA", "LOWER_PROTECTION", "MASS_REVOCATION", "KEY_EXPORT", "NEW_PERSON")
BOB: Final = Caller("bob", "admin", "192.0.2.2", "req-b")
PASSPHRASE: Final = "correct horse battery staple"

# What lowers nothing, whoever does it and however. All other permissions that routes ask for are tried below.
HARMLESS: Final = {
    *("approval:approve", "approval:ask", "approval:withdraw", "audit:verify", "review:create", "session:end"),
    *("break-glass:begin", "break-glass:end", "break-glass:review", "sign-in-link:create"),
    *("certificate:approve", "certificate:issue", "certificate:renew", "certificate:update", "authority:fetch"),
    *("container:create", "container:delete", "container:read", "secret:create", "secret:delete", "secret:read"),
    *("healthmonitor:create", "healthmonitor:delete", "healthmonitor:update", "loadbalancer:failover", "loadbalancer:update"),
    *("notification-target:create", "notification-target:delete", "notification-target:test", "notification-target:update"),
    *("profile:create", "profile:delete", "profile:update", "token:delete", "user:delete", "access-rule:read"),
    # It takes a pool or a member away, or asks whether that may be; nobody gets in by that.
    *("pool:delete", "pool:update", "member:delete", "member:update", "access-exception:delete"),
    "backup:make",  # refuses to hold keys (test_backup)
}


@dataclass
class World:
    """A door that demands certificates, and all that it hangs on. `its` are ids by what they are."""

    folder: Path
    client: Client
    its: dict[str, str] = field(default_factory=dict)

    @property
    def system(self) -> System:
        return self.client.system


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    clock = FakeClock()
    with Client(a_system(sqlite_url(folder), clock)) as client:
        made = World(folder, client)
        _build(made)
        yield made


def _build(world: World) -> None:
    system, its = world.system, world.its
    root, other = an_authority(system, "Devices"), an_authority(system, "Others")
    ca, its["root"], its["other"] = f"/v1/authorities/{root.id}", root.id, other.id
    balancer = a_balancer(system)
    pool, open_pool = a_pool(system, balancer, name="behind"), a_pool(system, balancer, name="in front")
    its |= {"balancer": balancer.id, "pool": pool.id, "open_pool": open_pool.id}
    a_member(system, pool, 9000)
    its["open_member"] = a_member(system, open_pool, 9001).id
    opened = a_listener(system, balancer, name="open", protocol="HTTP", protocol_port=80, default_pool_id=open_pool.id)
    its["open"] = opened.id
    bare = a_listener(system, balancer, name="bare", protocol="HTTP", protocol_port=81)
    its["bare"] = bare.id
    door = a_listener(system, balancer, name="door", client_ca_tls_container_ref=ca, default_pool_id=pool.id)
    its |= {"door": door.id, "before": str(revisions.current(system, ADMIN))}
    listeners.update(system, ADMIN, door.id, {"client_authentication": "MANDATORY"})
    deny = AccessRule(listener_id=door.id, name="never", action="DENY", certificate=Holders(subject_cn=("mallory",)))
    its["deny"] = access.create(system, ADMIN, deny).id
    allow = AccessRule(listener_id=door.id, name="devices", certificate=Holders(subject_ou=("devices",)))
    its["allow"] = access.create(system, ADMIN, allow).id
    exception = AccessException(
        listener_id=door.id,
        name="health",
        kind="PATHS",
        paths=("/health",),
        owner="ops",
        not_after=system.clock().replace(year=2027),
    )
    its["exception"] = exceptions.create(system, ADMIN, exception).id
    wanted = TrustedAuthority(name="Elsewhere", certificate=Elsewhere.root("Elsewhere").cert_pem)
    its["imported"] = imported.import_bundle(system, ADMIN, wanted).id
    second = a_listener(
        system, balancer, name="second", protocol_port=9443, client_authentication="MANDATORY",
        client_ca_tls_container_ref=f"/v1/authorities/{other.id}",
    )  # fmt: skip
    its["second"] = second.id
    third = an_authority(system, "Third")
    its["rotation"] = rotations.start(system, ADMIN, other.id, third.id).id
    its["third"] = third.id
    for number in range(4):
        its[f"certificate {number}"] = a_certificate(system, root, f"device-{number}").id
    its["key"] = a_secret(system, "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n").rpartition("/")[2]
    its["carol"] = users.create(system, ADMIN, User(name="carol", role="auditor", certificate=Holders(subject_cn=("carol",)))).id
    for name, role in (("alice", "admin"), ("bob", "admin")):
        tokens.create(system, ADMIN, NewToken(name=name, role=role))  # type: ignore[arg-type]  # literals above
    _, secret = tokens.create(system, ADMIN, NewToken(name="mallory", role="admin"))
    its["token"] = bytes(secret).decode()
    house_settings.update(system, ADMIN, {"approval_needed_for": EVERY, "mass_revocation_threshold": 3})


def protection(system: System) -> dict[str, Any]:
    """What somebody who may lower nothing alone must not move."""
    with system.store.read() as reader:
        materials = Materials(reader, system.sealer)
        doors = {}
        for one in reader.all(LISTENER):
            ca = one.client_ca_tls_container_ref
            trusted = frozenset(fingerprints(materials.anchors(ca, "ca").pem.decode())) if ca else frozenset()
            doors[one.id] = (one.client_authentication, ca, trusted, one.stale_revocation, one.default_pool_id)
        rules = sorted((one.position or 0, one.action, one.certificate, one.paths, one.shadow) for one in reader.all(ACCESS_RULE))
        return {
            "doors": doors,
            "rules": [str(one) for one in rules],
            "exceptions": {(one.id, one.paths, one.not_after) for one in reader.all(ACCESS_EXCEPTION)},
            "servers": {(one.pool_id, one.address, one.protocol_port) for one in reader.all(MEMBER)},
            "checks": {(one.id, one.status_check) for one in reader.all(AUTHORITY)},
            "keys": {one.id for one in reader.all(AUTHORITY) if one.has_key},
            "revoked": {one.id for one in reader.all(CERTIFICATE) if one.revoked_at is not None},
            "people": {(one.name, one.role) for one in reader.all(TOKEN)},
            "users": {(one.name, one.role, str(one.certificate)) for one in reader.all(USER)},
            "settings": [one.model_dump(exclude={"revision", "created_at", "updated_at"}) for one in reader.all(HOUSE_SETTINGS)],
        }  # fmt: skip


# A permission, and calls that ask for it: method, path, body. `{…}` are ids of the world.
LB: Final = "/v2/lbaas"
CALLS: Final[tuple[tuple[str, str, str, Any], ...]] = (
    ("listener:update", "PUT", f"{LB}/listeners/{{door}}", {"listener": {"client_authentication": "OPTIONAL"}}),
    ("listener:update", "PUT", f"{LB}/listeners/{{door}}", {"listener": {"client_authentication": "REHEARSAL"}}),
    ("listener:update", "PUT", f"{LB}/listeners/{{door}}", {"listener": {"client_authentication": "NONE"}}),
    ("listener:update", "PUT", f"{LB}/listeners/{{door}}", {"listener": {"client_authentication": None}}),
    ("listener:update", "PUT", f"{LB}/listeners/{{door}}",
     {"listener": {"client_ca_tls_container_ref": "/v1/authorities/{imported}"}}),
    ("listener:update", "PUT", f"{LB}/listeners/{{door}}", {"listener": {"stale_revocation": "ALLOW"}}),
    ("listener:update", "PUT", f"{LB}/listeners/{{bare}}", {"listener": {"default_pool_id": "{pool}"}}),
    ("listener:create", "POST", f"{LB}/listeners",
     {"listener": {"protocol": "HTTP", "protocol_port": 82, "loadbalancer_id": "{balancer}"}}),
    ("listener:create", "POST", f"{LB}/listeners", {"listener": {
        "protocol": "TERMINATED_HTTPS", "protocol_port": 444, "loadbalancer_id": "{balancer}",
        "client_authentication": "MANDATORY",
        "client_ca_tls_container_ref": "/v1/authorities/{imported}", "default_pool_id": "{pool}"}}),
    ("listener:delete", "DELETE", f"{LB}/listeners/{{door}}", None),
    ("loadbalancer:delete", "DELETE", f"{LB}/loadbalancers/{{balancer}}?cascade=true", None),
    ("loadbalancer:create", "POST", f"{LB}/loadbalancers", {"loadbalancer": {
        "vip_address": "127.0.0.2", "listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {
            "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [{"address": "127.0.0.1", "protocol_port": 9000}]}}]}}),
    ("pool:create", "POST", f"{LB}/pools", {"pool": {
        "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "listener_id": "{bare}",
        "members": [{"address": "127.0.0.1", "protocol_port": 9000}]}}),
    ("member:create", "POST", f"{LB}/pools/{{open_pool}}/members", {"member": {"address": "127.0.0.1", "protocol_port": 9000}}),
    ("member:replace", "PUT", f"{LB}/pools/{{open_pool}}/members",
     {"members": [{"address": "127.0.0.1", "protocol_port": 9000}]}),
    ("access-rule:update", "PUT", "/v1/access-rules/{deny}", {"access_rule": {"shadow": True}}),
    ("access-rule:update", "PUT", "/v1/access-rules/{deny}", {"access_rule": {"action": "ALLOW"}}),
    ("access-rule:update", "PUT", "/v1/access-rules/{deny}", {"access_rule": {"position": 2}}),
    ("access-rule:update", "PUT", "/v1/access-rules/{allow}", {"access_rule": {"certificate": {}}}),
    ("access-rule:delete", "DELETE", "/v1/access-rules/{deny}", None),
    ("access-rule:create", "POST", "/v1/access-rules", {"access_rule": {"listener_id": "{door}", "name": "all", "position": 1}}),
    ("access-exception:create", "POST", "/v1/access-exceptions", {"access_exception": {
        "listener_id": "{door}", "name": "x", "kind": "PATHS", "paths": ["/x/*"],
        "owner": "me", "not_after": "2027-01-01T00:00:00Z"}}),
    ("access-exception:update", "PUT", "/v1/access-exceptions/{exception}", {"access_exception": {"paths": ["/health", "/x/*"]}}),
    ("revision:revert", "POST", "/v1/revisions/{before}/revert", None),
    ("rotation:start", "POST", "/v1/rotations", {"rotation": {"from_id": "{root}", "to_id": "{imported}"}}),
    ("rotation:finish", "POST", "/v1/rotations/{rotation}/finish", {"force": True}),
    ("rotation:undo", "POST", "/v1/rotations/{rotation}/undo", None),
    ("authority:create", "POST", "/v1/authorities",
     {"authority": {"name": "below", "kind": "intermediate", "parent_id": "{root}"}}),
    ("authority:create", "POST", "/v1/authorities/{imported}/cross-sign",
     {"authority": {"parent_id": "{root}", "lifetime_days": 30}}),
    ("certificate:revoke", "POST", "/v1/revocations", {
        "matching": {"authority_id": "{root}"}, "reason": "superseded", "expected": 4}),
    ("settings:update", "PUT", "/v1/settings", {"settings": {"approval_needed_for": ["CLIENT_CA"]}}),
    ("settings:update", "PUT", "/v1/settings", {"settings": {"mass_revocation_threshold": 9999}}),
    ("settings:update", "PUT", "/v1/settings", {"settings": {"audit_retention_days": 30}}),
    ("user:create", "POST", "/v1/users", {"user": {"name": "m2", "role": "admin", "certificate": {"subject_cn": ["m2"]}}}),
    ("user:update", "PUT", "/v1/users/{carol}", {"user": {"certificate": {"subject_cn": ["mallory"]}}}),
    # These are sent once more by whoever asked, for only they may have the answer.
    ("token:create", "POST", "/v1/tokens", {"token": {"name": "m2", "role": "admin"}}),
    ("authority:export-key", "POST", "/v1/authorities/{root}/export", {"export": {"passphrase": PASSPHRASE}}),
    ("authority:export-key", "POST", "/v1/authorities/{root}/export", {"export": {"passphrase": PASSPHRASE, "remove": True}}),
    ("secret:decrypt", "GET", "/v1/secrets/{key}/payload", None),
)  # fmt: skip
# Tried elsewhere in this file, for they need more than a call.
ALSO: Final = {"authority:revoke", "authority:roll", "authority:delete", "authority:update", "authority:upload"}


def filled(value: Any, its: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(one, its) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, its) for one in value]
    if isinstance(value, str):
        for name, one in its.items():
            value = value.replace(f"{{{name}}}", one)
    return value


def test_whatever_a_route_asks_permission_for_is_tried_or_harmless(world: World) -> None:
    asked = {
        declared.permission
        for route in routes(world.client.app)
        if isinstance(declared := declaration(route.dependencies), May) and route.methods != {"GET"}
    }
    assert asked - HARMLESS - {permission for permission, *_ in CALLS} - ALSO == set()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[3]}"[:70])
def test_it_waits_and_another_person_has_it_done(world: World, call: tuple[str, str, str, Any], tmp_path: Path) -> None:
    _permission, method, path, body = call
    place, sent = filled(path, world.its), filled(body, world.its)
    before = protection(world.system)
    headers = {"X-Auth-Token": world.its["token"], "X-Justification": "c%E1%BA%A7n"}
    reply = world.client.request(method, place, sent, headers=headers)
    is_openstack = path.startswith(("/v2", "/v1/secrets"))
    assert reply.status_code == (409 if is_openstack else 202), reply.text
    approval_id = reply.headers["location"].removeprefix("/v1/approvals/")
    assert approval_id in reply.text
    assert PASSPHRASE not in reply.text
    assert protection(world.system) == before
    again = world.client.request(method, place, sent, headers=headers)
    assert again.headers["location"] == reply.headers["location"]

    shutil.copytree(world.folder, tmp_path / "copy")
    system = System(a_store(sqlite_url(tmp_path / "copy"), world.system.clock), world.system.sealer, world.system.clock)  # type: ignore[arg-type]  # a fake one
    waiting = approvals.get(system, ADMIN, approval_id)
    assert (waiting.requested_by, waiting.source, waiting.justification) == ("mallory", "192.0.2.7", "cần")
    decided = approvals.approve(system, BOB, approval_id, "seen")
    if decided.repeats:
        assert decided.status == "GRANTED"
        with Client(system) as other:
            assert other.request(method, place, sent, headers=headers).status_code in {200, 201}
            once_more = other.request(method, place, sent, headers=headers)
            assert once_more.status_code in {202, 409}
    else:
        assert decided.status == "DONE"
        assert protection(system) != before
        system.store.close()
