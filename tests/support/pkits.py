"""NIST's PKITS (Public Key Interoperability Test Suite 1.0.1), from PyPI's `cryptography_vectors`: certificates, lists and keys.

Each test comes with a signed message that holds the certificates (without the trust anchor's) and the revocation lists of its
path, so what belongs to a test is read from there and nothing is guessed. What a test expects is in its name, but for those
on certificate policies, whose results with the default settings (any policy will do, none is demanded) are in `_DEMANDING`.
"""

import base64
import email
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import cryptography_vectors
from asn1crypto import cms, pkcs12
from asn1crypto import x509 as asn1
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

_DATA: Final = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
_PASSWORD: Final = "password"

# Where in the document a test is found, by what is in its name.
_SECTIONS: Final = (
    ("4.16", "Certificate Extension"),
    ("4.15", "delta"),
    ("4.14", "distributionPoint|issuingDistributionPoint|onlyContains|onlySomeReasons|indirectCRL|cRLIssuer"),
    ("4.13", "nameConstraints"),
    ("4.12", "inhibitAnyPolicy"),
    ("4.11", "inhibitPolicyMapping"),
    ("4.10", "Policy Mapping|Mapping From|Mapping To"),
    ("4.9", "(?i:requireExplicitPolicy)"),
    ("4.8", "Polic(y|ies) Test|AnyPolicy|Qualifier"),
    ("4.7", "keyUsage"),
    ("4.6", "basicConstraints|cA False|pathLenConstraint"),
    ("4.5", "Basic Self-Issued"),
    ("4.4", "CRL|Revoked|Serial Number"),
    ("4.3", "Name Chaining|Attribute Types|UTF8String"),
    ("4.2", "notBefore|notAfter"),
    ("4.1", "Signature|DSA"),
)
SECTIONS: Final = {
    "4.1": "Signatures",
    "4.2": "Validity",
    "4.3": "Names that chain",
    "4.4": "Revocation lists",
    "4.5": "Self-issued certificates",
    "4.6": "Basic constraints, path length",
    "4.7": "Key usage",
    "4.8": "Certificate policies",
    "4.9": "Explicit policy required",
    "4.10": "Policy mappings",
    "4.11": "Policy mapping inhibited",
    "4.12": "Any-policy inhibited",
    "4.13": "Name constraints",
    "4.14": "Distribution points",
    "4.15": "Delta lists",
    "4.16": "Private extensions",
}
# Their names do not say so: no policy is left, and a certificate of the path demands one. (Those of 4.8 and 4.12.3.)
_DEMANDING: Final = frozenset({"4.4.1", "4.8.4", "4.8.5", "4.8.7", "4.8.8", "4.8.9", "4.8.12"})


@dataclass(frozen=True)
class Case:
    """One test: whether its path is valid, and all that is in it, as DER; of the authorities the end entity's issuer first."""

    number: str
    title: str
    is_valid: bool
    end_entity: bytes
    authorities: tuple[bytes, ...]
    lists: tuple[bytes, ...]
    _key: Path

    @property
    def section(self) -> str:
        """Such as "4.13"."""
        return self.number.rpartition(".")[0]

    @cached_property
    def key_pem(self) -> str:
        """The end entity's key."""
        return _private_key(self._key.read_bytes())


def pem(label: str, der: bytes) -> str:
    """As PEM, whatever is in it: some of it no parser of ours takes."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def trust_anchor() -> bytes:
    """The root of all paths, DER."""
    return (_DATA / "certs" / "TrustAnchorRootCertificate.crt").read_bytes()


def cases() -> list[Case]:
    """All 224 of them, in the document's order."""
    names = {file.read_bytes(): file.stem for file in (_DATA / "certs").iterdir()}
    found = [_case(file, names) for file in (_DATA / "smime").iterdir()]
    return sorted(found, key=lambda case: [int(part) for part in case.number.split(".")])


def _case(file: Path, names: dict[bytes, str]) -> Case:
    message = email.message_from_bytes(file.read_bytes())
    signature = next(part for part in message.walk() if "pkcs7-signature" in part.get_content_type())
    signed = cms.ContentInfo.load(signature.get_payload(decode=True))["content"]
    certificates = [each.chosen for each in signed["certificates"]]
    end_entity = _of_signer(signed, certificates)
    title, number = _title(message["Subject"])
    return Case(
        number=number,
        title=title,
        is_valid=not title.startswith("Invalid") and number not in _DEMANDING,
        end_entity=end_entity.dump(),
        authorities=tuple(each.dump() for each in _upwards(end_entity, certificates)),
        lists=tuple(each.chosen.dump() for each in signed["crls"]),
        _key=_DATA / "pkcs12" / f"{names[end_entity.dump()]}.p12",
    )


def _title(subject: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?) ?Test ?(\d+)", subject)
    assert found, subject
    section = next(section for section, words in _SECTIONS if re.search(words, f"{found[1]} Test"))
    return found[1], f"{section}.{found[2]}"


def _of_signer(signed: cms.SignedData, certificates: list[asn1.Certificate]) -> asn1.Certificate:
    sid = signed["signer_infos"][0]["sid"].chosen
    return next(
        each
        for each in certificates
        if each.serial_number == sid["serial_number"].native and each.issuer.dump() == sid["issuer"].dump()
    )


def _upwards(end_entity: asn1.Certificate, certificates: list[asn1.Certificate]) -> Iterator[asn1.Certificate]:
    """Each one's issuer, as far as the key identifiers lead; then whatever else is there (keys that sign lists alone)."""
    rest = [each for each in certificates if each.dump() != end_entity.dump()]
    below = end_entity
    while above := next((each for each in rest if each.key_identifier == below.authority_key_identifier), None):
        rest.remove(above)
        yield above
        below = above
    yield from rest


def _private_key(pfx: bytes) -> str:
    """The key in a PKCS#12 file (RFC 7292), as PKCS#8 PEM.

    `cryptography` reads these files too, but proves each RSA key's primes prime, which takes 50 to 100 ms, and does not read
    those with DSA certificates that inherit their parameters.
    """
    for content in pkcs12.AuthenticatedSafe.load(pkcs12.Pfx.load(pfx)["auth_safe"]["content"].native):
        if content["content_type"].native != "data":
            continue  # the certificates, encrypted
        for bag in pkcs12.SafeContents.load(content["content"].native):
            if bag["bag_id"].native == "pkcs8_shrouded_key_bag":
                sealed = bag["bag_value"]
                parameters = sealed["encryption_algorithm"]["parameters"]
                salt, rounds = parameters["salt"].native, parameters["iterations"].native
                cipher = Cipher(TripleDES(_derived(1, salt, rounds, 24)), modes.CBC(_derived(2, salt, rounds, 8)))
                decryptor = cipher.decryptor()
                plain = decryptor.update(sealed["encrypted_data"].native) + decryptor.finalize()
                return pem("PRIVATE KEY", plain[: -plain[-1]])
    raise AssertionError("no key in the PKCS#12 file")


def _derived(purpose: int, salt: bytes, rounds: int, length: int) -> bytes:
    """RFC 7292 B.2, with SHA-1: `purpose` 1 is a key, 2 an initial vector."""
    block, out = 64, b""
    password = (_PASSWORD + "\0").encode("utf-16-be")

    def filled(text: bytes) -> bytes:
        wanted = block * -(-len(text) // block)
        return (text * (wanted // len(text) + 1))[:wanted]

    state = bytearray(filled(salt) + filled(password))
    while len(out) < length:
        digest = hashlib.sha1(bytes((purpose,)) * block + state, usedforsecurity=False).digest()
        for _ in range(1, rounds):
            digest = hashlib.sha1(digest, usedforsecurity=False).digest()
        out += digest
        added = int.from_bytes(filled(digest)[:block], "big") + 1
        for start in range(0, len(state), block):
            total = int.from_bytes(state[start : start + block], "big") + added
            state[start : start + block] = (total % (1 << 8 * block)).to_bytes(block, "big")
    return out[:length]
