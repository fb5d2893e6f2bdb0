"""What fits together: rules that look at more than one field. Each raises `Invalid` or `Conflict` and says the way out."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from ostiary.errors import Conflict, Invalid
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener, ListenerProtocol
from ostiary.model.pool import Pool, PoolProtocol

# Octavia's VALID_LISTENER_POOL_PROTOCOL_MAP, for the protocols we have.
POOLS_FOR: Final[dict[ListenerProtocol, frozenset[PoolProtocol]]] = {
    "HTTP": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "TERMINATED_HTTPS": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "TCP": frozenset({"HTTP", "TCP", "PROXY", "PROXYV2"}),
}
_TLS_ONLY: Final = (
    "default_tls_container_ref",
    "sni_container_refs",
    "client_ca_tls_container_ref",
    "client_crl_container_ref",
    "hsts_max_age",
    "tls_ciphers",
)


def listener_is_coherent(listener: Listener) -> None:
    """Its own settings fit together (Octavia: api/v2/controllers/listener.py)."""
    if not listener.is_tls:
        for field in _TLS_ONLY:
            if getattr(listener, field):
                raise Invalid(field, f"only a TERMINATED_HTTPS listener can have this; this one speaks {listener.protocol}")
        if listener.client_authentication != "NONE":
            raise Invalid("client_authentication", "only a TERMINATED_HTTPS listener can ask for client certificates")
    if listener.client_authentication != "NONE" and listener.client_ca_tls_container_ref is None:
        raise Invalid(
            "client_ca_tls_container_ref",
            f"client_authentication {listener.client_authentication} needs to know who may have signed the certificates",
        )
    if listener.client_crl_container_ref and listener.client_ca_tls_container_ref is None:
        raise Invalid("client_crl_container_ref", "a revocation list needs client_ca_tls_container_ref: the authority it is of")
    if listener.hsts_max_age is None and (listener.hsts_include_subdomains or listener.hsts_preload):
        raise Invalid("hsts_max_age", "is needed for hsts_include_subdomains and hsts_preload")
    for header, wanted in listener.insert_headers.items():
        if wanted == "true":
            _header_fits(listener, header)


def _header_fits(listener: Listener, header: str) -> None:
    if not listener.is_http:
        raise Invalid(f"insert_headers.{header}", "a TCP listener does not see requests, so it cannot add headers")
    if header.startswith(("X-SSL-", "Client-Cert")) and not listener.is_tls:
        raise Invalid(f"insert_headers.{header}", "only a TERMINATED_HTTPS listener knows client certificates")


def pool_fits(listener: Listener, pool: Pool, field: str = "default_pool_id") -> None:
    """A listener can send what it receives to that pool. `field` is where the caller brought them together."""
    if pool.loadbalancer_id != listener.loadbalancer_id:
        raise Invalid(field, f"pool {pool.id} belongs to another load balancer, {pool.loadbalancer_id}")
    if pool.protocol not in POOLS_FOR[listener.protocol]:
        fitting = ", ".join(sorted(POOLS_FOR[listener.protocol]))
        raise Invalid(
            field,
            f"pool {pool.id} speaks {pool.protocol}; a {listener.protocol} listener needs a pool that speaks one of {fitting}",
        )


def port_is_free(address: str, port: int, taken: Iterable[tuple[str, Listener]]) -> None:
    """No other listener has this port at this address, nor at all addresses. `taken`: (address, listener)."""
    for other_address, other in taken:
        if other.protocol_port == port and _overlap(address, other_address):
            raise Conflict(
                f"port {port} at {address} is taken by listener {other.id} ({other.name or 'no name'})"
                f" of load balancer {other.loadbalancer_id}; choose another port or load balancer address.",
                "protocol_port",
            )


def taken_ports(address: str, taken: Iterable[tuple[str, int]]) -> frozenset[int]:
    """The ports that are not free at this address. `taken`: (address, port)."""
    return frozenset(port for other_address, port in taken if _overlap(address, other_address))


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first == second or first.is_unspecified or second.is_unspecified


def pool_is_coherent(pool: Pool) -> None:
    """Its own settings fit together."""
    persistence = pool.session_persistence
    if persistence is not None:
        if persistence.type != "SOURCE_IP" and pool.protocol == "TCP":
            raise Invalid("session_persistence.type", "a TCP pool does not see cookies; use SOURCE_IP")
        if persistence.type == "APP_COOKIE" and persistence.cookie_name is None:
            raise Invalid("session_persistence.cookie_name", "APP_COOKIE needs the name of the application's cookie")
        if persistence.type == "SOURCE_IP" and persistence.cookie_name is not None:
            raise Invalid("session_persistence.cookie_name", "SOURCE_IP has no cookie")
        for field in ("persistence_timeout", "persistence_granularity"):
            if getattr(persistence, field) is not None:
                raise Invalid(f"session_persistence.{field}", "is for UDP, which is not supported")
    for field in ("tls_container_ref", "ca_tls_container_ref", "crl_container_ref"):
        if getattr(pool, field) and not pool.tls_enabled:
            raise Invalid(field, "needs tls_enabled: true")
    if pool.crl_container_ref and pool.ca_tls_container_ref is None:
        raise Invalid("crl_container_ref", "a revocation list needs ca_tls_container_ref: the authority it is of")


def monitor_is_coherent(monitor: HealthMonitor) -> None:
    """Its own settings fit together (Octavia refuses a timeout above the delay)."""
    if monitor.timeout > monitor.delay:
        raise Invalid("timeout", f"{monitor.timeout} s is longer than the delay of {monitor.delay} s")
