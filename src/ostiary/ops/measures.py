"""What a monitoring system is told of the whole: the configuration, the record, authorities, clients, refusals, gateways, work.

Each part is a function in `PARTS`. What is on record is read there, so that replicas agree; what this process counts is in its
`Meters`. docs/monitoring.md describes each metric; a test compares it with a real scrape.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from typing import Final

from ostiary.measuring import OTHER, Family, counter, gauge, info
from ostiary.model.denial import Total
from ostiary.ops import break_glass, gateway_measures, watching
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import denials, heads, measured, sightings
from ostiary.store.store import Reader

MOST_KINDS: Final = 1000  # of refusals that are told apart; a monitoring system keeps a series of each


@dataclass(frozen=True)
class Moment:
    """What the parts read from: one moment of the database, and what is in memory. `listeners` are their names, by id."""

    system: System
    reader: Reader
    at: datetime

    @cached_property
    def listeners(self) -> dict[str, str]:
        """The name of each listener, by its id."""
        return measured.listeners(self.reader)


Part = Callable[[Moment], Iterable[Family]]


def measures(system: System, caller: Caller) -> tuple[Family, ...]:
    """All of it, as of one moment."""
    caller.must("metrics:read")
    with system.store.read() as reader:
        moment = Moment(system, reader, system.clock())
        return tuple(family for part in PARTS for family in part(moment))


def _configuration(moment: Moment) -> Iterator[Family]:
    yield info("ostiary_build", "The version that runs.", version=version("ostiary"))
    yield gauge("ostiary_revision", "Number of the newest revision of the configuration.", moment.reader.revision())
    sequence = moment.reader.status_sequence()
    yield gauge("ostiary_status_sequence", "How often revocations and lists have changed.", sequence)
    names = moment.listeners
    listeners = tuple(((one, names[one]), 1.0) for one in sorted(names))
    yield Family("ostiary_listener", "info", "Listeners there are.", ("listener", "listener_name"), listeners)


def _record(moment: Moment) -> Iterator[Family]:
    number, at = measured.last_entry(moment.reader)
    yield counter("ostiary_audit_entries", "Entries of the record since it began.", number)
    words = "When the last entry of the record was made, in seconds since 1970; 0 before the first."
    yield gauge("ostiary_audit_last_entry_timestamp_seconds", words, at.timestamp() if at else 0)
    head = heads.last(moment.reader)
    signed = "Entries of the record that a signed head stands for."
    yield gauge("ostiary_audit_entries_signed", signed, head.sequence if head else 0)
    words = "When the last head of the record was signed, in seconds since 1970; 0 before the first."
    yield gauge("ostiary_audit_head_signed_timestamp_seconds", words, head.at.timestamp() if head else 0)
    backup = measured.last_backup(moment.reader)
    words = "When the last backup was finished, in seconds since 1970; 0 before the first, and where the record begins later."
    yield gauge("ostiary_backup_last_timestamp_seconds", words, backup.timestamp() if backup else 0)


def _authorities(moment: Moment) -> Iterator[Family]:
    found, labels = measured.authorities(moment.reader), ("authority", "authority_name")
    ends = tuple(((one.id, one.name), one.not_after.timestamp()) for one in found)
    words = "When a CA certificate that was not revoked ends, in seconds since 1970."
    yield Family("ostiary_authority_expires_timestamp_seconds", "gauge", words, labels, ends)
    signed = tuple(((one.id, one.name), one.list_signed_at.timestamp()) for one in found if one.list_signed_at)
    words = "From when the revocation list of an authority holds, in seconds since 1970."
    yield Family("ostiary_revocation_list_signed_timestamp_seconds", "gauge", words, labels, signed)
    over = tuple(((one.id, one.name), one.list_ends_at.timestamp()) for one in found if one.list_ends_at)
    words = "When the revocation list of an authority ends, in seconds since 1970: from then on its clients are refused."
    yield Family("ostiary_revocation_list_expires_timestamp_seconds", "gauge", words, labels, over)


def _people(moment: Moment) -> Iterator[Family]:
    words = "Emergencies in which somebody does without approval, as of now."
    yield gauge("ostiary_break_glass_active", words, len(break_glass.open_now(moment.system)))
    yield gauge("ostiary_sessions", "People who are signed in to the console.", measured.sessions(moment.reader, moment.at))
    clients, crowded = sightings.count(moment.reader, moment.at)
    yield gauge("ostiary_clients_seen", "Certificates that were let in, at each listener.", clients)
    yield gauge("ostiary_clients_many_addresses", "Of these, those used from many addresses within a day.", crowded)


def _refusals(moment: Moment) -> Iterator[Family]:
    totals = denials.totals(moment.reader)
    names = moment.listeners
    samples = tuple(
        ((one.listener_id, names.get(one.listener_id, ""), one.code, one.stage), float(one.count)) for one in _few(totals)
    )
    yield Family("ostiary_denials", "counter", "Refusals.", ("listener", "listener_name", "code", "stage"), samples)
    forgotten = sum(one.count for one in totals) - denials.kept(moment.reader)
    yield gauge("ostiary_denials_forgotten", "Refusals that are counted, but no longer on record one by one.", forgotten)


def _few(totals: tuple[Total, ...]) -> tuple[Total, ...]:
    """The kinds as they are; what is more than so many listeners' by stage and code alone."""
    joined: dict[tuple[str, str], int] = {}
    for one in totals[MOST_KINDS:]:
        joined[one.stage, one.code] = joined.get((one.stage, one.code), 0) + one.count
    rest = (Total(listener_id=OTHER, stage=stage, code=code, count=count) for (stage, code), count in joined.items())
    return (*totals[:MOST_KINDS], *rest)


def _fleet(moment: Moment) -> Iterator[Family]:
    fleet, meters = moment.system.fleet, moment.system.meters
    yield gauge("ostiary_gateways", "Gateways that were heard of since the control plane started.", len(fleet.gateways()))
    yield gauge("ostiary_gateways_connected", "Gateways that are connected: open xDS streams.", len(fleet.live()))
    words = "Answers of gateways to what they were sent: ack where they took it up, nack where they refused it."
    yield meters.answers.family("ostiary_xds_answers", words)
    words = "Seconds from publishing a configuration until the gateway had acknowledged all of it."
    yield moment.system.effects.acknowledged.family("ostiary_xds_acknowledged_seconds", words)
    words = "Seconds from the commit of a change until it was in force at the gateway."
    yield meters.effect_seconds.family("ostiary_time_to_effect_seconds", words)
    yield from gateway_measures.families(moment.system, moment.listeners)


def _work(moment: Moment) -> Iterator[Family]:
    meters, database = moment.system.meters, moment.system.store.timings
    yield meters.requests.family("ostiary_http_requests", "Requests to the API and the console, by route and class of status.")
    yield meters.request_seconds.family("ostiary_http_request_duration_seconds", "Seconds that a request took.")
    yield meters.changes.family("ostiary_changes", "Things that were changed, by what the record calls it.")
    yield meters.issued.family("ostiary_certificates_issued", "Certificates issued, by how: issue, enroll, approve, renew.")
    yield meters.revoked.family("ostiary_certificates_revoked", "Certificates revoked or put on hold, by reason.")
    yield meters.lists_signed.family("ostiary_revocation_lists_signed", "Revocation lists and deltas signed.")
    yield meters.build_seconds.family("ostiary_snapshot_build_seconds", "Seconds to read and translate the configuration.")
    yield meters.publish_seconds.family("ostiary_snapshot_publish_seconds", "Seconds to hand a configuration to all streams.")
    yield meters.chores_failed.family("ostiary_chores_failed", "Chores that failed and are tried again.")
    yield database.transactions.family(
        "ostiary_database_transaction_seconds", "Seconds of a writing transaction, from waiting for its turn to its end."
    )
    yield database.commits.family("ostiary_database_commit_seconds", "Seconds of a commit alone.")
    yield database.batches.family("ostiary_database_batch_size", "How many facts shared a transaction.")
    yield database.unavailable.family("ostiary_database_unavailable", "How often the database did not answer.")


def _traces(moment: Moment) -> Iterator[Family]:
    meters = moment.system.meters
    yield meters.spans_sent.family("ostiary_spans_sent", "Spans that a collector took; none where none was set up.")
    yield meters.spans_dropped.family("ostiary_spans_dropped", "Spans that no collector took: it did not answer, or not in time.")


def _watch(moment: Moment) -> Iterator[Family]:
    counted = watching.counts(moment.system)
    ends = tuple(((kind.lower(), str(days)), float(count)) for (kind, days), count in sorted(counted.expiring.items()))
    words = "What ends, by kind and by the last threshold of days that it passed; within 0 days is what has ended."
    yield Family("ostiary_expiring", "gauge", words, ("kind", "within_days"), ends)
    fresh = tuple(((one.authority_id, one.authority), one.ratio) for one in counted.freshness)
    words = "How much of a revocation list's life is left: 1 when it is new, 0 once it has ended."
    yield Family("ostiary_crl_freshness_ratio", "gauge", words, ("authority", "authority_name"), fresh)
    yield gauge("ostiary_notifications_waiting", "Notifications that wait to be taken.", counted.waiting)
    failed = tuple(((name,), float(count)) for name, count in sorted(counted.failed.items()))
    yield Family("ostiary_notifications_failed", "counter", "Notifications that were given up.", ("target",), failed)


# Whoever has something to tell adds a function here.
PARTS: Final[tuple[Part, ...]] = (_configuration, _record, _authorities, _people, _refusals, _fleet, _work, _traces, _watch)
