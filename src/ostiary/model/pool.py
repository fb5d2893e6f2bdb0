"""A pool: the members behind a listener, and how a request picks one."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ostiary.model.fields import Data, IPAddress, Port, Reference, Text, setting
from ostiary.model.resource import Configured
from ostiary.model.tls import ALPNProtocols, Ciphers, TLSVersions

PoolProtocol = Literal["HTTP", "TCP", "PROXY", "PROXYV2"]
Algorithm = Literal["ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"]

# RFC 6265 4.1.1: a cookie's name is a token (RFC 9110 5.6.2).
CookieName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$")]


class SessionPersistence(Data):
    """What ties a client to the member that served it before."""

    type: Literal["SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE"] = setting(
        description="By what a client is known again.", label="Sticky session"
    )
    cookie_name: CookieName | None = setting(
        None, "The cookie that holds the session; needed for one of the application.", label="Cookie name"
    )
    persistence_timeout: int | None = None
    persistence_granularity: str | None = None


class Pool(Configured):
    """Members that share one algorithm and one way of being reached. Octavia: pool."""

    loadbalancer_id: str = setting("", "The load balancer it belongs to.", fixed=True)
    protocol: PoolProtocol = setting(description="What members speak.", fixed=True, label="Protocol")
    lb_algorithm: Algorithm = setting(description="How a member is chosen.", label="Algorithm")
    session_persistence: SessionPersistence | None = setting(None, "Keeps a client with one member.")
    tls_enabled: bool = setting(False, "Whether members are reached over TLS.", advanced=True, label="TLS to members")
    tls_container_ref: Reference | None = setting(
        None,
        "The certificate we show to members: a secret (PKCS#12) or certificate container.",
        advanced=True,
        label="Certificate shown to members",
    )
    ca_tls_container_ref: Reference | None = setting(
        None,
        "Who may have signed the members' certificates: an authority or a secret.",
        advanced=True,
        label="CA of the members",
    )
    crl_container_ref: Reference | None = setting(
        None,
        "A secret with the revocation lists of those authorities.",
        advanced=True,
        label="Revocation list (CRL)",
    )
    tls_versions: TLSVersions = setting(
        ("TLSv1.2", "TLSv1.3"), "TLS versions spoken to members.", advanced=True, label="TLS versions"
    )
    tls_ciphers: Ciphers | None = setting(None, "TLS 1.2 cipher suites by OpenSSL name.", advanced=True, label="TLS ciphers")
    alpn_protocols: ALPNProtocols = setting(
        ("http/1.1",), "HTTP versions offered to members over TLS.", advanced=True, label="ALPN protocols"
    )


class Member(Configured):
    """A server that answers. Octavia: member."""

    pool_id: str = setting("", "The pool it belongs to.", derived=True)
    address: IPAddress = setting(description="Its IP address.", fixed=True)
    protocol_port: Port = setting(description="Its port.", fixed=True, label="Port")
    weight: Annotated[int, Field(ge=0, le=256)] = setting(1, "Its share of requests; 0 lets it drain.")
    backup: bool = setting(False, "Whether it serves only when no other member can.")
    subnet_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    monitor_address: IPAddress | None = setting(
        None, "Where its health is asked for, if elsewhere.", label="Health check address"
    )
    monitor_port: Port | None = setting(None, "Port at which its health is asked for, if another.", label="Health check port")
