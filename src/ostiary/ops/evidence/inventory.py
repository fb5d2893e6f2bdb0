"""Which certificates, authorities and server certificates there were at the end of the period, and how each stood."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ostiary.model.authority import Authority
from ostiary.model.revocation import HOLD
from ostiary.ops import served
from ostiary.ops.evidence.section import Column, Row, Rows, Scope, Section, earlier, paged, some
from ostiary.ops.served import ServerCertificate
from ostiary.pki.presented import Presented
from ostiary.store import evidence
from ostiary.store.evidence import Link, Position
from ostiary.store.kinds import AUTHORITY, CONTAINER, LISTENER
from ostiary.store.rows import public
from ostiary.store.store import AuditRow, Reader
from ostiary.store.then import Then


def status(document: Mapping[str, Any], at: datetime) -> str:
    """REVOKED, ON_HOLD, EXPIRED, NOT_YET_VALID or VALID, as `ops.certificates.status` tells it of now."""
    if document.get("revoked_at"):
        return "ON_HOLD" if document.get("revocation_reason") == HOLD else "REVOKED"
    if at > datetime.fromisoformat(document["not_after"]):
        return "EXPIRED"
    return "NOT_YET_VALID" if at < datetime.fromisoformat(document["not_before"]) else "VALID"


def certificates_then(
    reader: Reader, scope: Scope, last: tuple[datetime, str] | None
) -> list[tuple[dict[str, Any], list[AuditRow]]]:
    """A page of certificates as they were at the end of the period, each with the entries about it since its issuance."""
    page = evidence.certificates(reader, scope.until, scope.since, last)
    entries = evidence.about(reader, [one.id for one in page], upto=scope.head.sequence)
    found = []
    for one in page:
        its = entries.get(one.id, [])
        found.append((earlier(public(one), _after(its, scope.end)), its))
    return found


def each_certificate(scope: Scope) -> Iterator[list[tuple[dict[str, Any], list[AuditRow]]]]:
    """All of them, page by page."""
    last: tuple[datetime, str] | None = None
    while True:
        with scope.system.store.read() as reader:
            page = certificates_then(reader, scope, last)
        if not page:
            return
        yield page
        newest = page[-1][0]
        last = datetime.fromisoformat(newest["created_at"]), newest["id"]


def names_of_authorities(scope: Scope) -> dict[str, Authority]:
    """The authorities of the end of the period, by id."""
    with scope.system.store.read() as reader:
        return {one.id: one for one in Then(reader, scope.end).all(AUTHORITY)}


def _after(entries: list[AuditRow], position: Position) -> list[AuditRow]:
    return [one for one in entries if one.sequence > position.sequence]


def _upto(entries: list[AuditRow], position: Position) -> tuple[Link, ...]:
    return some(Link(one.sequence, one.hash) for one in entries if one.sequence <= position.sequence)


def _certificates(scope: Scope) -> Rows:
    authorities = names_of_authorities(scope)
    for page in each_certificate(scope):
        yield tuple(_certificate(scope, authorities, document, entries) for document, entries in page)


def _certificate(scope: Scope, authorities: Mapping[str, Authority], document: Mapping[str, Any], entries: list[AuditRow]) -> Row:
    issuer = authorities.get(document["authority_id"])
    was_there = datetime.fromisoformat(document["created_at"]) < scope.since
    at_start = earlier(document, _after(entries, scope.start)) if was_there else None
    names = ("id", "subject", "sans", "profile", "owner", "groups", "serial", "fingerprint_sha256", "key_sha256")
    times = ("not_before", "not_after", "created_at", "revoked_at", "revocation_reason")
    values = {
        **{name: document.get(name) for name in (*names, *times)},
        "issuer": issuer.subject if issuer is not None else document["authority_id"],
        "status": status(document, scope.until),
        "status_at_start": "" if at_start is None else status(at_start, scope.since),
    }
    return Row(values, _upto(entries, scope.end))


def _authorities(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        then, before = Then(reader, scope.end), Then(reader, scope.start)
        links = evidence.links(reader, [one.id for one in then.all(AUTHORITY)], scope.end.sequence)
        trusted: dict[str, list[str]] = {}
        for listener in then.all(LISTENER):
            if listener.client_ca_tls_container_ref:
                trusted.setdefault(listener.client_ca_tls_container_ref.rpartition("/")[2], []).append(listener.name)
        known = {one.id: one for one in then.all(AUTHORITY)}
        rows = [
            _authority(
                scope, one, known, trusted.get(one.id, []), at_start=before.get(AUTHORITY, one.id), its=links.get(one.id, ())
            )
            for one in known.values()
        ]
    yield from paged(rows)


def _authority(
    scope: Scope,
    one: Authority,
    known: Mapping[str, Authority],
    trusted_by: list[str],
    *,
    at_start: Authority | None,
    its: tuple[Link, ...],
) -> Row:
    parent = known.get(one.parent_id or "")
    values = {
        **{
            name: getattr(one, name)
            for name in ("id", "name", "kind", "subject", "fingerprint_sha256", "not_before", "not_after")
        },
        "issuer": parent.subject if parent is not None else (one.subject if one.kind == "root" else ""),
        "key": one.key or "",
        "trusted_by": trusted_by,
        "revocation_check": one.status_check.revocation_check if one.kind == "imported" else "our own lists",
        "revoked_at": one.revoked_at,
        "status": status(public(one), scope.until),
        "status_at_start": "" if at_start is None else status(public(at_start), scope.since),
    }
    return Row(values, some(its))


def _server_certificates(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        then = Then(reader, scope.end)
        uses: dict[str, list[str]] = {}
        for listener in then.all(LISTENER):
            for text in (listener.default_tls_container_ref, *listener.sni_container_refs):
                if text:
                    uses.setdefault(text.rpartition("/")[2], []).append(listener.name or listener.id)
        containers = {one.id: one for one in then.all(CONTAINER)}
        wanted = dict.fromkeys((*containers, *uses))
        entries = evidence.about(reader, wanted, upto=scope.head.sequence)
        names = {one: containers[one].name if one in containers else "" for one in wanted}
    now = {one.id: one for one in served.referred(scope.system, scope.caller, [f"/v1/containers/{one}" for one in wanted])}
    now |= {
        one.id: one
        for one in served.referred(scope.system, scope.caller, [f"/v1/secrets/{one}" for one in wanted if one not in now])
    }
    yield from paged(
        _server_certificate(scope, one, names[one], uses.get(one, []), now.get(one), entries.get(one, [])) for one in wanted
    )


def _server_certificate(
    scope: Scope, one: str, name: str, used_by: list[str], now: ServerCertificate | None, entries: list[AuditRow]
) -> Row:
    content = now.content if now is not None else None
    values = {
        "id": one,
        "name": name or (now.name if now is not None else ""),
        "used_by": used_by,
        **_content(content),
        "known": _how_known(now, entries, scope),
        "status": "" if content is None else ("EXPIRED" if scope.until > content.not_after else "VALID"),
    }
    return Row(values, _upto(entries, scope.end))


def _how_known(now: ServerCertificate | None, entries: list[AuditRow], scope: Scope) -> str:
    """What the record has of it is its name: its bytes are private, and are read as they are now."""
    if now is None:
        return "it was deleted since; its content is not on record"
    if now.content is None:
        return f"it cannot be read: {now.problem}"
    return "it was renewed since; this is what it holds now" if _after(entries, scope.end) else "as it is now"


def _content(content: Presented | None) -> dict[str, Any]:
    names = ("subject", "issuer", "names", "not_before", "not_after", "key", "serial", "fingerprint_sha256")
    return {name: "" if content is None else getattr(content, name) for name in names}


CERTIFICATES: Final = Section(
    "certificates",
    "Certificates issued here",
    "Every certificate that was issued before the end of the period and whose time was not over before it began: who holds it, "
    "for what, until when, and how it stood at the end and at the beginning of the period.",
    "The database, taken back to the end of the period by the entries of the record about each certificate since.",
    (
        Column("subject", "Subject"),
        Column("sans", "Other names"),
        Column("owner", "Holder"),
        Column("groups", "Groups"),
        Column("profile", "Use (profile)"),
        Column("issuer", "Issuer"),
        Column("serial", "Serial"),
        Column("not_before", "Valid from", wide=True),
        Column("not_after", "Expires"),
        Column("status", "Status at the end"),
        Column("status_at_start", "Status at the beginning"),
        Column("revoked_at", "Revoked", wide=True),
        Column("revocation_reason", "Reason", wide=True),
        Column("created_at", "Issued", wide=True),
        Column("fingerprint_sha256", "SHA-256", wide=True),
        Column("key_sha256", "SHA-256 of the key", wide=True),
        Column("id", "Id", wide=True),
    ),
    _certificates,
)
AUTHORITIES: Final = Section(
    "authorities",
    "CA certificates",
    "Every CA certificate that was in the system at the end of the period, what it was trusted for, and how it stood.",
    "The database, taken back to the end of the period by the history of the configuration.",
    (
        Column("name", "Name"),
        Column("kind", "Kind"),
        Column("subject", "Subject"),
        Column("issuer", "Issuer"),
        Column("key", "Key"),
        Column("not_before", "Valid from", wide=True),
        Column("not_after", "Expires"),
        Column("trusted_by", "Client CA of"),
        Column("revocation_check", "How revocation is learned"),
        Column("status", "Status at the end"),
        Column("status_at_start", "Status at the beginning"),
        Column("revoked_at", "Revoked", wide=True),
        Column("fingerprint_sha256", "SHA-256", wide=True),
        Column("id", "Id", wide=True),
    ),
    _authorities,
)
SERVER_CERTIFICATES: Final = Section(
    "server-certificates",
    "Server certificates",
    "The certificates that listeners showed at the end of the period, and others kept for that: issuer, expiry, and which "
    "listeners used them.",
    "Which there were is taken from the history of the configuration. What is in them is read now: their bytes are private and "
    "not on record. The column “As of” says where that may differ.",
    (
        Column("name", "Name"),
        Column("subject", "Subject"),
        Column("names", "Names"),
        Column("issuer", "Issuer"),
        Column("key", "Key"),
        Column("not_before", "Valid from", wide=True),
        Column("not_after", "Expires"),
        Column("status", "Status at the end"),
        Column("used_by", "Used by"),
        Column("known", "As of"),
        Column("serial", "Serial", wide=True),
        Column("fingerprint_sha256", "SHA-256", wide=True),
        Column("id", "Id", wide=True),
    ),
    _server_certificates,
)
