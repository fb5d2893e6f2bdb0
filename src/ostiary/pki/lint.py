"""Lint what is about to be signed (pkilint, RFC 5280 and what amends it): what a rule calls an error gets no signature.

A full lint takes some 4 ms, twenty times as long as a signature. So the first certificate of each *shape* is linted in full, and
of the next ones only what may differ within a shape is looked at, by `pki.as_approved` (docs/decisions/0009-lint-gate.md).
"""

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki import keys, name_rules

Extensions = Sequence[tuple[x509.ExtensionType, bool]]  # (value, critical), as they are added to a builder

_NOTICE: Final = 3  # pkilint counts from what is fatal (0) to what is only information (4)
_SHAPES_MAX: Final = 1024
_WORDS_MAX: Final = 3


@dataclass(frozen=True)
class Finding:
    """What a rule says about one place in a certificate, a revocation list or an OCSP answer."""

    severity: str  # FATAL, ERROR, WARNING or NOTICE
    code: str
    where: str
    message: str

    @property
    def refuses(self) -> bool:
        """Whether it is reason enough not to sign: RFC 5280's "MUST", or something the linter could not even read."""
        return self.severity in ("FATAL", "ERROR")

    def __str__(self) -> str:
        return f"{self.code}{f' ({name_rules.visible(self.message)})' if self.message else ''} at {self.where}"


@dataclass(frozen=True)
class Shape:
    """All that linting may depend on and that the next certificate of its kind has in common with this one.

    Extensions are in it as they are encoded, but for the two that differ from one certificate to the next: of the alternative
    names only their kinds, and of the subject key identifier nothing.
    """

    issuer_fingerprint: str
    public_key: str
    subject: tuple[str, ...]
    extensions: tuple[tuple[str, bool, object], ...]
    generalized_times: tuple[bool, bool]
    make: Callable[[], x509.Certificate] = field(compare=False, repr=False)


def shape(
    subject: x509.Name,
    public_key: keys.PublicKey,
    validity: tuple[datetime, datetime],
    extensions: Extensions,
    issuer_fingerprint: str,
    make: Callable[[], x509.Certificate],
) -> Shape:
    """The shape of a certificate that is about to be signed. `make` signs it with `throw_away_key`: the first of its shape."""
    return Shape(
        issuer_fingerprint=issuer_fingerprint,
        public_key=keys.describe(public_key).partition(" ")[0],
        subject=tuple(part.oid.dotted_string for part in subject),
        extensions=tuple((value.oid.dotted_string, critical, _in_common(value)) for value, critical in extensions),
        generalized_times=(validity[0].year >= 2050, validity[1].year >= 2050),  # RFC 5280 4.1.2.5
        make=make,
    )


def refuse_bad_shape(wanted: Shape) -> tuple[Finding, ...]:
    """`Invalid("csr", …)` when a rule calls it an error; what is only discouraged is returned. Quick but for a new shape."""
    return _lint_once(wanted)


def refuse_bad(specimen: x509.Certificate, field: str) -> tuple[Finding, ...]:
    """The same of one certificate, linted in full: for CA certificates, of which there are few and no two alike."""
    findings = certificate(specimen)
    bad = [finding for finding in findings if finding.refuses]
    if bad:
        words = "; ".join(map(str, bad[:_WORDS_MAX]))
        raise Invalid(field, f"the certificate it would get breaks a rule that verifiers hold it to: {words}.")
    return findings


def certificate(found: x509.Certificate) -> tuple[Finding, ...]:
    """A full lint of a certificate. About 4 ms."""
    return _findings("certificate", found.public_bytes(Encoding.DER))


def revocation_list(found: x509.CertificateRevocationList) -> tuple[Finding, ...]:
    """A full lint of a complete or delta revocation list. About 1 ms and 0.5 ms an entry."""
    return _findings("revocation_list", found.public_bytes(Encoding.DER))


def ocsp_response(der: bytes) -> tuple[Finding, ...]:
    """A full lint of an OCSP answer."""
    return _findings("ocsp_response", der)


@functools.lru_cache(maxsize=8)
def throw_away_key(kind: str) -> keys.PrivateKey:
    """A key to sign a specimen with, so that the authority's own has signed nothing when the specimen is refused.

    `kind` is as `keys.describe` says the authority's. An RSA one is smaller: no rule looks at the signature's length, and 4096
    bits take seconds to make.
    """
    match kind.split():
        case ["RSA", _]:
            return rsa.generate_private_key(65537, 2048)
        case ["EC", "P-384"]:
            return ec.generate_private_key(ec.SECP384R1())
        case ["EC", "P-521"]:
            return ec.generate_private_key(ec.SECP521R1())
        case ["EC", _]:
            return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


@functools.lru_cache(maxsize=_SHAPES_MAX)  # What was refused is not kept: an exception is no value.
def _lint_once(wanted: Shape) -> tuple[Finding, ...]:
    return refuse_bad(wanted.make(), "csr")


def _in_common(value: x509.ExtensionType) -> object:
    match value:
        case x509.SubjectAlternativeName():
            return tuple(sorted({type(name).__name__ for name in value}))
        case x509.SubjectKeyIdentifier():
            return None
    return value.public_bytes()


# The linter asks general-purpose libraries what a name looks like, and they know web addresses only: no 'localhost', no wildcard,
# no SPIFFE ID, no URN. RFC 5280 4.2.1.6 asks for less, and `name_rules` for just that; so it has the last word, name by name.
_JUDGED_BY_US: Final[dict[str, Callable[[str, str], object]]] = {
    "pkix.invalid_domain_name_syntax": name_rules.dns,
    "pkix.invalid_email_address_syntax": name_rules.email,
    "pkix.invalid_uri_syntax": name_rules.uri,
}


def _mailbox_or_domain(text: str, field: str) -> str:
    return name_rules.email(text, field) if "@" in text else name_rules.dns(text.removeprefix("."), field)


# RFC 5280 4.2.1.10: constraints are parts of names: a mailbox, a domain, or with a dot before it all below a domain.
_CONSTRAINTS_JUDGED_BY_US: Final[dict[str, Callable[[str, str], object]]] = {
    "pkix.invalid_domain_name_syntax": name_rules.dns,
    "pkix.invalid_email_address_syntax": _mailbox_or_domain,
    "pkix.invalid_uri_syntax": lambda text, field: name_rules.dns(text.removeprefix("."), field),
}


def _is_overruled(code: str, node: Any) -> bool:
    judges = _CONSTRAINTS_JUDGED_BY_US if "nameConstraints" in node.path else _JUDGED_BY_US
    if code not in judges:
        return False
    try:
        judges[code](str(node.pdu), "")
    except Invalid:
        return False
    return True


def _findings(kind: str, der: bytes) -> tuple[Finding, ...]:
    load, rules = _linter()[kind]
    try:
        document = load(der, kind)
    except ValueError as error:
        return (Finding("FATAL", "ostiary.unreadable", kind, str(error)),)
    return tuple(
        Finding(found.finding.severity.name, found.finding.code, result.node.path, found.message or "")
        for result in rules.validate(document.root)
        for found in result.finding_descriptions
        if found.finding.severity <= _NOTICE and not _is_overruled(found.finding.code, result.node)
    )


_ONE_AT_A_TIME: Final = threading.Lock()


def _linter() -> dict[str, tuple[Callable[[bytes, str], Any], Any]]:
    """Kind → how to load it, and the rules. Two threads that import the same package at once may find it half made."""
    with _ONE_AT_A_TIME:
        return _imported()


@functools.cache
def _imported() -> dict[str, tuple[Callable[[bytes, str], Any], Any]]:
    # Imported here because it takes 0.2 s, which a start that signs nothing need not spend.
    from pkilint import loader, pkix  # noqa: PLC0415 (see above)
    from pkilint.pkix import certificate, crl, extension, name, ocsp  # noqa: PLC0415

    decoders = (
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    )
    return {
        "certificate": (
            loader.RFC5280CertificateDocumentLoader().load_der_document,
            certificate.create_pkix_certificate_validator_container(
                certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
                [
                    certificate.create_issuer_validator_container([]),
                    certificate.create_validity_validator_container(),
                    certificate.create_subject_validator_container([]),
                    certificate.create_extensions_validator_container([]),
                    certificate.create_spki_validator_container([]),
                ],
            ),
        ),
        "revocation_list": (
            loader.RFC5280CertificateListDocumentLoader().load_der_document,
            crl.create_pkix_crl_validator_container(
                list(decoders),
                [
                    crl.create_issuer_validator_container([]),
                    crl.create_validity_validator_container([]),
                    crl.create_extensions_validator_container([]),
                ],
            ),
        ),
        "ocsp_response": (
            loader.RFC6960OCSPResponseDocumentLoader().load_der_document,
            ocsp.create_pkix_ocsp_response_validator_container([ocsp.create_response_decoder(), *decoders], []),
        ),
    }
