"""Who comes through the door: what the engine will do when somebody shows a certificate, and why, before anybody does.

Envoy 1.40 with BoringSSL, as `ostiary.envoy.secret` and `envoy.downstream_tls` set it up. `tests/live/test_explain_handshake.py`
shows both some hundreds of certificates, and they agree on each. It is decided in the engine's own order, for of several things
that are wrong the first one is told.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki import door_words, engine_certificate, engine_keys, engine_list, pem
from ostiary.pki.engine_certificate import DIGITAL_SIGNATURE, EngineCertificate
from ostiary.pki.engine_path import STEPS, Flaw, Settings, Verified, Verifier

Mode = Literal["NONE", "OPTIONAL", "MANDATORY", "REHEARSAL"]

# As `ostiary.envoy.secret` tells Envoy; a test holds the two together.
ISSUERS_MAX: Final = 10

_PEM_OCTETS_MAX: Final = 256 * 1024
_SHOWN_OCTETS_MAX: Final = 100 * 1024  # BoringSSL's limit on all that is shown together (seen)
_LABELS: Final = ("CERTIFICATE", "X509 CERTIFICATE")
_FIELD: Final = "certificate"

_TRUST_LIST: Final = re.compile("-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


class Trust(Protocol):
    """What a listener's secret holds (`model.tls.Trust`), PEM: certificates that are trusted, and revocation lists or none."""

    @property
    def certificates(self) -> str: ...

    @property
    def crls(self) -> str: ...


@dataclass(frozen=True)
class Check:
    """One thing that is looked at: whether it is in order (None: it was not reached, or not asked), and what was seen."""

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class Handshake:
    """What becomes of a connection: `code` is why it is refused; `would_be` why it would be, were it not a rehearsal."""

    allowed: bool
    code: str | None
    detail: str
    checks: tuple[Check, ...]
    would_be: str | None = None
    fingerprint_sha256: str | None = None
    issuer_fingerprint_sha256: str | None = None


def judge_handshake(certificate_pem: str | None, trust: Trust | None, mode: Mode, at: datetime) -> Handshake:
    """What the engine does with a client that shows this certificate (PEM, with the chain it would send) or, with None, none.

    `trust` is what the listener's secret holds. That the client has the key to its certificate is taken for granted. Raises
    `Invalid` for a certificate that cannot be shown at all, and for trust that cannot be loaded.
    """
    if mode == "NONE":
        return _let_in("The listener asks nobody for a certificate.", ())
    if trust is None:
        raise Invalid("client_ca_tls_container_ref", f"client_authentication {mode} needs a CA: without one there is no door.")
    if certificate_pem is None:
        return _without(mode)
    ders = _shown(certificate_pem)
    shown = _read(ders) if _fits(ders) else []
    if fault := next(_faults(ders, shown), None):
        return _stopped(ders, shown, fault)  # in a rehearsal too: there is no handshake with it
    judged = _judged(shown, trust, at.replace(microsecond=0))
    if judged.allowed or mode != "REHEARSAL":
        return judged
    return replace(
        judged, allowed=True, code=None, would_be=judged.code, detail=f"A rehearsal lets everybody in. {judged.detail}"
    )


def signer(certificate: EngineCertificate, trust: Trust, at: datetime) -> str | None:
    """Whose signature lets it in: the SHA-256 of that authority's certificate, None where it is not let in.

    As `judge_handshake` finds it of a certificate that is shown alone, without the words; for many at once.
    """
    verified = _verifier(trust.certificates, trust.crls).verify([certificate], at.replace(microsecond=0))
    issuer = None if verified.flaw else next(iter(verified.path[1:]), None)
    return issuer.fingerprint_sha256 if issuer is not None else None


def _let_in(detail: str, checks: tuple[Check, ...]) -> Handshake:
    return Handshake(allowed=True, code=None, detail=detail, checks=checks)


def _without(mode: Mode) -> Handshake:
    nothing = "The client shows no certificate."
    rest = tuple(Check(name, None, "not reached") for name in _NAMES[1:])
    if mode == "OPTIONAL":
        return _let_in(
            f"{nothing} The listener does not demand one.", (Check(_NAMES[0], True, "none, and none is demanded"), *rest)
        )
    checks = (Check(_NAMES[0], False, "none"), *rest)
    if mode == "REHEARSAL":
        return replace(_let_in(f"A rehearsal lets everybody in. {nothing}", checks), would_be="no_certificate")
    return Handshake(allowed=False, code="no_certificate", detail=nothing, checks=checks)


def _shown(certificate_pem: str) -> list[bytes]:
    """What is in the message of certificates, DER. What is no PEM could not be shown."""
    octets = certificate_pem.encode("utf-8", "surrogateescape")
    return list(pem.ders(octets, _LABELS, "certificate", _FIELD, limit=_PEM_OCTETS_MAX))


# The checks in the order in which they are made.
_NAMES: Final = ("presented", "readable", "key", *STEPS)


@dataclass(frozen=True)
class _Fault:
    """What was found before the path is looked at."""

    check: str
    code: str
    detail: str


def _read(ders: Sequence[bytes]) -> list[EngineCertificate]:
    """All of them, or none when one cannot be read."""
    try:
        return [engine_certificate.read(der) for der in ders]
    except ValueError:
        return []


def _judged(shown: Sequence[EngineCertificate], trust: Trust, at: datetime) -> Handshake:
    verified = _verifier(trust.certificates, trust.crls).verify(shown, at)
    flaw = verified.flaw
    issuer = None if flaw else next(iter(verified.path[1:]), None)
    return Handshake(
        allowed=flaw is None,
        code=_code(flaw) if flaw else None,
        detail=door_words.sentences(verified, at) if flaw else "The certificate is accepted.",
        checks=tuple(_checks(shown, verified, at)),
        fingerprint_sha256=shown[0].fingerprint_sha256,
        issuer_fingerprint_sha256=issuer.fingerprint_sha256 if issuer else None,
    )


def _spki(der: bytes) -> bytes | None:
    try:
        return engine_certificate.spki(der)
    except ValueError:
        return None


def _fits(ders: Sequence[bytes]) -> bool:
    """Whether they go into one message of certificates: each with its length, in three octets."""
    return 3 + sum(3 + len(der) for der in ders) <= _SHOWN_OCTETS_MAX


def _faults(ders: Sequence[bytes], shown: Sequence[EngineCertificate]) -> Iterator[_Fault]:
    """What BoringSSL's TLS minds, on TLS 1.3 in this order, before Envoy looks at the path."""
    if not _fits(ders):
        yield _Fault("presented", "malformed", "more than 100 KiB of certificates; the engine reads no more")
    spki = _spki(ders[0])
    if spki is None:
        yield _Fault("readable", "malformed", "the certificate cannot be read")
        return
    if wrong := engine_keys.fault_of_holder(spki):
        weak = wrong == "UNSUPPORTED_ALGORITHM"
        what = "a key of a kind that the engine does not know" if weak else "a key that cannot be read"
        yield _Fault("key", "weak_key" if weak else "malformed", what)
    if not shown:
        yield _Fault("readable", "malformed", "a certificate cannot be read")
        return
    leaf = shown[0]
    if not engine_keys.may_sign_handshakes(leaf.spki):
        yield _Fault("key", "bad_signature", "a key that can sign no handshake here, by any algorithm the listener accepts")
    if not leaf.may(DIGITAL_SIGNATURE):
        yield _Fault("key", "wrong_purpose", "the key usage lacks digitalSignature, without which it cannot sign the handshake")


def _stopped(ders: Sequence[bytes], shown: Sequence[EngineCertificate], fault: _Fault) -> Handshake:
    place = _NAMES.index(fault.check)
    seen = {"presented": _count(ders), "readable": "all of them" if shown else "as far as the key"}
    passed = tuple(Check(name, True, seen[name]) for name in _NAMES[:place])
    rest = tuple(Check(name, None, "not reached") for name in _NAMES[place + 1 :])
    return Handshake(
        allowed=False,
        code=fault.code,
        detail=f"{fault.detail[0].upper()}{fault.detail[1:]}.",
        checks=(*passed, Check(fault.check, False, fault.detail), *rest),
        fingerprint_sha256=shown[0].fingerprint_sha256 if shown else None,
    )


def _count(ders: Sequence[object]) -> str:
    return "one certificate" if len(ders) == 1 else f"{len(ders)} certificates"


def _checks(shown: Sequence[EngineCertificate], verified: Verified, at: datetime) -> Iterator[Check]:
    yield Check("presented", True, _count(shown))
    yield Check("readable", True, "all of them")
    yield Check("key", True, door_words.key(shown[0]))
    failed = STEPS.index(verified.flaw.step) if verified.flaw else len(STEPS)
    for place, step in enumerate(STEPS):
        if place > failed:
            yield Check(step, None, "not reached")
        elif place == failed:
            yield Check(step, False, door_words.flaw(verified, at))
        else:
            yield Check(step, True, door_words.passed(step, verified))


# BoringSSL's words → code, as `ostiary.envoy.failures` has it (a live test holds the two together). What is not here is
# malformed.
_CODES: Final = {
    "unable to get local issuer certificate": "unknown_authority",
    "self signed certificate": "unknown_authority",
    "self signed certificate in certificate chain": "unknown_authority",
    "invalid CA certificate": "unknown_authority",
    "unsupported certificate purpose": "wrong_purpose",
    "path length constraint exceeded": "chain_too_long",
    "unable to get certificate CRL": "status_unknown",
    "key usage does not include CRL signing": "status_unknown",
    "Different CRL scope": "status_unknown",
    "CRL is not yet valid": "status_unknown",
    "CRL has expired": "status_unknown",
    "CRL signature failure": "status_unknown",
    "unhandled critical CRL extension": "status_unknown",
    "certificate revoked": "revoked",
    "certificate signature failure": "bad_signature",
    "certificate is not yet valid": "not_yet_valid",
    "certificate has expired": "expired",
    "permitted subtree violation": "name_constraint",
    "excluded subtree violation": "name_constraint",
    "name constraints minimum and maximum not supported": "name_constraint",
    "unsupported name constraint type": "name_constraint",
    "unsupported or invalid name constraint syntax": "name_constraint",
    "Issuer has name constraints but leaf has no SANs": "name_constraint",
}
_BY_LIBRARY: Final = {
    "DIGEST_AND_KEY_TYPE_NOT_SUPPORTED": "weak_key",
    "UNKNOWN_SIGNATURE_ALGORITHM": "weak_key",
    "INVALID_PSS_PARAMETERS": "malformed",
}


def _code(flaw: Flaw) -> str:
    if flaw.words == "unable to get local issuer certificate" and flaw.depth == ISSUERS_MAX:
        return "chain_too_long"  # it stopped looking there
    return _BY_LIBRARY.get(flaw.why) or _CODES.get(flaw.words, "malformed")


@functools.lru_cache(maxsize=2)  # many are judged by one trust, and its lists may be long
def _verifier(certificates_pem: str, crls_pem: str) -> Verifier:
    """What Envoy has loaded: every certificate is trusted by itself (`ostiary.envoy.secret` has the settings and the reasons)."""
    try:
        certificates = x509.load_pem_x509_certificates(certificates_pem.encode())
        trusted = [engine_certificate.read(one.public_bytes(Encoding.DER)) for one in certificates]
        lists = [engine_list.read(x509.load_pem_x509_crl(found[0].encode())) for found in _TRUST_LIST.finditer(crls_pem)]
    except pem.MALFORMED:
        raise Invalid("client_ca_tls_container_ref", "holds certificates or revocation lists that cannot be read.") from None
    return Verifier(trusted, lists, _settings(certificates, has_lists=bool(crls_pem)))


def _settings(certificates: Sequence[x509.Certificate], *, has_lists: bool) -> Settings:
    if not has_lists:
        return Settings(ISSUERS_MAX, "none")
    subjects = {certificate.subject for certificate in certificates}
    if any(certificate.issuer not in subjects for certificate in certificates):
        return Settings(1, "leaf")
    return Settings(ISSUERS_MAX, "all")
