"""Server certificates as people see them: what is in each, until when, and who uses it; whether it was brought or made here.

What is in one is read from the file itself, once: it is kept for as long as the file stays the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ostiary.errors import Invalid, NotFound
from ostiary.model.query import Page, Query
from ostiary.model.reference import parse
from ostiary.model.secret import Container, Secret
from ostiary.ops import server_certificates
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.pki.chain import read_certificates, read_pkcs12
from ostiary.pki.presented import Presented, presented
from ostiary.store import names
from ostiary.store import presented as stored
from ostiary.store.kinds import CONTAINER, LISTENER, POOL, SECRET
from ostiary.store.material import secret_context
from ostiary.store.store import Reader

PKCS12: Final = "application/octet-stream"  # what is said of a file that may be one
CHOICES: Final = 50  # that are offered at once where one is to be chosen
_KEPT: Final = 1000  # that are read ahead: half of what is kept (`System.presented`)
_FIELD: Final = "certificate"

Kind = Literal["container", "secret"]
Origin = Literal["brought", "listener", "door"]  # the last two are those that ostiary issues itself, and renews


@dataclass(frozen=True)
class User:
    """A listener or a pool that refers to it."""

    kind: str
    id: str
    name: str


@dataclass(frozen=True)
class ServerCertificate:
    """One of them. `content` is None where it cannot be read; then `problem` says why. `made_for` is the id of a listener."""

    id: str
    kind: Kind
    name: str
    origin: Origin
    content: Presented | None
    problem: str
    users: tuple[User, ...]
    made_for: str = ""

    @property
    def href(self) -> str:
        """As a listener refers to it."""
        return f"/v1/{self.kind}s/{self.id}"


@dataclass(frozen=True)
class Choice:
    """One of what may be chosen; `is_ours`: ostiary issued it itself."""

    href: str
    name: str
    is_ours: bool = False


def find(system: System, caller: Caller, query: Query) -> Page[ServerCertificate]:
    """One page, by name."""
    caller.must("container:read")
    caller.must("secret:read")
    with system.store.read() as reader:
        found, more = stored.page(reader, query)
        return Page(_described(system, reader, found), more)


def get(system: System, caller: Caller, certificate_id: str) -> ServerCertificate:
    """One of them, by the id of its container or secret. Raises `NotFound`."""
    caller.must("container:read")
    caller.must("secret:read")
    with system.store.read() as reader:
        return one(system, reader, certificate_id)


def referred(system: System, caller: Caller, references: Iterable[str | None]) -> tuple[ServerCertificate, ...]:
    """Those that these references are of, in their order; what is not there is left out."""
    caller.must("container:read")
    with system.store.read() as reader:
        return _described(system, reader, list(_kept(references)))


def one(system: System, reader: Reader, certificate_id: str) -> ServerCertificate:
    """The same within a transaction."""
    found = _described(system, reader, [certificate_id])
    if not found:
        raise NotFound("Server certificate", certificate_id)
    return found[0]


def certificates(system: System, caller: Caller, *, search: str = "", keep: Iterable[str | None] = ()) -> tuple[Choice, ...]:
    """Those that a listener may be given, at most `CHOICES` by name; what is chosen (`keep`, references) in any case.

    Those that ostiary made for a listener are for that one alone.
    """
    caller.must("container:read")
    kept = _kept(keep)
    with system.store.read() as reader:
        query = Query(limit=CHOICES, search=tuple(search.split()))
        found, _more = stored.page(reader, query, without=server_certificates.OURS)
        every = _described(system, reader, [*found, *kept])
    choices = {one.id: Choice(kept.get(one.id, one.href), _called(one), one.origin != "brought") for one in every}
    lost = {one: Choice(text, text) for one, text in kept.items() if one not in choices}
    return (*choices.values(), *lost.values())


def revocation_lists(system: System, caller: Caller, keep: str | None) -> tuple[Choice, ...]:
    """Secrets that hold revocation lists, by name; the one that is chosen now (`keep`, a reference) in any case."""
    return _texts(system, caller, keep, b"-----BEGIN X509 CRL-----")


def bundles(system: System, caller: Caller, keep: str | None) -> tuple[Choice, ...]:
    """Secrets that hold certificates, for people to say who may have signed; likewise."""
    return _texts(system, caller, keep, b"-----BEGIN CERTIFICATE-----")


def read_ahead(system: System) -> int:
    """Read files that nobody has looked at since the start, so that nobody waits for it; some at a time. How many that were.

    To open a PKCS#12 file is made slow on purpose, for who guesses its passphrase.
    """
    with system.store.read() as reader:
        every = stored.unread(reader)[:_KEPT]
        missing = [one for one, revision in every if system.presented.get(_key_of(one, revision)) is None][:CHOICES]
        return len(_described(system, reader, missing))


def _texts(system: System, caller: Caller, keep: str | None, begin: bytes) -> tuple[Choice, ...]:
    caller.must("secret:read")
    kept = _kept([keep])
    with system.store.read() as reader:
        found = {
            one.id: Choice(f"/v1/secrets/{one.id}", one.name or one.id)
            for one in stored.texts(reader, CHOICES)
            if begin in system.sealer.open(one.payload, secret_context(one.id))
        }
        called = names.of(reader, SECRET, kept)
    return tuple((found | {one: Choice(text, called[one] or text) for one, text in kept.items()}).values())


def _kept(references: Iterable[str | None]) -> dict[str, str]:
    """The references by the ids in them. One that makes no sense is not kept."""
    found = {}
    for text in references:
        try:
            found[parse(text or "", _FIELD).id] = text or ""
        except Invalid:
            continue
    return found


def _called(one: ServerCertificate) -> str:
    """By its name and what it is for."""
    hosts = ", ".join(one.content.hosts[:3]) if one.content is not None else ""
    name = "" if one.origin != "brought" else one.name
    return f"{name} ({hosts})" if name and hosts and hosts != name else name or hosts or one.name or one.id


def _described(system: System, reader: Reader, wanted: Sequence[str]) -> tuple[ServerCertificate, ...]:
    """Many at once; what is not there, and what cannot be one, is left out."""
    containers = stored.many(reader, CONTAINER, wanted)
    parts = {one: _part_ids(container) for one, container in containers.items()}
    others = [one for one in wanted if one not in containers]
    secrets = stored.many(reader, SECRET, [*others, *(part for its in parts.values() for part in its)])
    users = _users(reader, wanted)
    described = []
    for one in dict.fromkeys(wanted):
        thing: Container | Secret | None = containers.get(one) or secrets.get(one)
        if thing is None or (isinstance(thing, Secret) and thing.payload_content_type != PKCS12):
            continue
        its = [thing] if isinstance(thing, Secret) else [secrets[part] for part in parts[one] if part in secrets]
        content, problem = _content(system, thing, its)
        origin, made_for = server_certificates.origin(thing.name)
        kind: Kind = "secret" if isinstance(thing, Secret) else "container"
        described.append(ServerCertificate(one, kind, thing.name, origin, content, problem, users.get(one, ()), made_for))
    return tuple(described)


def _part_ids(container: Container) -> tuple[str, ...]:
    """The certificate and those above it; not the key, which nobody has to open to read them."""
    its = {part.name: part.secret_ref for part in container.secret_refs}
    return tuple(parse(its[name], "secret_refs").id for name in ("certificate", "intermediates") if name in its)


def _content(system: System, thing: Container | Secret, its: Sequence[Secret]) -> tuple[Presented | None, str]:
    key = "/".join(_key_of(one.id, one.revision) for one in its)
    known: tuple[Presented | None, str] | None = system.presented.get(key)
    if known is None:
        known = _read(system, thing, its)
        system.presented.keep(key, known)
    return known


def _key_of(secret_id: str, revision: int) -> str:
    return f"{secret_id}:{revision}"


def _read(system: System, thing: Container | Secret, its: Sequence[Secret]) -> tuple[Presented | None, str]:
    try:
        files = [system.sealer.open(one.payload, secret_context(one.id)) for one in its]
        if isinstance(thing, Secret):
            return presented(read_certificates(read_pkcs12(files[0], None, None, _FIELD).chain_pem.encode(), _FIELD)), ""
        return presented(read_certificates(b"\n".join(files), _FIELD)), ""
    except Invalid as error:
        return None, error.message


def _users(reader: Reader, ids: Sequence[str]) -> Mapping[str, tuple[User, ...]]:
    held = stored.holders(reader, ids)
    every = {(kind, one) for those in held.values() for kind, one in those}
    called = {
        "listener": names.of(reader, LISTENER, [one for kind, one in every if kind == "listener"]),
        "pool": names.of(reader, POOL, [one for kind, one in every if kind == "pool"]),
    }
    return {
        target: tuple(User(kind, one, called[kind].get(one) or one) for kind, one in those if kind in called)
        for target, those in held.items()
    }
