"""What there is that ends, and what is wrong now: gathered from the record, from what is in service and from gateways."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from shlex import quote
from typing import Final

from cryptography import x509

from ostiary.errors import Refusal
from ostiary.model.authority import Authority
from ostiary.model.desired import Desired
from ostiary.model.notification import Standing
from ostiary.model.revocation import RevocationList
from ostiary.model.warning import Thing, judged
from ostiary.ops import alarms, server_certificates
from ostiary.ops.caller import SYSTEM
from ostiary.ops.ocsp import RENEW_SIGNER
from ostiary.ops.system import System
from ostiary.pki.chain import read_certificates
from ostiary.pki.names import fingerprint_sha256, name_text, subject_text
from ostiary.store import names, notifications, revocations, watched
from ostiary.store.kinds import AUTHORITY, CONTAINER, LISTENER, NOTIFICATION_TARGET
from ostiary.store.material import Materials
from ostiary.store.store import Reader
from ostiary.store.watched import InUse

IN_USE: Final = timedelta(days=30)  # a certificate is in use that was seen within that
ENDED_FOR: Final = timedelta(days=7)  # what nobody uses any more is told for so long after its end
# Whoever renews by themselves, we or a holder's program, does so at a certain time, and within a day.
GRACE: Final = timedelta(days=1)
LIST_GRACE: Final = timedelta(minutes=5)  # a list is signed or fetched within a minute of its half
FAILING_FOR: Final = timedelta(hours=1)
_LISTENERS: Final = 20  # whose names are told
_REQUESTS: Final = 100
_WORDS: Final = 300  # characters of an engine's own words


def things(system: System, reader: Reader, days: Sequence[int], at: datetime) -> tuple[Thing, ...]:
    """All that may be worth a warning at this time, with thresholds so many days before the end."""
    until = at + timedelta(days=max((*days, 1)))
    wanted = system.fleet.wanted.desired if system.fleet.wanted is not None else Desired()
    served = _served(wanted)
    return (
        *_clients(reader, days, at, until),
        *_servers(reader, served, until),
        *_authorities(reader, served, at, until),
        *_lists(reader, served, at),
        *_listed_in_secrets(system, reader, wanted),
        *_signers(system, reader, at, until),
        *_exceptions(reader, at, until),
        *_tokens(reader, at, until),
        *_alarms(system),
        *_requests(reader, at),
        *_targets(reader, at),
    )


def _clients(reader: Reader, days: Sequence[int], at: datetime, until: datetime) -> Iterator[Thing]:
    """Certificates of clients that are in use, ours and others'; without those whose holder has a later one already.

    What else is known of them is asked only of those that have passed a threshold: of many that end soon, few have.
    """
    since, after = at - IN_USE, at - ENDED_FOR
    ours = _passed(watched.ours_in_use(reader, since, after, until), days, at)
    others = _passed(_with_beginning(reader, _passed(watched.others_in_use(reader, since, after, until), days, at)), days, at)
    renewed = watched.renewed(reader, [one.certificate_id for one in ours])
    later = watched.later_of(reader, others, since)
    every = [
        *(one for one in ours if one.certificate_id not in renewed),
        *(one for one in others if later.get(f"{one.subject}\n{one.issuer}", one.not_after) <= one.not_after),
    ]
    where = watched.seen_at(reader, [one.fingerprint_sha256 for one in every], since)
    called = names.of(reader, LISTENER, sorted({one for ids in where.values() for one in ids}))
    for one in every:
        listeners = [called.get(each) or each for each in where.get(one.fingerprint_sha256, ())]
        yield _client(one, tuple(listeners[:_LISTENERS]))


def _with_beginning(reader: Reader, found: Sequence[InUse]) -> Iterator[InUse]:
    """The same with the time from which each is good: those of an hour pass all thresholds at once, and are no news."""
    told = watched.told_whole(reader, [one.fingerprint_sha256 for one in found])
    for one in found:
        read = _read(told.get(one.fingerprint_sha256, ""))
        yield replace(one, not_before=read[0].not_before) if read else one


def _passed(found: Iterable[InUse], days: Sequence[int], at: datetime) -> list[InUse]:
    return [one for one in found if judged([_client(one, ())], days, at)]


def _client(one: InUse, listeners: tuple[str, ...]) -> Thing:
    counts_from = one.not_before
    if one.renewed_before and one.not_before is not None:
        # A program renews it in its last third: only when that does not happen is there anything to tell.
        counts_from = one.not_after - (one.not_after - one.not_before) / 3 + GRACE
    return Thing(
        kind="CLIENT_CERTIFICATE",
        id=one.fingerprint_sha256,
        name=one.name or one.subject or one.fingerprint_sha256[:16],
        ends_at=one.not_after,
        counts_from=counts_from,
        ends_quietly=True,
        owner=one.owner,
        last_seen=one.last_seen,
        listeners=listeners,
        way="client" if one.certificate_id else "foreign client",
        command=f"ostiary cert renew {one.certificate_id} --csr FILE" if one.certificate_id else "",
        place=f"/console/certificates/{one.certificate_id}" if one.certificate_id else "",
        detail="" if one.certificate_id else one.issuer,
    )


@dataclass(frozen=True)
class _Shown:
    """A certificate in service, and who uses it."""

    reference: str  # of what it was read from: `identity/…`, `trust/…`
    pem: str
    users: tuple[str, ...]
    is_trust: bool = False


def _served(desired: Desired) -> tuple[_Shown, ...]:
    """The certificates that listeners, pools and doors show, and those that they trust, each once with all who use it."""
    shown: dict[tuple[str, str, bool], list[str]] = {}

    every = [(one.listener.name or one.listener.id, one.identities, one.trust) for one in desired.listeners]
    every += [(one.pool.name or one.pool.id, tuple(filter(None, (one.identity,))), one.trust) for one in desired.pools]
    every += [(one.kind, one.identities, None) for one in desired.doors]
    for user, identities, trust in every:
        held = [(one.name, one.certificate_chain, False) for one in identities]
        held += [("", trust.certificates, True)] if trust is not None else []
        for one in held:
            users = shown.setdefault(one, [])
            users += [user] if user not in users else []
    return tuple(_Shown(reference, pem, tuple(users), is_trust) for (reference, pem, is_trust), users in shown.items())


@dataclass(frozen=True)
class _Read:
    """What a certificate says, as far as it matters here."""

    fingerprint: str
    subject: str
    not_before: datetime
    not_after: datetime


# The same certificates are looked at every minute.
@lru_cache(maxsize=4096)
def _read(pem: str) -> tuple[_Read, ...]:
    if not pem:
        return ()
    try:
        found = read_certificates(pem.encode(), "certificate")
    except Refusal:
        return ()  # ours were read when they were taken; what a gateway tells of others may be anything
    return tuple(
        _Read(fingerprint_sha256(one), subject_text(one), one.not_valid_before_utc, one.not_valid_after_utc) for one in found
    )


def _servers(reader: Reader, served: Iterable[_Shown], until: datetime) -> Iterator[Thing]:
    """Certificates that are shown, SNI and those of doors among them; whoever is to renew one is told how."""
    for shown in served:
        if shown.is_trust or not (chain := _read(shown.pem)):
            continue
        leaf = chain[0]
        first = min(chain, key=lambda one: one.not_after)  # clients refuse it once any of its chain has ended
        if first.not_after > until:
            continue
        kept = shown.reference.rpartition("/")[2]
        container = reader.get(CONTAINER, kept)
        name = container.name if container is not None else ""
        is_ours = server_certificates.origin(name)[0] != "brought"
        yield Thing(
            kind="SERVER_CERTIFICATE",
            id=first.fingerprint + (f"/{kept}" if first is not leaf else ""),
            name=leaf.subject if is_ours or not name else f"{name} ({leaf.subject})",
            ends_at=first.not_after,
            counts_from=_renewal(leaf) if is_ours else first.not_before,
            listeners=shown.users[:_LISTENERS],
            way="own server" if is_ours else "server" if first is leaf else "server chain",
            place=f"/console/server-certificates/{kept}",
            detail="" if first is leaf else first.subject,
        )


def _renewal(leaf: _Read) -> datetime:
    """When what we renew ourselves in its last third should have been renewed."""
    return leaf.not_after - (leaf.not_after - leaf.not_before) / 3 + GRACE


def _authorities(reader: Reader, served: Iterable[_Shown], at: datetime, until: datetime) -> Iterator[Thing]:
    """Authorities of ours, imported ones, and CA certificates in files that listeners and pools trust."""
    trusted = _trusted(served)
    for authority in watched.authorities(reader, at - ENDED_FOR, until):
        if authority.cross_of is None or authority.fingerprint_sha256 in trusted:
            users = trusted[authority.fingerprint_sha256][1] if authority.fingerprint_sha256 in trusted else []
            yield _authority(authority, tuple(users))
    ours = watched.known_authorities(reader, trusted)
    for fingerprint, (one, users) in trusted.items():
        if fingerprint not in ours and one.not_after <= until:
            yield Thing(
                kind="AUTHORITY",
                id=fingerprint,
                name=one.subject,
                ends_at=one.not_after,
                counts_from=one.not_before,
                listeners=tuple(users[:_LISTENERS]),
                way="trusted authority",
            )


def _authority(authority: Authority, users: tuple[str, ...]) -> Thing:
    called = authority.name or authority.subject
    ways = {
        "root": (
            "root",
            f"ostiary ca create {quote(f'{called} 2')} && ostiary ca rotate start {quote(called)} {quote(f'{called} 2')}",
        ),
        "intermediate": ("issuing authority", f"ostiary ca roll {quote(called)}"),
        "imported": ("imported authority", "ostiary ca import FILE"),
    }
    way, command = ways[authority.kind]
    return Thing(
        kind="AUTHORITY",
        id=authority.id,
        name=called,
        ends_at=authority.not_after,
        counts_from=authority.not_before,
        listeners=users[:_LISTENERS],
        way=way,
        command=command,
        place=f"/console/authorities/{authority.id}",
    )


def _trusted(served: Iterable[_Shown]) -> dict[str, tuple[_Read, list[str]]]:
    """The CA certificates that are trusted in service, by fingerprint, and by whom."""
    found: dict[str, tuple[_Read, list[str]]] = {}
    for shown in served:
        for one in _read(shown.pem) if shown.is_trust else ():
            users = found.setdefault(one.fingerprint, (one, []))[1]
            users += [user for user in shown.users if user not in users]
    return found


def _lists(reader: Reader, served: Iterable[_Shown], at: datetime) -> Iterator[Thing]:
    """Revocation lists that gateways refuse by, or did until they ended."""
    held = revocations.lists_without_content(reader)
    trusted = _trusted(served)
    for authority in reader.all(AUTHORITY) if held else ():
        current = held.get((authority.id, "complete")) or held.get((authority.id, "set_aside"))
        is_over = authority.revoked_at is not None or authority.cross_of is not None or authority.not_after <= at
        is_idle = authority.kind == "imported" and not authority.status_check.by_list
        if current is None or is_over or is_idle:
            continue
        users = trusted[authority.fingerprint_sha256][1] if authority.fingerprint_sha256 in trusted else []
        yield _list(authority, current, tuple(users))


def _list(authority: Authority, current: RevocationList, users: tuple[str, ...]) -> Thing:
    called = authority.name or authority.subject
    ways = {
        "signed": ("list of ours" if authority.has_key else "list of a key elsewhere", ""),
        "fetched": ("fetched list", f"ostiary ca fetch {quote(called)}"),
        "uploaded": ("uploaded list", f"ostiary ca upload-crl {quote(called)} FILE"),
    }
    way, command = ways[current.source]
    by_itself = current.source == "fetched" or authority.has_key
    # One that ends with its authority cannot be followed by another.
    is_last = current.next_update >= authority.not_after
    return Thing(
        kind="REVOCATION_LIST",
        id=authority.id,
        name=called,
        ends_at=current.next_update,
        half_life=current.next_update if is_last else current.half_life + (LIST_GRACE if by_itself else timedelta(0)),
        listeners=users[:_LISTENERS],
        way=way,
        command=command,
        place=f"/console/authorities/{authority.id}",
    )


def _listed_in_secrets(system: System, reader: Reader, desired: Desired) -> Iterator[Thing]:
    """Revocation lists that an operator put into a secret, for some listeners."""
    users: dict[str, list[str]] = {}
    for each in desired.listeners:
        if each.listener.client_crl_container_ref:
            users.setdefault(each.listener.client_crl_container_ref, []).append(each.listener.name or each.listener.id)
    materials = Materials(reader, system.sealer)
    for reference, names_of_them in users.items():
        try:
            secret_id, payload = materials.secret(reference, "client_crl_container_ref")
        except Refusal:
            continue  # deleted meanwhile
        for issuer, this_update, next_update in _read_lists(payload):
            yield Thing(
                kind="REVOCATION_LIST",
                id=f"{secret_id}/{issuer}",
                name=issuer,
                ends_at=next_update,
                half_life=this_update + (next_update - this_update) / 2,
                listeners=tuple(names_of_them[:_LISTENERS]),
                way="list in a secret",
            )


@lru_cache(maxsize=64)
def _read_lists(payload: bytes) -> tuple[tuple[str, datetime, datetime], ...]:
    """The issuer of each list in a file, when it was made and when it ends. They were read, and limited, when they were taken."""
    end = b"-----END X509 CRL-----"
    lists = (x509.load_pem_x509_crl(part + end) for part in payload.split(end)[:-1])
    return tuple((name_text(one.issuer), one.last_update_utc, one.next_update_utc) for one in lists if one.next_update_utc)


def _signers(system: System, reader: Reader, at: datetime, until: datetime) -> Iterator[Thing]:
    """Who answers OCSP, where a new one cannot be had for the asking: its authority's key is in a token, or elsewhere."""
    if not system.public_url:
        return  # nobody is told to ask
    for authority_id, not_after in watched.signers(reader).items():
        authority = reader.get(AUTHORITY, authority_id)
        if authority is None or authority.revoked_at is not None or not at - ENDED_FOR < not_after <= until:
            continue
        if authority.has_key and authority.custody == "file":
            continue
        yield Thing(
            kind="OCSP_SIGNER",
            id=authority_id,
            name=authority.name or authority.subject,
            ends_at=not_after,
            counts_from=not_after - RENEW_SIGNER + GRACE,
            way="ocsp signer",
            place=f"/console/authorities/{authority_id}",
        )


def _exceptions(reader: Reader, at: datetime, until: datetime) -> Iterator[Thing]:
    found = watched.exceptions(reader, at - ENDED_FOR, until)
    called = names.of(reader, LISTENER, sorted({one.listener_id for one in found}))
    for one in found:
        yield Thing(
            kind="ACCESS_EXCEPTION",
            id=one.id,
            name=one.name,
            ends_at=one.not_after,
            counts_from=one.updated_at or one.created_at,
            ends_quietly=True,
            owner=one.owner,
            listeners=(called.get(one.listener_id) or one.listener_id,),
            way="exception",
            place=f"/console/access/exceptions/{one.id}/edit",
        )


def _tokens(reader: Reader, at: datetime, until: datetime) -> Iterator[Thing]:
    for one in watched.access_tokens(reader, at - ENDED_FOR, until):
        yield Thing(
            kind="ACCESS_TOKEN",
            id=one.id,
            name=one.name or one.id,
            ends_at=one.expires_at,
            counts_from=one.created_at,
            ends_quietly=True,
            owner=one.created_by,
            way="token",
            command=f"ostiary token create --role {one.role} --name {quote(one.name)}",
            place=f"/console/people/tokens/{one.id}",
        )


def _alarms(system: System) -> Iterator[Thing]:
    """What gateways say now (`ops.alarms`)."""
    raised = alarms.raised(system, SYSTEM)
    if raised.no_gateway:
        yield Thing(kind="GATEWAY", id="none", name="", way="no gateway", place="/console/gateways")
    for gateway_id in raised.short_of_memory:
        yield Thing(kind="GATEWAY", id=f"{gateway_id}/memory", name=gateway_id, way="short of memory", place="/console/gateways")
    with system.store.read() as reader:
        called = names.of(reader, LISTENER, [*raised.refusing, *raised.allowing])
    for one in raised.refusing:
        yield _listener(one, called.get(one) or one, "lists ended, refusing")
    for one in raised.allowing:
        yield _listener(one, called.get(one) or one, "lists ended, allowing")
    for emergency in raised.emergencies:
        yield Thing(
            kind="BREAK_GLASS",
            id=emergency.id,
            name=emergency.begun_by,
            owner=emergency.begun_by,
            way="break-glass",
            place=f"/console/break-glass/{emergency.id}",
            detail=emergency.reason,
        )
    for refused in raised.refused:
        yield _listener(refused.listener_id, refused.name, "listener refused", refused.why[:_WORDS])


def _listener(listener_id: str, name: str, way: str, detail: str = "") -> Thing:
    return Thing(
        kind="LISTENER",
        id=f"{listener_id}/{way}",
        name=name,
        severity="WARNING" if way == "lists ended, allowing" else "CRITICAL",
        listeners=(name,),
        way=way,
        place=f"/console/listeners/{listener_id}",
        detail=detail,
    )


def _requests(reader: Reader, at: datetime) -> Iterator[Thing]:
    """Certificate requests, and all else, that wait for somebody's word."""
    for request_id, name, asked_by in watched.waiting_requests(reader, at, _REQUESTS):
        yield Thing(
            kind="APPROVAL",
            id=request_id,
            name=name,
            severity="WARNING",
            owner=asked_by,
            way="request",
            command=f"ostiary request approve {request_id}",
            place=f"/console/requests/{request_id}",
        )
    for approval in watched.waiting_approvals(reader, at, _REQUESTS):
        yield Thing(
            kind="APPROVAL",
            id=approval.id,
            name=approval.name or approval.action,
            severity="WARNING",
            owner=approval.requested_by,
            way="approval",
            command=f"ostiary approval approve {approval.id}",
            place=f"/console/approvals/{approval.id}",
            detail=approval.justification,
        )


def _targets(reader: Reader, at: datetime) -> Iterator[Thing]:
    """Targets to which nothing has got through for a while."""
    standings: Mapping[str, Standing] = notifications.standings(reader)
    for target in reader.all(NOTIFICATION_TARGET):
        since = standings.get(target.id, Standing()).failing_since
        if target.enabled and since is not None and at - since >= FAILING_FOR:
            yield Thing(
                kind="NOTIFICATION_TARGET",
                id=target.id,
                name=target.name,
                severity="WARNING",
                way="target",
                command=f"ostiary notify test {quote(target.name)}",
                place=f"/console/notifications/{target.id}",
                detail=standings[target.id].last_error[:_WORDS],
            )
