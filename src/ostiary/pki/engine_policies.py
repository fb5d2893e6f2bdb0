"""Certificate policies as the engine applies them (BoringSSL, `policy.c`): nobody demands one here, but an authority may.

RFC 5280 6.1.3 (d) to (f), 6.1.4 (a) to (j), 6.1.5 (g), with any policy being welcome. What is kept of the policies of one
certificate are those that a policy of the one above leads to.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ostiary.pki import engine_certificate, engine_name, tlv
from ostiary.pki.engine_certificate import OID, EngineCertificate

Flaw = Literal["invalid or inconsistent certificate policy extension", "no explicit policy"]

_INVALID: Final = "invalid or inconsistent certificate policy extension"
_NONE_LEFT: Final = "no explicit policy"
_QUALIFIERS: Final[dict[OID, tuple[int, int]]] = {
    (1, 3, 6, 1, 5, 5, 7, 2, 1): (tlv.UNIVERSAL, 22),
    (1, 3, 6, 1, 5, 5, 7, 2, 2): tlv.SEQUENCE,
}
_ANY: Final[OID] = (2, 5, 29, 32, 0)


@dataclass(frozen=True)
class _Level:
    """Which policies are good so far; `any_other` is whether all others are too."""

    policies: frozenset[OID] = frozenset()
    any_other: bool = True

    @property
    def is_empty(self) -> bool:
        return not self.policies and not self.any_other


@dataclass(frozen=True)
class _Left:
    """After how many more certificates each demand is in force; 0 is now."""

    explicit: int
    mapping: int
    any_other: int

    def less(self) -> "_Left":
        return _Left(*(max(0, each - 1) for each in (self.explicit, self.mapping, self.any_other)))


def flaw(path: Sequence[EngineCertificate]) -> tuple[Flaw, int] | None:
    """What is wrong with the policies of a path (the leaf first, the anchor last), and how far up; None when nothing is."""
    level, left = _Level(), _Left(*(len(path) + 1,) * 3)
    for depth in range(len(path) - 2, -1, -1):
        certificate = path[depth]
        counts = depth == 0 or not certificate.is_self_issued
        try:
            level = _narrowed(level, certificate, any_other=left.any_other > 0 or not counts)
            if left.explicit == 0 and level.is_empty:
                return _NONE_LEFT, 0
            if depth:
                level = _mapped(level, certificate, is_allowed=left.mapping > 0)
            left = _constrained(left.less() if counts else left, certificate)
        except ValueError:
            return _INVALID, depth
    return (_NONE_LEFT, 0) if left.explicit == 0 and level.is_empty else None


def _narrowed(level: _Level, certificate: EngineCertificate, *, any_other: bool) -> _Level:
    """6.1.3 (d), (e): what the certificate's own policies leave."""
    said = _held(certificate, engine_certificate.CERTIFICATE_POLICIES)
    if said is None:
        return _Level(any_other=False)
    own = [tlv.object_identifier(_first(policy)) for policy in tlv.sequence(said.content).parts(tlv.SEQUENCE)]
    if not own or len(set(own)) < len(own):
        raise tlv.NotDER("policies must be there, each once")
    named = frozenset(own) - {_ANY}
    keeps_all = _ANY in own and any_other
    kept = level.policies if keeps_all else level.policies & named
    return _Level(kept | (named if level.any_other else frozenset()), level.any_other and keeps_all)


def _mapped(level: _Level, certificate: EngineCertificate, *, is_allowed: bool) -> _Level:
    """6.1.4 (a), (b): by which names they go below the certificate."""
    said = _held(certificate, engine_certificate.POLICY_MAPPINGS)
    if said is None:
        return level
    pairs = [_pair(mapping) for mapping in tlv.sequence(said.content).parts(tlv.SEQUENCE)]
    if not pairs or any(_ANY in pair for pair in pairs):
        raise tlv.NotDER("mappings must be there, and of named policies")
    sources = frozenset(source for source, _ in pairs)
    if not is_allowed:
        return replace(level, policies=level.policies - sources)
    led_to = {target for source, target in pairs if source in level.policies or level.any_other}
    return replace(level, policies=(level.policies - sources) | led_to)


def _constrained(left: _Left, certificate: EngineCertificate) -> _Left:
    """6.1.4 (i), (j): what the certificate demands of those below."""
    said = _held(certificate, engine_certificate.POLICY_CONSTRAINTS)
    if said is not None:
        parts = tlv.sequence(said.content).parts((tlv.CONTEXT, 0), (tlv.CONTEXT, 1))
        numbers = {part.kind[1]: _number(part.content) for part in parts if not part.is_constructed}
        if not numbers or [*numbers] != [part.kind[1] for part in parts] or [*numbers] != sorted(numbers):
            raise tlv.NotDER("policy constraints that demand nothing")
        left = replace(left, explicit=min(left.explicit, numbers.get(0, left.explicit)))
        left = replace(left, mapping=min(left.mapping, numbers.get(1, left.mapping)))
    said = _held(certificate, engine_certificate.INHIBIT_ANY_POLICY)
    if said is not None:
        inhibited = tlv.only(said.content)
        if inhibited.kind != tlv.INTEGER:
            raise tlv.NotDER("no number")
        left = replace(left, any_other=min(left.any_other, _number(inhibited.content)))
    return left


def _held(certificate: EngineCertificate, kind: OID) -> tlv.Value | None:
    found = certificate.extensions.get(kind, ())
    if len(found) > 1:
        raise tlv.NotDER("an extension is there twice")
    return found[0] if found else None


def _first(policy: tlv.Value) -> bytes:
    kind, *qualifiers = policy.parts(tlv.OBJECT_IDENTIFIER, tlv.SEQUENCE)
    if kind.kind != tlv.OBJECT_IDENTIFIER or len(qualifiers) > 1:
        raise tlv.NotDER("no policy")
    for qualifier in qualifiers[0].parts(tlv.SEQUENCE) if qualifiers else ():
        _refuse_no_qualifier(qualifier)
    return kind.content


def _refuse_no_qualifier(qualifier: tlv.Value) -> None:
    """RFC 5280 4.2.1.4: where it is written down, or a notice."""
    kind, said = qualifier.parts()
    if kind.kind != tlv.OBJECT_IDENTIFIER:
        raise tlv.NotDER("no qualifier")
    wanted = _QUALIFIERS.get(tlv.object_identifier(kind.content))
    if wanted is not None and said.kind != wanted:
        raise tlv.NotDER("no qualifier")
    if wanted == tlv.SEQUENCE:
        said.parts()


def _pair(mapping: tlv.Value) -> tuple[OID, OID]:
    source, target = mapping.parts(tlv.OBJECT_IDENTIFIER)
    return tlv.object_identifier(source.content), tlv.object_identifier(target.content)


def _number(octets: bytes) -> int:
    number = int.from_bytes(octets, "big", signed=True)
    if not engine_name.is_number(octets) or number < 0:
        raise tlv.NotDER("no number")
    return number
