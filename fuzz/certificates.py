"""Fuzz what operators bring: CA bundles, revocation lists, keys, certificates with their chains. They are taken or refused."""

import base64
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import atheris

with atheris.instrument_imports(include=["ostiary"]):
    from ostiary.errors import Invalid
    from ostiary.pki import chain, constraints, crl, foreign_lists, issue, keys, lint, status_urls, trusted_bundle
    from ostiary.pki.issue import Issuer
    from ostiary.pki.names import SubjectFields, sans_text, subject_text

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from target import AT, KEY, OTHER_KEY, run

DAYS: Final = timedelta(days=1)
ROOT: Final = Issuer(issue.create_root(SubjectFields(CN="Root", O="Acme"), KEY, 3650 * DAYS, AT), KEY)
ISSUING: Final = issue.create_intermediate(SubjectFields(CN="Issuing", O="Acme"), OTHER_KEY, ROOT, 365 * DAYS, AT)
LIST: Final = crl.sign(ROOT, 1, AT - DAYS, AT + DAYS, [crl.entry(7, AT - DAYS, "keyCompromise", AT - DAYS)])
KEY_PEM: Final = keys.to_pem(KEY)


def bundle(data: bytes) -> None:
    """A Client CA, and all that is said of it."""
    for authority in chain.read_client_ca(data, AT, "ca"):
        for say in (subject_text, sans_text, status_urls.status_urls, constraints.of):
            say(authority)
        lint.certificate(authority)
    trusted_bundle.arranged(chain.read_certificates(data, "ca"))


def lists(data: bytes) -> None:
    """Revocation lists, uploaded and fetched."""
    chain.read_crls(data, (ROOT.certificate,), AT, "crl")


def fetched(data: bytes) -> None:
    """A list that another server sent."""
    for one_list in foreign_lists.read_lists(data, (ROOT.certificate,), AT, "crl"):
        foreign_lists.revoked_serials(one_list.der)


def identity(data: bytes) -> None:
    """A server's certificate for a key we have."""
    chain.read_server_identity(data, KEY_PEM, b"", None, AT)


def key(data: bytes) -> None:
    """A private key."""
    keys.load(data, None, "key")


def pkcs12(data: bytes) -> None:
    """Certificate and key in one."""
    chain.read_pkcs12(data, b"secret", AT, "pkcs12")


READERS: Final[tuple[tuple[Callable[[bytes], None], str], ...]] = (
    (bundle, "CERTIFICATE"),
    (lists, "X509 CRL"),
    (fetched, ""),
    (identity, "CERTIFICATE"),
    (key, "PRIVATE KEY"),
    (pkcs12, ""),
)


def one(data: bytes) -> None:
    """The first octet says who reads the rest: as it is, or as the DER in a PEM block."""
    read, label = READERS[data[0] % len(READERS) if data else 0]
    is_block = bool(label) and bool(data) and data[0] < 0x80
    text = block(label, data[1:]) if is_block else data[1:]
    with contextlib.suppress(Invalid):
        read(text)


def block(label: str, content: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(content).decode()}-----END {label}-----\n".encode()


def seeds() -> list[bytes]:
    root, issuing = (each.public_bytes(Encoding.DER) for each in (ROOT.certificate, ISSUING))
    text = block("CERTIFICATE", root) + block("CERTIFICATE", issuing)
    key_der = x509.load_der_x509_certificate(root).public_key()
    return [
        b"\x00" + root,
        b"\x00" + issuing,
        b"\xfc" + text,  # 252 is read by the first, as text
        b"\x01" + LIST,
        b"\x02" + LIST,
        b"\x03" + root,
        b"\x04" + keys.spki(key_der),
        b"\xfe" + KEY_PEM,
        b"\x05" + root,
    ]


if __name__ == "__main__":
    run(one, seeds())
