"""A listener: a port of a load balancer, what is spoken there, and who may connect."""

from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import CIDR, MILLISECONDS_MAX, Milliseconds, Port, Reference, setting
from ostiary.model.resource import Configured
from ostiary.model.tls import ALPNProtocols, Ciphers, TLSVersions

ListenerProtocol = Literal["HTTP", "TCP", "TERMINATED_HTTPS"]
ClientAuthentication = Literal["NONE", "OPTIONAL", "MANDATORY", "REHEARSAL"]
StaleRevocation = Literal["REFUSE", "ALLOW"]
InsertableHeader = Literal[
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Forwarded-IP",
    "X-Client-IP",
    "X-Real-IP",
    "X-SSL-Client-Verify",
    "X-SSL-Client-Has-Cert",
    "X-SSL-Client-DN",
    "X-SSL-Client-CN",
    "X-SSL-Issuer",
    "X-SSL-Client-SHA1",
    "X-SSL-Client-Not-Before",
    "X-SSL-Client-Not-After",
    "Client-Cert",
    "Client-Cert-Chain",
]


class Listener(Configured):
    """A port, a protocol, and the door policy. Octavia: listener."""

    loadbalancer_id: str = setting("", "The load balancer it belongs to.", fixed=True)
    protocol: ListenerProtocol = setting(description="What is spoken at the port.", fixed=True, label="Protocol")
    protocol_port: Port = setting(description="The TCP port.", fixed=True, label="Port")
    default_pool_id: str | None = setting(None, "Where requests go.", label="Default Pool")
    connection_limit: Annotated[int, Field(ge=-1, le=2**31 - 1)] = setting(
        -1,
        "Most connections at one time; -1 is no limit.",
        advanced=True,
        group="timeouts",
    )

    client_authentication: ClientAuthentication = setting(
        "NONE",
        "Whether a client certificate is not asked for, checked when shown, demanded, or (REHEARSAL) asked for and checked while "
        "everybody is served as before.",
        advanced=True,
        label="Authentication mode",
        group="client",
        needs="tls",
    )
    client_ca_tls_container_ref: Reference | None = setting(
        None,
        "Who may have signed client certificates: an authority's href, or a secret with PEM certificates.",
        advanced=True,
        label="Client CA",
        group="client",
        needs="tls",
    )
    client_crl_container_ref: Reference | None = setting(
        None,
        "A secret with the PEM revocation list of each of those authorities.",
        advanced=True,
        label="Revocation list (CRL)",
        group="client",
        needs="tls",
    )

    stale_revocation: StaleRevocation = setting(
        "REFUSE",
        "What a gateway does with clients when the revocation lists it holds have ended and nobody brings newer: REFUSE all, "
        "or ALLOW those not known to be revoked, with an alarm.",
        advanced=True,
        label="When revocation lists have ended",
        group="client",
        needs="tls",
    )
    stale_allow_hours: Annotated[int, Field(ge=1, le=720)] = setting(
        24,
        "For how long ALLOW lets them in after a list has ended.",
        advanced=True,
        unit="h",
        label="Allow for",
        group="client",
        needs="tls",
    )

    trust_revision: int = setting(0, "The revision that last changed who may have signed client certificates.", derived=True)

    default_tls_container_ref: Reference | None = setting(
        None,
        "The server certificate: a secret (PKCS#12) or certificate container. Empty: ostiary issues one.",
        label="Default Certificate",
        needs="tls",
    )
    sni_container_refs: Annotated[tuple[Reference, ...], Field(max_length=100)] = setting(
        (),
        "More server certificates, chosen by the name a client asks for.",
        advanced=True,
        label="SNI Certificates",
        group="tls",
        needs="tls",
    )
    tls_versions: TLSVersions = setting(
        ("TLSv1.2", "TLSv1.3"), "TLS versions spoken.", advanced=True, label="TLS versions", group="tls", needs="tls"
    )
    tls_ciphers: Ciphers | None = setting(
        None,
        "TLS 1.2 cipher suites by OpenSSL name, joined by ':'. TLS 1.3 suites are fixed.",
        advanced=True,
        label="TLS ciphers",
        group="tls",
        needs="tls",
    )
    alpn_protocols: ALPNProtocols = setting(
        ("h2", "http/1.1"),
        "HTTP versions offered in the TLS handshake.",
        advanced=True,
        label="ALPN protocols",
        group="tls",
        needs="tls",
    )
    hsts_max_age: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = setting(
        None,
        "Strict-Transport-Security lifetime; empty sends no header.",
        advanced=True,
        unit="s",
        label="HSTS lifetime",
        group="tls",
        needs="tls",
    )
    hsts_include_subdomains: bool = setting(
        False, "Adds includeSubDomains to it.", advanced=True, label="HSTS for subdomains", group="tls", needs="tls"
    )
    hsts_preload: bool = setting(False, "Adds preload to it.", advanced=True, label="HSTS preload", group="tls", needs="tls")

    allowed_cidrs: Annotated[tuple[CIDR, ...], Field(max_length=1000)] = setting(
        (),
        "Networks that may connect; empty is all.",
        advanced=True,
        label="Allowed CIDRs",
        group="who",
    )
    insert_headers: dict[InsertableHeader, Literal["true", "false"]] = setting(
        {},
        "Headers added to each request for the members.",
        advanced=True,
        label="Request Headers",
        group="who",
        needs="requests",
    )
    stream_recheck: Annotated[int, Field(ge=1, le=3600)] = setting(
        5,
        "How soon a long download or stream of a client that lost its permission is found, and ended a second later, at most; "
        "WebSockets are ended at once.",
        advanced=True,
        unit="s",
        label="Recheck streams every",
        group="timeouts",
    )
    max_stream_duration: Annotated[int, Field(ge=0, le=MILLISECONDS_MAX // 1000)] = setting(
        0,
        "How long any request or stream may last, WebSockets too; 0 is no limit.",
        advanced=True,
        unit="s",
        label="Longest stream",
        group="timeouts",
    )
    max_connection_age: Annotated[int, Field(ge=60, le=86_400)] = setting(
        86_400,
        "How old a connection may grow where client certificates are asked for; then its client has to show its own anew.",
        advanced=True,
        unit="s",
        label="Oldest connection",
        group="client",
        needs="tls",
    )
    timeout_client_data: Milliseconds = setting(
        50_000,
        "How long a client may be silent.",
        advanced=True,
        unit="ms",
        label="Client timeout",
        group="timeouts",
    )
    timeout_member_connect: Milliseconds = setting(
        5_000,
        "How long a member may take to accept a connection.",
        advanced=True,
        unit="ms",
        label="Connection timeout",
        group="timeouts",
    )
    timeout_member_data: Milliseconds = setting(
        50_000,
        "How long a member may be silent.",
        advanced=True,
        unit="ms",
        label="Member timeout",
        group="timeouts",
    )
    timeout_tcp_inspect: Milliseconds = setting(
        0,
        "How long to wait for a client's first bytes; 0 is the engine's default.",
        advanced=True,
        unit="ms",
        label="Inspection timeout",
        group="timeouts",
    )

    @property
    def is_tls(self) -> bool:
        """Whether it terminates TLS, and so can ask for client certificates."""
        return self.protocol == "TERMINATED_HTTPS"

    @property
    def networks(self) -> tuple[str, ...]:
        """From where one may connect to it; none is from everywhere."""
        return self.allowed_cidrs

    @property
    def when_lists_ended(self) -> StaleRevocation:
        """What becomes of clients when the revocation lists have ended."""
        return self.stale_revocation

    @property
    def lenient(self) -> dict[str, str]:
        """What each setting lets in that is usually refused, by its name; of those that are about client certificates."""
        found = {}
        if self.client_authentication == "OPTIONAL":
            found["client_authentication"] = "client certificate optional: who shows none is served"
        if self.client_authentication == "REHEARSAL":
            found["client_authentication"] = "rehearsal: everybody is served, and it is noted who would be refused"
        if self.client_authentication != "NONE" and self.stale_revocation == "ALLOW":
            found["stale_revocation"] = f"clients are let in for {self.stale_allow_hours} h after the revocation lists have ended"
        return found

    @property
    def is_http(self) -> bool:
        """Whether it understands requests, not only bytes."""
        return self.protocol != "TCP"
