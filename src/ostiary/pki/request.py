"""Read a certificate signing request (PKCS#10): the key, and the names it asks for. Nothing else in it counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ostiary.errors import Invalid
from ostiary.pki import keys, name_rules, names, pem, signatures
from ostiary.pki.names import NameKind, Names

_LIMIT: Final = 64 * 1024
_LABELS: Final = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_SUBJECT_KINDS: Final[dict[x509.ObjectIdentifier, NameKind]] = {
    NameOID.COMMON_NAME: "common_name",
    NameOID.ORGANIZATION_NAME: "organization",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "organizational_unit",
    NameOID.SERIAL_NUMBER: "serial_number",
}
# The attributes that ask for extensions: PKCS#9's, and the one Microsoft had before that.
_WISHES: Final = frozenset(map(x509.ObjectIdentifier, ("1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14")))
_ALTERNATIVE_KINDS: Final[dict[type[x509.GeneralName], NameKind]] = {
    x509.DNSName: "dns",
    x509.IPAddress: "ip",
    x509.UniformResourceIdentifier: "uri",
    x509.RFC822Name: "email",
}


@dataclass(frozen=True)
class SigningRequest:
    """A request whose sender has proved to hold the key. The names are as asked for, not yet checked.

    `other_names` are those that no certificate of ours carries, as text for the message that refuses them.
    """

    public_key: keys.PublicKey
    names: Names
    other_names: tuple[str, ...] = ()


def read(csr_pem: str, field: str = "csr") -> SigningRequest:
    """Read exactly one request in PEM form and verify its proof of possession.

    Asking to be a CA is refused; all other extensions but the subject alternative names are ignored.
    """
    found = pem.ders(csr_pem.encode("utf-8", "replace"), _LABELS, "certificate request", field, limit=_LIMIT)
    if len(found) != 1:
        raise Invalid(field, "it holds more than one certificate request; give one at a time.")
    try:
        csr = x509.load_der_x509_csr(found[0])
        public_key, asked = csr.public_key(), [*_subject_names(csr), *_alternative_names(csr)]
        wishes = [attribute.oid for attribute in csr.attributes if attribute.oid in _WISHES]
    except pem.MALFORMED:
        raise Invalid(
            field, "it is not a certificate request that can be read; check it with 'openssl req -verify -noout -text'."
        ) from None
    if len(wishes) > 1:  # RFC 2985 5.4.2 has it once; of two, each reader takes another
        raise Invalid(field, "it asks for extensions more than once; make the request anew.")
    # Before the signature is verified, which for an oversized key would itself be the attack.
    supported = keys.refuse_weak(public_key, field)
    signatures.refuse_forgeable(csr, "it", field)
    _prove_possession(csr, field)
    _refuse_authority(csr, field)
    return _sorted(supported, asked)


def _prove_possession(csr: x509.CertificateSigningRequest, field: str) -> None:
    try:
        proved = csr.is_signature_valid
    except pem.MALFORMED:
        proved = False
    if not proved:
        raise Invalid(field, "its signature is not by the key it asks for (no proof of possession); make the request anew.")


def _refuse_authority(csr: x509.CertificateSigningRequest, field: str) -> None:
    try:
        constraints = csr.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return
    if constraints.ca:
        raise Invalid(field, "it asks to be a certificate authority (basicConstraints CA:TRUE); create an authority instead.")


def _subject_names(csr: x509.CertificateSigningRequest) -> Iterator[tuple[NameKind | None, str, str]]:
    """(kind or None, value, text for a message) of each part. The parts are read one by one: a DN as text can be forged."""
    for part in csr.subject:
        value = part.value if isinstance(part.value, str) else part.value.hex()
        yield _SUBJECT_KINDS.get(part.oid), value, f"{part.rfc4514_attribute_name}={name_rules.visible(value)}"


def _alternative_names(csr: x509.CertificateSigningRequest) -> Iterator[tuple[NameKind | None, str, str]]:
    try:
        asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in asked:
        kind = _ALTERNATIVE_KINDS.get(type(name))
        yield kind, str(name.value) if kind else "", name_rules.visible(names.general_name_text(name))


def _sorted(public_key: keys.PublicKey, asked: list[tuple[NameKind | None, str, str]]) -> SigningRequest:
    by_kind: dict[str, list[str]] = {}
    other: list[str] = []
    for kind, value, text in asked:
        # A second common name is a way to be two people, depending on who reads the certificate.
        if kind is None or (kind in names.SUBJECT_KINDS and kind in by_kind):
            other.append(text)
        else:
            by_kind.setdefault(kind, []).append(value)
    subject = {kind: by_kind[kind][0] for kind in names.SUBJECT_KINDS if kind in by_kind}
    alternatives = {kind: tuple(by_kind.get(kind, ())) for kind in names.ALTERNATIVE_KINDS}
    return SigningRequest(public_key, Names(**subject, **alternatives), tuple(other))  # type: ignore[arg-type]
