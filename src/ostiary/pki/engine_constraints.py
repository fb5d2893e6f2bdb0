"""Name constraints as the engine applies them when somebody shows a certificate (BoringSSL, `v3_ncons.c`).

`pki.constraints` asks before signing, and refuses what any engine might. Here the question is what this one does, its quirks
included: it knows no constraints on addresses and refuses who is asked about one, and it refuses a common name that reads as a
host name beside no alternative name at all.
"""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

from ostiary.pki import engine_name, tlv
from ostiary.pki.engine_certificate import EngineCertificate, Subtrees
from ostiary.pki.engine_name import DIRECTORY, DNS, EMAIL, URI, EngineName, GeneralName

Violation = Literal[
    "permitted subtree violation",
    "excluded subtree violation",
    "name constraints minimum and maximum not supported",
    "unsupported name constraint type",
    "unsupported or invalid name constraint syntax",
    "unsupported or invalid name syntax",
    "Unspecified certificate verification error",
    "Issuer has name constraints but leaf has no SANs",
]

_COMMON_NAME: Final = (2, 5, 4, 3)
_EMAIL_ADDRESS: Final = (1, 2, 840, 113549, 1, 9, 1)
_IA5_STRING: Final = (tlv.UNIVERSAL, 22)

_COMPARISONS_MAX: Final = 1 << 20  # BoringSSL's own limit on names times constraints

_LOCAL_PART: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_DOMAIN: Final = re.compile(rb"[A-Za-z0-9.-]+")
_LABEL: Final = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NUMBER: Final = re.compile(rb"0[xX][0-9A-Fa-f]*|[0-9]*")
_WITH_AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]+).*", re.DOTALL)
_READS_AS_HOST: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_:][A-Za-z0-9_:-]*(?:\.[A-Za-z0-9_:][A-Za-z0-9_:-]*)*\.?")


def violation(certificate: EngineCertificate, above: Subtrees) -> Violation | None:
    """Which rule of an authority above a certificate breaks, in BoringSSL's words; None when it breaks none."""
    subject, alternatives = certificate.subject, certificate.alternatives or ()
    count = sum(map(len, subject.parts)) + len(alternatives)
    if count * (len(above.permitted) + len(above.excluded)) > _COMPARISONS_MAX:
        return "Unspecified certificate verification error"
    if subject.parts and (found := _judge(GeneralName(DIRECTORY, subject.whole), above)):
        return found
    for value in subject.texts(_EMAIL_ADDRESS):
        if value.kind != _IA5_STRING:
            return "unsupported or invalid name syntax"
        # In subjects, and only there, the case of the part before the @ is not told apart when addresses are excluded.
        if found := _judge(GeneralName(EMAIL, value.content), above, _email_in_subject):
            return found
    return next((found for name in alternatives if (found := _judge(name, above))), None)


def lone_common_name(leaf: EngineCertificate) -> Violation | None:
    """Below name constraints a common name that reads as a host name needs alternative names beside it."""
    if leaf.alternatives is None and any(_READS_AS_HOST.fullmatch(said) for said in _common_names(leaf.subject)):
        return "Issuer has name constraints but leaf has no SANs"
    return None


def _common_names(subject: EngineName) -> Iterator[str]:
    return (said for value in subject.texts(_COMMON_NAME) if (said := engine_name.text(value)) is not None)


def _judge(name: GeneralName, above: Subtrees, excludes: "_Compare | None" = None) -> Violation | None:
    permitted = [one for one in above.permitted if one[0].tag == name.tag]
    excluded = [one for one in above.excluded if one[0].tag == name.tag]
    found = _any(name, permitted, _PERMITS.get(name.tag, _unsupported)) if permitted else True
    if isinstance(found, bool) and found:
        found = _any(name, excluded, excludes or _EXCLUDES.get(name.tag, _unsupported))
        return "excluded subtree violation" if found is True else found or None
    return found or "permitted subtree violation"


def _any(name: GeneralName, bases: Sequence[tuple[GeneralName, bool]], within: "_Compare") -> bool | Violation:
    """Whether the name is within one of them, or why that cannot be told. None is compared once one was found."""
    found = False
    for base, is_limited in bases:
        if is_limited:
            return "name constraints minimum and maximum not supported"
        said = found or within(name.content, base.content)
        if not isinstance(said, bool):
            return said
        found = said
    return found


def _unsupported(_name: bytes, _base: bytes) -> Violation:
    return "unsupported name constraint type"


def _directory(name: bytes, base: bytes) -> bool:
    outer = _directory_name(base)
    return _directory_name(name)[: len(outer)] == outer


_once = functools.lru_cache(maxsize=8192)  # each name is held against each constraint, and either is taken apart once


@_once
def _directory_name(octets: bytes) -> tuple[bytes, ...]:
    return engine_name.read(tlv.only(octets)).compared


def _dns(name: bytes, base: bytes) -> bool:
    host, outer = name.removesuffix(b".").lower(), base.removesuffix(b".").lower()
    if outer.startswith(b"."):
        return host.endswith(outer)
    return not base or host == outer or host.endswith(b"." + outer)


def _dns_excluding(name: bytes, base: bytes) -> bool:
    """A wildcard is excluded too where it covers a name that is."""
    host, outer = name.removesuffix(b".").lower(), base.removesuffix(b".").lower()
    covers = host.startswith(b"*.") and b"." in outer and host[2:] == outer.partition(b".")[2]
    return covers or _dns(name, base)


def _email(name: bytes, base: bytes) -> bool | Violation:
    mailbox, outer = _mailbox(name), _mailbox(base if b"@" in base else b"any@" + base)
    if mailbox is None or outer is None:
        return "unsupported or invalid name syntax"
    if b"@" in base:
        return mailbox == outer
    return mailbox[1].endswith(outer[1]) if outer[1].startswith(b".") else mailbox[1] == outer[1]


def _email_in_subject(name: bytes, base: bytes) -> bool | Violation:
    return _email(name.lower(), base.lower())


@_once
def _mailbox(text: bytes) -> tuple[bytes, bytes] | None:
    local, at, domain = text.partition(b"@")
    well_formed = at and _LOCAL_PART.fullmatch(local) and _DOMAIN.fullmatch(domain)
    return (local, domain.lower()) if well_formed else None


def _uri(name: bytes, base: bytes) -> bool | Violation:
    host = _host_of(name)
    if host is None:
        return "unsupported or invalid name syntax"
    outer = base.removesuffix(b".").lower()
    if not _is_host(outer.removeprefix(b".")):
        return "unsupported or invalid name constraint syntax"
    return host.lower().endswith(outer) if outer.startswith(b".") else host.lower() == outer


@_once
def _host_of(uri: bytes) -> bytes | None:
    found = _WITH_AUTHORITY.fullmatch(uri)
    if not found:
        return None
    host, colon, port = found[1].partition(b":")
    host = host.removesuffix(b".")
    return host if _is_host(host) and (not colon or not port.strip(b"0123456789")) else None


@_once
def _is_host(text: bytes) -> bool:
    """A name of labels whose last one is no number: that would be an address."""
    labels = text.split(b".")
    return all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])


_Compare = Callable[[bytes, bytes], "bool | Violation"]  # (a name, a constraint of its kind)
_PERMITS: Final[dict[int, _Compare]] = {DIRECTORY: _directory, DNS: _dns, EMAIL: _email, URI: _uri}
_EXCLUDES: Final[dict[int, _Compare]] = {**_PERMITS, DNS: _dns_excluding}
