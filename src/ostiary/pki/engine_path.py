"""Whether the engine finds a path from a certificate to a trusted one, and what it finds wrong on it (BoringSSL, `x509_vfy.c`).

Step by step in BoringSSL's order, for the first thing that is wrong is the one it tells. It builds one path and tries no other:
trusted issuers first, then those that were shown, each the first that fits by name, key identifier and key usage.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, get_args

from ostiary.pki import engine_constraints, engine_policies, engine_signature
from ostiary.pki.engine_certificate import (
    CLIENT_AUTH,
    CRL_SIGN,
    DIGITAL_SIGNATURE,
    KEY_AGREEMENT,
    KEY_CERT_SIGN,
    EngineCertificate,
)
from ostiary.pki.engine_list import EngineList

Step = Literal["issuer", "extensions", "purpose", "path_length", "revocation", "signature", "validity", "names", "policies"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)


# BoringSSL keeps what is trusted sorted by name. As long as it is little, that leaves namesakes in the order in which they were
# given; beyond, their order is the C++ library's affair (seen).
_IN_ORDER_MAX: Final = 23
_WAYS_MAX: Final = 64


@dataclass(frozen=True)
class Flaw:
    """What is wrong, in BoringSSL's words, in which step it was found, and at which certificate (0 is the one shown)."""

    step: Step
    words: str
    depth: int
    why: str = ""  # what a library below says of it


@dataclass(frozen=True)
class Settings:
    """What Envoy tells BoringSSL: how many authorities may stand between, and of which certificates it asks for lists."""

    depth_max: int
    lists: Literal["none", "leaf", "all"]


@dataclass(frozen=True)
class Verified:
    """The path as far as it was found, the certificate that was shown first; and the first flaw of it."""

    path: tuple[EngineCertificate, ...]
    trusted_from: int  # from here up, certificates are trusted ones
    flaw: Flaw | None
    is_certain: bool = True  # whether the engine has no other path to choose, which may be without a flaw


class Verifier:
    """Verifies what is shown against one set of trusted certificates and lists."""

    def __init__(self, trusted: Sequence[EngineCertificate], lists: Sequence[EngineList], settings: Settings) -> None:
        self._trusted = tuple(dict.fromkeys(trusted))
        self._lists = lists
        self._settings = settings
        self._by_name: dict[tuple[bytes, ...], list[EngineCertificate]] = {}
        for one in self._trusted:
            self._by_name.setdefault(one.subject.compared, []).append(one)

    def verify(self, shown: Sequence[EngineCertificate], at: datetime) -> Verified:
        """What comes of a certificate and those shown with it, the holder's first.

        Where the engine may take one of several as an issuer, and nobody can tell which, the path that has a flaw is told.
        """
        choices = _Choices()
        found = self._verified(shown, at, choices)
        if len(self._trusted) + len(self._lists) <= _IN_ORDER_MAX:
            return found
        for _ in range(_WAYS_MAX):
            if found.flaw is not None or not choices.another():
                break
            found = self._verified(shown, at, choices)
        return replace(found, is_certain=found.flaw is None or not choices.are_open)

    def _verified(self, shown: Sequence[EngineCertificate], at: datetime, choices: "_Choices") -> Verified:
        path, trusted_from, flaw = _Builder(self._trusted, self._by_name, self._settings, choices).built(shown)
        if flaw is None:
            flaw = next(self._flaws(path, trusted_from, at), None)
        return Verified(tuple(path), trusted_from, flaw)

    def _flaws(self, path: Sequence[EngineCertificate], trusted_from: int, at: datetime) -> Iterator[Flaw]:
        yield from _of_use(path[:trusted_from])
        yield from self._of_revocation(path, at)
        yield from _of_signatures(path, at)
        yield from _of_names(path)
        if found := engine_policies.flaw(path):
            yield Flaw("policies", *found)

    def _of_revocation(self, path: Sequence[EngineCertificate], at: datetime) -> Iterator[Flaw]:
        asked = {"none": 0, "leaf": 1, "all": len(path)}[self._settings.lists]
        for depth in range(asked):
            yield from self._revoked(path, depth, at)

    def _revoked(self, path: Sequence[EngineCertificate], depth: int, at: datetime) -> Iterator[Flaw]:
        found = _best(self._lists, path, depth, at)
        words = _of_list(*found, path[depth], at) if found else iter(("unable to get certificate CRL",))
        return (Flaw("revocation", each, depth) for each in words)


class _Choices:
    """Which of several issuers is taken for each certificate: the first at first, then each way in turn."""

    def __init__(self) -> None:
        self._turn: list[int] = []
        self._made: dict[EngineCertificate, tuple[int, int]] = {}  # which one, of how many

    def pick(self, below: EngineCertificate, issuers: Sequence[EngineCertificate]) -> EngineCertificate:
        """The issuer for this certificate, the same one throughout."""
        place = len(self._made)
        taken, _ = self._made.setdefault(below, (self._turn[place] if place < len(self._turn) else 0, len(issuers)))
        return issuers[taken]

    @property
    def are_open(self) -> bool:
        """Whether there was anything to choose on this way."""
        return any(of > 1 for _, of in self._made.values())

    def another(self) -> bool:
        """Go on to the next way; False when there is none."""
        made = list(self._made.values())
        self._made = {}
        while made:
            taken, of = made.pop()
            if taken + 1 < of:
                self._turn = [*(each for each, _ in made), taken + 1]
                return True
        return False


@dataclass(frozen=True)
class _Builder:
    """Builds one path."""

    _trusted: Sequence[EngineCertificate]
    _by_name: Mapping[tuple[bytes, ...], Sequence[EngineCertificate]]
    _settings: Settings
    _choices: _Choices

    def built(self, shown: Sequence[EngineCertificate]) -> tuple[list[EngineCertificate], int, Flaw | None]:
        """The path, from where on it is trusted, and why there is none."""
        longest = self._settings.depth_max + 1
        path, rest = [shown[0]], list(shown)
        while True:  # up through what was shown, until a trusted issuer is known
            if path[-1].defect is not None and len(path) < longest:
                return path, len(path), _unreadable(len(path) - 1)
            if len(path) >= longest or path[-1].is_self_signed or self._issuer(path[-1]):
                break
            issuer = next((one for one in rest if one.may_have_issued(path[-1])), None)
            if issuer is None:
                break
            rest.remove(issuer)
            path.append(issuer)
        if path[-1].defect is not None:
            return path, len(path), _unreadable(len(path) - 1)
        return self._to_an_anchor(path, longest)

    def _to_an_anchor(self, path: list[EngineCertificate], longest: int) -> tuple[list[EngineCertificate], int, Flaw | None]:
        if path[-1].is_self_signed and len(path) == 1:
            is_known = self._issuer(path[0]) == path[0]
            return path, 0 if is_known else 1, None if is_known else Flaw("issuer", "self signed certificate", 0)
        root = path.pop() if path[-1].is_self_signed else None
        trusted_from = len(path)
        while len(path) < longest and path[-1].defect is None and not path[-1].is_self_signed:
            issuer = self._issuer(path[-1])
            if issuer is None:
                break
            path.append(issuer)
        if path[-1].defect is not None and len(path) < longest:
            return path, trusted_from, _unreadable(len(path) - 1)
        if len(path) > trusted_from:
            return path, trusted_from, None
        return self._without_an_anchor(path, root)

    def _without_an_anchor(
        self, path: list[EngineCertificate], root: EngineCertificate | None
    ) -> tuple[list[EngineCertificate], int, Flaw | None]:
        """No issuer is trusted; the certificate that was shown may be trusted itself."""
        if path[0] in self._trusted:
            return path, 0, None
        if root is not None and root.may_have_issued(path[-1]):
            path.append(root)
            return path, len(path), Flaw("issuer", "self signed certificate in certificate chain", len(path) - 1)
        return path, len(path), Flaw("issuer", "unable to get local issuer certificate", len(path) - 1)

    def _issuer(self, certificate: EngineCertificate) -> EngineCertificate | None:
        namesakes = self._by_name.get(certificate.issuer.compared, ())
        issuers = [one for one in namesakes if one.may_have_issued(certificate)]
        return self._choices.pick(certificate, issuers) if issuers else None


def _unreadable(depth: int) -> Flaw:
    return Flaw("extensions", "invalid or inconsistent certificate extension", depth)


def _of_use(untrusted: Sequence[EngineCertificate]) -> Iterator[Flaw]:
    """Extensions of what was shown; those of trusted certificates are not looked at."""
    counted = 0
    for depth, one in enumerate(untrusted):
        if one.unknown_critical is not None:
            yield Flaw("extensions", "unhandled critical extension", depth)
        if depth and not _is_authority(one):
            yield Flaw("purpose", "invalid CA certificate", depth)
        wrong = one.purposes is not None and CLIENT_AUTH not in one.purposes
        if wrong or (depth == 0 and not one.may(DIGITAL_SIGNATURE | KEY_AGREEMENT)):
            yield Flaw("purpose", "unsupported certificate purpose", depth)
        if depth > 1 and one.path_length is not None and counted > one.path_length + 1:
            yield Flaw("path_length", "path length constraint exceeded", depth)
        counted += depth == 0 or not one.is_self_issued


def _is_authority(one: EngineCertificate) -> bool:
    if not one.may(KEY_CERT_SIGN):
        return False
    return bool(one.is_ca) or (one.version == 1 and one.is_self_signed)


def _best(
    lists: Sequence[EngineList], path: Sequence[EngineCertificate], depth: int, at: datetime
) -> tuple[EngineList, EngineCertificate] | None:
    """The list for one certificate of the path, and whose key is to have signed it: the best there is, of equals the newest."""
    best: tuple[tuple[int, ...], datetime, EngineList, EngineCertificate] | None = None
    certificate = path[depth]
    for one in lists:
        if one.issuer.compared != certificate.issuer.compared or not one.is_understood:
            continue
        signer = _signer(one, path, depth)
        if signer is None:
            continue
        issuer, is_direct = signer
        fits = (not one.has_unknown_critical, one.is_in_scope_of(certificate), one.is_current(at), is_direct)
        score = sum(weight for weight, holds in zip((0x100, 0x80, 0x40, 0x10), fits, strict=True) if holds)
        if best is None or (score, one.this_update) > (best[0][0], best[1]):
            best = ((score,), one.this_update, one, issuer)
    return (best[2], best[3]) if best else None


def _signer(one: EngineList, path: Sequence[EngineCertificate], depth: int) -> tuple[EngineCertificate, bool] | None:
    nearest = min(depth + 1, len(path) - 1)
    if path[nearest].may_be_meant(one.issuer_key):
        return path[nearest], True
    others = (each for each in path[nearest + 1 :] if each.subject.compared == one.issuer.compared)
    found = next((each for each in others if each.may_be_meant(one.issuer_key)), None)
    return (found, False) if found else None


def _of_list(chosen: EngineList, issuer: EngineCertificate, certificate: EngineCertificate, at: datetime) -> Iterator[str]:
    """What is wrong with the list of a certificate's issuer, or with the certificate by it."""
    wrong = {
        "key usage does not include CRL signing": not issuer.may(CRL_SIGN),
        "Different CRL scope": not chosen.is_in_scope_of(certificate),
        "CRL is not yet valid": at < chosen.this_update,
        "CRL has expired": chosen.next_update is not None and at >= chosen.next_update,
    }
    yield from (words for words, holds in wrong.items() if holds)
    if issuer.key is None:
        yield "unable to decode issuer public key"
    if not chosen.is_signed_by(issuer.key):
        yield "CRL signature failure"
    if chosen.has_unknown_critical:
        yield "unhandled critical CRL extension"
    if chosen.names(certificate.serial):
        yield "certificate revoked"


def _of_signatures(path: Sequence[EngineCertificate], at: datetime) -> Iterator[Flaw]:
    """From the top down: whether each was signed by the one above, and whether it is in its time."""
    for depth in range(len(path) - 1, -1, -1):
        if depth + 1 < len(path):
            key = path[depth + 1].key
            if key is None:
                yield Flaw("signature", "unable to decode issuer public key", depth)
            elif fault := engine_signature.fault(path[depth].signed, key):
                yield Flaw("signature", "certificate signature failure", depth, fault)
        yield from _of_time(path[depth], depth, at)


def _of_time(one: EngineCertificate, depth: int, at: datetime) -> Iterator[Flaw]:
    if one.not_before is None:
        yield Flaw("validity", "format error in certificate's notBefore field", depth)
    elif at < one.not_before:
        yield Flaw("validity", "certificate is not yet valid", depth)
    if one.not_after is None:
        yield Flaw("validity", "format error in certificate's notAfter field", depth)
    elif at >= one.not_after:
        yield Flaw("validity", "certificate has expired", depth)


def _of_names(path: Sequence[EngineCertificate]) -> Iterator[Flaw]:
    """Names against the constraints of all that stand above, the trusted ones included."""
    for depth in range(len(path) - 1, -1, -1):
        if depth and path[depth].is_self_issued:
            continue
        for above in reversed(path[depth + 1 :]):
            if above.constraints is not None and (found := engine_constraints.violation(path[depth], above.constraints)):
                yield Flaw("names", found, depth)
    constrained = any(above.constraints is not None for above in path[1:])
    if constrained and (found := engine_constraints.lone_common_name(path[0])):
        yield Flaw("names", found, 0)
