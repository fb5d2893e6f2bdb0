"""Who the client is, as headers: ours are set from the verified connection, everybody else's are taken away first.

A member believes these headers. So on every HTTP listener, with or without client certificates, whatever a client sends
under such a name is removed before anything else looks at the request (`forged`), and only then our own are added: by the
router, at the very end (`inserted`), or by Lua where Envoy has no formatter (http_filters). What Envoy writes itself
(http_manager: `X-Forwarded-Client-Cert`, `X-Forwarded-Proto`) comes after the removal too.
"""

from typing import Any, Final

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from ostiary.envoy import noted, wire
from ostiary.model.listener import InsertableHeader, Listener

# What backends and other gateways read an identity or a client address from. One family a line; `-` stands for any
# one character but a letter or digit: CGI, WSGI and PHP read `X-SSL-Client-DN`, `X_SSL_Client_DN` and `X.SSL.Client.DN` as one.
# `*` stands for anything.
FORGED: Final = (
    "x-ssl-*",  # HAProxy, OpenStack Octavia
    "ssl-client-*",  # ingress-nginx, Apache by custom
    "x-client-cert*",  # many proxies, among them Azure and Kong
    "x-client-verify*",
    "x-client-verified*",
    "x-client-dn*",
    "x-client-cn",
    "x-client-subject*",
    "x-client-issuer*",
    "x-client-serial*",
    "x-client-fingerprint*",
    "x-client-san*",
    "x-client-tls*",
    "x-tls-client*",
    "client-cert",  # RFC 9440
    "client-cert-chain",  # RFC 9440
    "client-ip",
    "x-client-ip",
    "x-real-ip",
    "x-forwarded-ip",
    "x-cluster-client-ip",
    "true-client-ip",  # Akamai, Cloudflare
    "cf-connecting-ip",  # Cloudflare
    "x-forwarded-client-cert*",  # Envoy
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-tls-client-cert*",  # Traefik
    "x-forwarded-ssl-client*",
    "x-arr-clientcert*",  # IIS, Azure App Service
    "x-amzn-mtls-*",  # AWS ALB
    "x-goog-client-cert*",  # Google Cloud, by its documented example
    "cert-*",  # Cloudflare mTLS, F5 by custom
    "cf-client-cert*",  # Cloudflare
    "x-envoy-*",  # Envoy takes orders (timeouts, retries, hosts) from these when it holds the sender for internal
)

# `X-Forwarded-For` may hold what a client wrote, to the left of what we know. Under any other spelling it would be a second
# one, and which of the two CGI hands to a program is anybody's guess.
_MISSPELT: Final = ("x[^a-z0-9-]forwarded[^a-z0-9].*", "x-forwarded[^a-z0-9-].*")

_REMOTE: Final = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"

# Of the connection: true of every request. X-Forwarded-Proto is the HTTP manager's own, asked for or not.
_OF_CONNECTION: Final[dict[InsertableHeader, str]] = {
    "X-Forwarded-Port": "%DOWNSTREAM_LOCAL_PORT%",
    "X-Forwarded-IP": _REMOTE,
    "X-Client-IP": _REMOTE,
    "X-Real-IP": _REMOTE,
}

# Of a client certificate that was verified. Subject and issuer are escaped as in RFC 2253, control characters too, so that no
# name can break out of its header.
_OF_CERTIFICATE: Final[dict[InsertableHeader, str]] = {
    "X-SSL-Client-Verify": "0",  # X509_V_OK, as Octavia has it
    "X-SSL-Client-Has-Cert": "true",
    "X-SSL-Client-DN": "%DOWNSTREAM_PEER_SUBJECT%",
    "X-SSL-Issuer": "%DOWNSTREAM_PEER_ISSUER%",
    "X-SSL-Client-SHA1": "%DOWNSTREAM_PEER_FINGERPRINT_1%",
    "X-SSL-Client-Not-Before": noted.told(noted.BEGINS),
    "X-SSL-Client-Not-After": noted.told(noted.ENDS),
}

_OF_NOBODY: Final[dict[InsertableHeader, str]] = {"X-SSL-Client-Has-Cert": "false"}


def asked(listener: Listener, header: InsertableHeader) -> bool:
    """Whether the listener's owner wants this header."""
    return listener.insert_headers.get(header) == "true"


def forged() -> Any:
    """Take away what only we may say. An early mutation: before routing and before any filter."""
    return wire.extension(
        "envoy.http.early_header_mutation.header_mutation", header_mutation_pb2.HeaderMutation(mutations=[removal()])
    )


def removal() -> Any:
    """The same for headers or trailers, wherever it is put (HeaderMutation).

    All names are one regular expression: each mutation walks through all headers once more.
    """
    # Names reach Envoy's filters in lower case.
    names = "|".join((*(pattern.replace("-", "[^a-z0-9]").replace("*", ".*") for pattern in FORGED), *_MISSPELT))
    matcher = string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=names))
    return mutation_rules_pb2.HeaderMutation(remove_on_match=mutation_rules_pb2.HeaderMutation.RemoveOnMatch(key_matcher=matcher))


def inserted(listener: Listener, *, certified: bool) -> list[Any]:
    """The headers to set on a request whose client has shown a verified certificate, or has not (HeaderValueOption)."""
    of_client = _OF_CERTIFICATE if certified else _OF_NOBODY
    forwarded_for = [_append("X-Forwarded-For", _REMOTE)] if asked(listener, "X-Forwarded-For") else []
    others = [overwrite(header, value) for header, value in (_OF_CONNECTION | of_client).items() if asked(listener, header)]
    return [*forwarded_for, *others, _ONLY_UPGRADE]


def overwrite(header: str, value: str) -> Any:
    """Set a header, whatever was there."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=header, value=value),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


# Envoy hands on the Connection header of an upgrade (and of nothing else) word for word. There, `Upgrade, X-SSL-Client-CN` would
# ask a member that is itself a proxy to take our header off (RFC 9110 7.6.1).
_ONLY_UPGRADE: Final = base_pb2.HeaderValueOption(
    header=base_pb2.HeaderValue(key="Connection", value="Upgrade"),
    append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS,
)


def _append(header: str, value: str) -> Any:
    """What a client wrote stays, to the left of what we know (the convention of X-Forwarded-For)."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=header, value=value),
        append_action=base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
    )
