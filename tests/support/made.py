"""Things made through the use cases, with what a test does not care about filled in."""

from typing import Any

from ostiary.model.authority import Authority, Certificate, NewAuthority, NewCertificate
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Private
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.secret import Container, Secret, SecretRef
from ostiary.ops import authorities, balancers, certificates, containers, listeners, members, pools, secrets
from ostiary.ops.system import System
from support.certs import csr, new_key
from support.systems import ADMIN


def a_balancer(system: System, **fields: Any) -> LoadBalancer:
    return balancers.create(system, ADMIN, LoadBalancer(**{"name": "lb", "vip_address": "127.0.0.1", **fields}))


def a_pool(system: System, balancer: LoadBalancer, listener_id: str | None = None, **fields: Any) -> Pool:
    values = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "loadbalancer_id": balancer.id, **fields}
    return pools.create(system, ADMIN, Pool(**values), listener_id)


def a_member(system: System, pool: Pool, port: int = 8080, **fields: Any) -> Member:
    return members.create(system, ADMIN, pool.id, Member(**{"address": "127.0.0.1", "protocol_port": port, **fields}))


def a_listener(system: System, balancer: LoadBalancer, **fields: Any) -> Listener:
    values = {"name": "door", "protocol": "TERMINATED_HTTPS", "protocol_port": 8443, "loadbalancer_id": balancer.id, **fields}
    return listeners.create(system, ADMIN, Listener(**values))


def a_secret(system: System, payload: str | bytes, **fields: Any) -> str:
    """Store a secret; its href."""
    data = payload.encode() if isinstance(payload, str) else payload
    return f"/v1/secrets/{secrets.create(system, ADMIN, Secret(payload=Private(data), **fields)).id}"


def a_container(system: System, certificate: str, key: str, intermediates: str = "") -> str:
    """Store a certificate and its key; the container's href."""
    parts = {"certificate": certificate, "private_key": key, **({"intermediates": intermediates} if intermediates else {})}
    refs = tuple(SecretRef(name=name, secret_ref=a_secret(system, text)) for name, text in parts.items())  # type: ignore[arg-type]  # literals above
    return f"/v1/containers/{containers.create(system, ADMIN, Container(secret_refs=refs)).id}"


def an_authority(system: System, name: str = "Test CA", **fields: Any) -> Authority:
    return authorities.create(system, ADMIN, NewAuthority(name=name, **fields))


def a_certificate(system: System, authority: Authority, cn: str = "alice", **fields: Any) -> Certificate:
    """A certificate for a new key."""
    return certificates.issue(system, ADMIN, NewCertificate(authority_id=authority.id, csr=csr(new_key(), cn), **fields))
