"""What is handed to people: certificates and authorities as the files that their devices import."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.model.authority import Authority, Certificate
from ostiary.ops.caller import Caller
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import bundle
from ostiary.pki.chain import read_certificates, to_pem
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.store import Reader

PEM: Final = "application/x-pem-file"
PEM_CHAIN: Final = "application/pem-certificate-chain"  # RFC 8555 9.1
DER: Final = "application/pkix-cert"  # RFC 2585
P7B: Final = "application/x-pkcs7-certificates"
MOBILECONFIG: Final = "application/x-apple-aspen-config"

_NOT_IN_FILE_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class File:
    """A file to be saved under `name`, which holds nothing that a shell or a browser could take for something else."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class _Parts:
    """What files are made of: the certificate itself, and the authorities above it as far as they are known."""

    title: str
    own: x509.Certificate
    chain: tuple[x509.Certificate, ...]  # without the root

    @property
    def all(self) -> tuple[x509.Certificate, ...]:
        """The certificate and those above it, nearest first."""
        return (self.own, *self.chain)


_Make = Callable[[_Parts], bytes]

# Format → what comes after the name of the file, its media type, and how it is made.
_CERTIFICATE_FILES: Final[Mapping[str, tuple[str, str, _Make]]] = {
    "pem": (".pem", PEM, lambda parts: to_pem((parts.own,)).encode()),
    "der": (".der", DER, lambda parts: parts.own.public_bytes(Encoding.DER)),
    "crt": (".crt", DER, lambda parts: parts.own.public_bytes(Encoding.DER)),
    "chain": ("-chain.pem", PEM_CHAIN, lambda parts: to_pem(parts.chain).encode()),
    "fullchain": ("-fullchain.pem", PEM_CHAIN, lambda parts: to_pem(parts.all).encode()),
    "mobileconfig": (".mobileconfig", MOBILECONFIG, lambda parts: bundle.mobileconfig_of_certificates(parts.all, parts.title)),
    "p7b": (".p7b", P7B, lambda parts: bundle.pkcs7_file(parts.all)),
}
_AUTHORITY_FILES: Final = {name: _CERTIFICATE_FILES[name] for name in ("pem", "der", "mobileconfig")}
CERTIFICATE_FORMATS: Final = tuple(_CERTIFICATE_FILES)
AUTHORITY_FORMATS: Final = tuple(_AUTHORITY_FILES)


def certificate_file(system: System, caller: Caller, certificate_id: str, form: str) -> File:
    """An issued certificate in the format asked for. Raises `NotFound`, `Invalid` for a format there is not."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        found = reader.require(CERTIFICATE, certificate_id)
    return _file(_CERTIFICATE_FILES, form, _parts(found))


def authority_file(system: System, caller: Caller, authority_id: str, form: str) -> File:
    """An authority's certificate in the format asked for; an Apple profile holds those above it too, up to the root."""
    caller.must("authority:read")
    with system.store.read() as reader:
        found = reader.require(AUTHORITY, authority_id)
        upwards = above(reader, found)
    parts = _Parts(found.name, parsed(found), tuple(parsed(one) for one in upwards))
    return _file(_AUTHORITY_FILES, form, parts)


def anchor(system: System, caller: Caller, authority_id: str) -> Authority:
    """The topmost authority above this one that is known here: what a device has to trust. Raises `NotFound`."""
    caller.must("authority:read")
    with system.store.read() as reader:
        found = reader.require(AUTHORITY, authority_id)
        return (found, *above(reader, found))[-1]


def file_name(text: str, ending: str) -> str:
    """A name that is safe in every shell, header and file system, such as `alice-example.pem`."""
    return (_NOT_IN_FILE_NAMES.sub("-", text).strip("-._")[:60] or "certificate") + ending


def _parts(certificate: Certificate) -> _Parts:
    return _Parts(title(certificate), parsed(certificate), chain_of(certificate))


def chain_of(certificate: Certificate) -> tuple[x509.Certificate, ...]:
    """The authorities above it, nearest first, without the root."""
    return read_certificates(certificate.chain.encode(), "chain") if certificate.chain else ()


def title(certificate: Certificate) -> str:
    """What people call it: its name, its owner, or the common name."""
    common_names = [part.removeprefix("CN=") for part in certificate.subject.split(",") if part.startswith("CN=")]
    return certificate.name or certificate.owner or next(iter(common_names), "") or certificate.serial


def above(reader: Reader, authority: Authority) -> list[Authority]:
    """Its parent, that one's parent, and so on."""
    found: list[Authority] = []
    while authority.parent_id is not None:
        authority = reader.require(AUTHORITY, authority.parent_id)
        found.append(authority)
    return found


def _file(files: Mapping[str, tuple[str, str, _Make]], form: str, parts: _Parts) -> File:
    if form not in files:
        raise Invalid("format", f"is one of {', '.join(files)}")
    ending, media_type, make = files[form]
    return File(file_name(parts.title, ending), media_type, make(parts))
