"""From a reference to TLS material. Time plays no part here: whether something has expired is asked when it is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ostiary.errors import Invalid
from ostiary.model.authority import Authority
from ostiary.model.reference import parse
from ostiary.pki.sealing import Sealer
from ostiary.store.kinds import AUTHORITY, CONTAINER, ROTATION, SECRET, Kind, R
from ostiary.store.store import Reader


def secret_context(secret_id: str) -> str:
    """What a secret's payload is bound to when encrypted."""
    return f"secret:{secret_id}"


def authority_context(authority_id: str) -> str:
    """What an authority's key is bound to when encrypted."""
    return f"authority:{authority_id}"


@dataclass(frozen=True)
class Parts:
    """A certificate and its key as they were stored: separate PEM texts, or one PKCS#12."""

    name: str
    certificate: bytes = b""
    private_key: bytes = b""
    intermediates: bytes = b""
    passphrase: bytes | None = None
    pkcs12: bytes | None = None

    def __repr__(self) -> str:
        return f"Parts({self.name})"


@dataclass(frozen=True)
class Anchors:
    """Who may have signed: PEM from a secret, or authorities of the system with all that belongs to them.

    `closed`: the authority was revoked, so nobody that it signed is to be let in. `rotated`: how often one took another's place.
    """

    id: str
    pem: bytes
    authorities: tuple[Authority, ...] = ()
    closed: bool = False
    rotated: int = 0


class Materials:
    """What references point at. Raises `Invalid` naming the field that holds the reference."""

    def __init__(self, reader: Reader, sealer: Sealer, *, all_at_once: bool = False) -> None:
        """With `all_at_once` everything is read in four queries: for whoever will ask for most of it."""
        self.reader = reader
        self._sealer = sealer
        kinds: tuple[Kind[Any], ...] = (AUTHORITY, ROTATION, SECRET, CONTAINER) if all_at_once else ()
        self._whole: dict[str, tuple[Any, ...]] = {kind.name: reader.all(kind) for kind in kinds}
        self._read: dict[str, Mapping[str, Any]] = {kind.name: reader.by_id(kind, self._whole[kind.name]) for kind in kinds}

    def anchors(self, text: str, field: str) -> Anchors:
        """The CA certificates behind a reference. An authority brings its series, those below it, and who takes its place."""
        ref = parse(text, field)
        if ref.kind in {None, "authority"}:
            authority = self._get(AUTHORITY, ref.id)
            if authority is not None:
                trusted = self._with_its_own(authority)
                if not trusted:
                    return Anchors(ref.id, authority.certificate.encode(), (authority,), closed=True)
                pem = "".join(one.certificate for one in trusted).encode()
                return Anchors(ref.id, pem, trusted, rotated=self._rotated(authority))
            if ref.kind == "authority":
                raise Invalid(field, f"there is no authority {ref.id}")
        if ref.kind == "container":
            raise Invalid(field, "this must be an authority or a secret with PEM certificates, not a container")
        return Anchors(ref.id, self._secret(ref.id, field))

    def _with_its_own(self, authority: Authority) -> tuple[Authority, ...]:
        """Its series, that of a rotation under way, and all below these; without those revoked and what is below them."""
        every = self._all(AUTHORITY)
        series = {authority.series_id}
        for rotation in self._all(ROTATION):
            ends = {rotation.from_series_id, rotation.to_series_id}
            if rotation.state == "UNDER_WAY" and ends & series:
                series |= ends
        gone = {one.id for one in every if one.revoked_at is not None}
        while below := {one.id for one in every if one.parent_id in gone} - gone:
            gone |= below
        found = {one.id: one for one in every if one.series_id in series and one.id not in gone}
        size = -1
        while size != len(found):
            size = len(found)
            # A cross-signed certificate has the name and key of another authority: what that one signed is below it too.
            parents = found.keys() | {one.cross_of for one in found.values() if one.cross_of is not None}
            found |= {one.id: one for one in every if one.parent_id in parents and one.id not in gone}
        return tuple(one for one in every if one.id in found)

    def _rotated(self, authority: Authority) -> int:
        """How many rotations from or to its series are over."""
        ends = [{one.from_series_id, one.to_series_id} for one in self._all(ROTATION) if one.state != "UNDER_WAY"]
        return sum(authority.series_id in either for either in ends)

    def secret(self, text: str, field: str) -> tuple[str, bytes]:
        """The bytes of a secret, with its id."""
        ref = parse(text, field)
        if ref.kind not in {None, "secret"}:
            raise Invalid(field, f"this must be a secret, not {'an' if ref.kind == 'authority' else 'a'} {ref.kind}")
        return ref.id, self._secret(ref.id, field)

    def parts(self, text: str, field: str) -> Parts:
        """A certificate and key: a container of type certificate, or a secret that holds a PKCS#12."""
        ref = parse(text, field)
        if ref.kind == "authority":
            raise Invalid(
                field, "this must be a certificate container or a PKCS#12 secret; an authority signs, it does not serve"
            )
        container = self._get(CONTAINER, ref.id) if ref.kind in {None, "container"} else None
        if container is None:
            if ref.kind == "container":
                raise Invalid(field, f"there is no container {ref.id}")
            return Parts(ref.id, pkcs12=self._secret(ref.id, field))
        held = {part.name: self.secret(part.secret_ref, field)[1] for part in container.secret_refs}
        for needed in ("certificate", "private_key"):
            if needed not in held:
                raise Invalid(field, f"container {ref.id} has no {needed}")
        return Parts(
            ref.id,
            certificate=held["certificate"],
            private_key=held["private_key"],
            intermediates=held.get("intermediates", b""),
            passphrase=held.get("private_key_passphrase"),
        )

    def whole(self) -> tuple[Any, ...]:
        """All that was read at once: as long as these are the same, so is whatever a reference leads to."""
        return tuple(self._whole.values())

    def stands_on(self, text: str, field: str) -> tuple[Any, ...]:
        """What the certificate and key behind a reference are made of: as long as these are the same things, so are those."""
        ref = parse(text, field)
        container = self._get(CONTAINER, ref.id)
        parts = (parse(part.secret_ref, field).id for part in container.secret_refs) if container is not None else (ref.id,)
        return (container, *(self._get(SECRET, part) for part in parts))

    def _all(self, kind: Kind[R]) -> tuple[R, ...]:
        return self._whole[kind.name] if kind.name in self._whole else self.reader.all(kind)

    def _get(self, kind: Kind[R], thing_id: str) -> R | None:
        if kind.name in self._read:
            return self._read[kind.name].get(thing_id)
        return self.reader.get(kind, thing_id)

    def _secret(self, secret_id: str, field: str) -> bytes:
        secret = self._get(SECRET, secret_id)
        if secret is None:
            raise Invalid(field, f"there is no secret {secret_id}")
        return self._sealer.open(secret.payload, secret_context(secret_id))
