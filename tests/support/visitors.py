"""Who knocks at a door, and how: everybody whom a Client CA must tell apart, over every client that we have.

    people = visitors(issuing)      # name → Visitor; None stands for "shows no certificate"
    CLIENTS["curl, HTTP/2"](port, server_ca, paths, "/somewhere")     # the status; None when the door stayed shut

What is neither an answer nor a refusal, such as a port where nobody listens, raises.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from support.certs import (
    CLIENT_AUTH,
    NO_EKU,
    SERVER_AUTH,
    Authority,
    Key,
    Leaf,
    Paths,
    new_key,
    self_signed_client,
    word_for_word,
)
from support.tls_clients import OpenSSLResult, Refused, TLSClient, Version, curl, s_client

ADMITTED: Final = ("valid", "for any purpose", "for client and server")
REFUSED: Final = (
    "nobody",
    "self-signed",
    "of another CA",
    "of a CA of the same name",
    "forged",
    "signed by a client",
    "expired",
    "not yet valid",
    "server only",
)

Visitor = Leaf | None
Client = Callable[[int, Path, Paths | None, str], int | None]


def visitors(issuer: Authority) -> dict[str, Visitor]:
    """One of each, all signed by `issuer` who are."""
    namesake = Authority.root(_common_name(issuer.certificate))
    valid = issuer.client("valid", sans=("URI:spiffe://test/valid", "DNS:valid.test"))
    return {
        "valid": valid,
        "for any purpose": issuer.client("for any purpose", eku=NO_EKU),
        "for client and server": issuer.client("for client and server", eku=(CLIENT_AUTH, SERVER_AUTH)),
        "revoked": issuer.client("revoked"),
        **strangers(valid, namesake),
        "expired": issuer.expired_client(),
        "not yet valid": issuer.future_client(),
        "server only": issuer.server_only_client(),
    }


def strangers(valid: Leaf, namesake: Authority) -> dict[str, Visitor]:
    """Those who need nothing of the CA to try: `valid` is a real client's certificate, `namesake` a CA with its CA's name."""
    return {
        "nobody": None,
        "self-signed": self_signed_client("valid", sans=("URI:spiffe://test/valid",)),
        "of another CA": Authority.root("Another root").client("valid"),
        "of a CA of the same name": namesake.client("valid"),
        "forged": Leaf(*forged(valid.certificate, namesake), valid.authorities),
        "signed by a client": Authority(valid.certificate, valid.key, valid.authorities).client("signed by a client"),
    }


def forged(real: x509.Certificate, forger: Authority) -> tuple[x509.Certificate, Key]:
    """A certificate word for word, key identifiers of its issuer too: only key and signature are another's."""
    key = new_key()
    builder = word_for_word(real, key.public_key())
    for extension in real.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(forger.key, hashes.SHA256()), key


def _common_name(certificate: x509.Certificate) -> str:
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


def tls_client(port: int, ca: Path, shown: Paths | None, version: Version | None = None) -> TLSClient:
    """A client in Python that shows this certificate, and the intermediates that belong to it."""
    cert, key = (shown.chain, shown.key) if shown else (None, None)
    return TLSClient(port, ca=ca, cert=cert, key=key, version=version)


def _python(version: Version) -> Client:
    def knock(port: int, ca: Path, shown: Paths | None, path: str) -> int | None:
        client = tls_client(port, ca, shown, version)
        try:
            return client.get(path).status
        except Refused:
            return None

    return knock


def _http2(port: int, ca: Path, shown: Paths | None, path: str) -> int | None:
    try:
        return tls_client(port, ca, shown).get_h2(path)[0].status
    except Refused:
        return None


def _curl(http: str) -> Client:
    def knock(port: int, ca: Path, shown: Paths | None, path: str) -> int | None:
        done = curl(
            f"https://localhost:{port}{path}",
            ca=ca,
            http="2" if http == "2" else "1.1",
            cert=shown.chain if shown else None,
            key=shown.key if shown else None,
        )
        assert done.is_refused or (done.exit_code == 0 and done.http_version == http), done
        return None if done.is_refused else done.status

    return knock


def openssl(
    port: int, ca: Path, shown: Paths | None, *options: str, version: Version | None = None, path: str = "/"
) -> OpenSSLResult:
    """Knock with openssl s_client, for all that it tells."""
    # -cert is the certificate alone; what else s_client should send comes by -cert_chain.
    cert, key, chain = (shown.cert, shown.key, shown.chain) if shown else (None, None, None)
    return s_client(port, *options, ca=ca, cert=cert, key=key, chain=chain, version=version, path=path)


def _openssl(port: int, ca: Path, shown: Paths | None, path: str) -> int | None:
    done = openssl(port, ca, shown, path=path)
    refused = done.alert is not None or any(end in done.output for end in ("errno=104", "errno=32", "unexpected eof"))
    assert (done.status is None) == refused, done.output
    return done.status


CLIENTS: Final[Mapping[str, Client]] = MappingProxyType(
    {
        "Python, TLS 1.2": _python("TLSv1.2"),
        "Python, TLS 1.3": _python("TLSv1.3"),
        "Python, HTTP/2": _http2,
        "curl, HTTP/1.1": _curl("1.1"),
        "curl, HTTP/2": _curl("2"),
        "openssl": _openssl,
    }
)
