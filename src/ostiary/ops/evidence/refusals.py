"""Who was refused in the period, for which reason and where; and which certificates were used from several addresses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ostiary.access.words import FIXES
from ostiary.model.denial import LONGEST_KEPT, MOST, DenialQuery
from ostiary.model.sighting import MANY_ADDRESSES
from ostiary.ops.evidence.section import Column, Row, Rows, Scope, Section, paged
from ostiary.store import denials, evidence
from ostiary.store.kinds import LISTENER
from ostiary.store.then import Then

_TLS_FAILED: Final = "tls_failed"


def _by_reason(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        names = _names(Then(reader, scope.start)) | _names(Then(reader, scope.end))
        counts = evidence.refusals_by_code(reader, scope.since, scope.until)
    yield from paged(
        Row(
            {
                "listener": names.get(listener_id, listener_id),
                "code": code,
                "count": count,
                "what": "no certificate's fault: scans, broken clients" if code == _TLS_FAILED else FIXES.get(code, ""),
                "listener_id": listener_id,
            }
        )
        for listener_id, code, count in counts
    )


def _refusals(scope: Scope) -> Rows:
    query = DenialQuery(since=scope.since, until=scope.until, limit=evidence.PAGE)
    while True:
        with scope.system.store.read() as reader:
            page, more = denials.find(reader, query, apart=(_TLS_FAILED,))
        if page:
            yield tuple(_refusal(one) for one in page)
        if not more:
            return
        query = query.model_copy(update={"marker": (page[-1].last, page[-1].id)})


def _refusal(one: Any) -> Row:
    example = one.example
    return Row(
        {
            "first": one.first,
            "last": one.last,
            "count": one.count,
            "listener": one.listener_name or one.listener_id,
            "stage": one.stage,
            "code": one.code,
            "subject": example.subject if example else "many clients, summed",
            "client": example.client if example else "",
            "addresses": one.addresses,
            "asked_for": f"{example.method} {example.host}{example.path}".strip() if example else "",
            "rule_id": one.rule_id or "",
            "serial": example.serial if example else "",
            "fingerprint_sha256": example.fingerprint_sha256 if example else "",
            "certificate_id": one.certificate_id or "",
        }
    )


def _shared(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        names = _names(Then(reader, scope.end))
    last: tuple[str, str] | None = None
    while True:
        with scope.system.store.read() as reader:
            page = evidence.seen_from_many(reader, scope.since, scope.until, last)
        if not page:
            return
        yield tuple(_seen(one, names) for one in page)
        last = page[-1]["fingerprint_sha256"], page[-1]["listener_id"]


def _seen(one: Mapping[Any, Any], names: Mapping[str, str]) -> Row:
    places = one["places"]
    crowded: datetime | None = one["crowded_at"]
    return Row(
        {
            "subject": one["subject"],
            "issuer": one["issuer"],
            "listener": names.get(one["listener_id"], one["listener_id"]),
            "address_count": one["address_count"],
            "alarm": "" if crowded is None else f"{crowded.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "addresses": tuple(sorted(places, key=lambda place: (places[place], place), reverse=True)),
            "first_seen": one["first_seen"],
            "last_seen": one["last_seen"],
            "requests": one["requests"],
            "serial": one["serial"],
            "fingerprint_sha256": one["fingerprint_sha256"],
        }
    )


def _names(then: Then) -> dict[str, str]:
    return {one.id: one.name or one.id for one in then.all(LISTENER)}


_TOLD: Final = "What gateways told. It is kept in the database and is not part of the record, so there are no entries to lead to."

BY_REASON: Final = Section(
    "refusals-by-reason",
    "Refusals by listener and reason",
    "How many handshakes and requests each listener refused in the period, by the reason's code. Counted by the gateways, in "
    "whole hours where it is more than two days ago. That somebody looked at them is under “Reviews”.",
    f"{_TOLD} Counts are kept for 400 days.",
    (
        Column("listener", "Listener"),
        Column("code", "Reason"),
        Column("count", "How many"),
        Column("what", "What it means"),
        Column("listener_id", "Listener's id", wide=True),
    ),
    _by_reason,
)
REFUSALS: Final = Section(
    "refusals",
    "Refusals one by one",
    "Who was refused: one row for what is alike within an hour. The names are those in the certificate that was shown; where the "
    "reason is that it could not be verified, they are claims and nothing more.",
    f"{_TOLD} Rows are kept for {LONGEST_KEPT.days} days and no more than {MOST:,} of them: of what is older there are "
    "the counts above. Access logs of the gateways, shipped to your own log store, have each request.",
    (
        Column("first", "First", wide=True),
        Column("last", "Last"),
        Column("count", "How many"),
        Column("listener", "Listener"),
        Column("stage", "At the", wide=True),
        Column("code", "Reason"),
        Column("subject", "Subject shown"),
        Column("client", "Address"),
        Column("addresses", "Addresses", wide=True),
        Column("asked_for", "Asked for"),
        Column("rule_id", "Rule", wide=True),
        Column("serial", "Serial", wide=True),
        Column("fingerprint_sha256", "SHA-256", wide=True),
        Column("certificate_id", "Certificate", wide=True),
    ),
    _refusals,
)
SHARED: Final = Section(
    "shared-certificates",
    "Certificates used from several addresses",
    "Certificates that were seen in the period and used from more than one address since they were first seen. From more than "
    f"{MANY_ADDRESSES} within a day there is an alarm, and the column says when it last was. Several addresses may be one person "
    "with a laptop; one address may be several people. It is a sign, no proof, that a factor is shared.",
    _TOLD,
    (
        Column("subject", "Subject"),
        Column("issuer", "Issuer", wide=True),
        Column("listener", "Listener"),
        Column("address_count", "Addresses seen"),
        Column("alarm", "Alarm"),
        Column("addresses", "The last of them"),
        Column("requests", "Requests"),
        Column("first_seen", "First seen", wide=True),
        Column("last_seen", "Last seen"),
        Column("serial", "Serial", wide=True),
        Column("fingerprint_sha256", "SHA-256", wide=True),
    ),
    _shared,
)
