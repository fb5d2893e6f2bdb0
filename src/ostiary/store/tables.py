"""The tables. A column is what SQL must enforce or search; all other fields are in `document`: a new knob needs no migration."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


class UTCDateTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite forgets the zone; this gives it back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """What reads one. SQLite's are texts without a zone: read at once, a page of a thousand rows takes a fifth less."""
        return _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


class TextList(TypeDecorator[tuple[str, ...]]):
    """A list of words as JSON text, so that `'"word"' in column` can be asked in any SQL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str:
        return json.dumps(list(value or ()), ensure_ascii=False)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> tuple[str, ...]:
        return tuple(json.loads(value or "[]"))


Document = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _resource(name: str, *columns: Any) -> Table:
    """A table of resources: what every one of them has, and what this kind adds."""
    return Table(
        name,
        metadata,
        Column("id", String(36), primary_key=True),
        Column("project_id", String(255), nullable=False),
        Column("name", String(255), nullable=False, index=True),
        Column("revision", BigInteger, nullable=False),
        Column("created_at", UTCDateTime, nullable=False),
        Column("updated_at", UTCDateTime),
        *columns,
        Column("document", Document, nullable=False),
        Index(f"ix_{name}_created_at_id", "created_at", "id"),
    )


load_balancers = _resource(
    "load_balancers",
    Column("vip_address", String(64), nullable=False),
    Column("tags", TextList, nullable=False),
)
pools = _resource(
    "pools",
    Column("loadbalancer_id", ForeignKey("load_balancers.id"), nullable=False, index=True),
    Column("tags", TextList, nullable=False),
)
listeners = _resource(
    "listeners",
    Column("loadbalancer_id", ForeignKey("load_balancers.id"), nullable=False, index=True),
    Column("address", String(64), nullable=False),  # the balancer's, so that the database itself refuses a port taken twice
    Column("protocol", String(32), nullable=False),
    Column("protocol_port", Integer, nullable=False),
    Column("default_pool_id", ForeignKey("pools.id"), index=True),
    Column("tags", TextList, nullable=False),
    UniqueConstraint("address", "protocol_port"),
)
members = _resource(
    "members",
    Column("pool_id", ForeignKey("pools.id"), nullable=False, index=True),
    Column("address", String(64), nullable=False),
    Column("protocol_port", Integer, nullable=False),
    Column("tags", TextList, nullable=False),
    UniqueConstraint("pool_id", "address", "protocol_port"),
)
health_monitors = _resource(
    "health_monitors",
    Column("pool_id", ForeignKey("pools.id"), nullable=False, unique=True),
    Column("tags", TextList, nullable=False),
)
access_rules = _resource(
    "access_rules",
    Column("listener_id", ForeignKey("listeners.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
)
access_exceptions = _resource(
    "access_exceptions",
    Column("listener_id", ForeignKey("listeners.id"), nullable=False, index=True),
    Column("not_after", UTCDateTime, nullable=False),
)
secrets = _resource("secrets", Column("payload", LargeBinary, nullable=False))
containers = _resource("containers")
authorities = _resource(
    "authorities",
    Column("parent_id", ForeignKey("authorities.id"), index=True),
    Column("series_id", String(36), nullable=False, index=True),  # of the first issuing CA under this name
    Column("fingerprint_sha256", String(64), nullable=False, unique=True),
    Column("not_after", UTCDateTime, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
)
certificates = _resource(
    "certificates",
    Column("authority_id", ForeignKey("authorities.id"), nullable=False),
    Column("serial", String(40), nullable=False, index=True),
    Column("fingerprint_sha256", String(64), nullable=False, unique=True),
    Column("key_sha256", String(64), nullable=False, index=True),
    Column("profile", String(255), nullable=False),
    Column("subject", Text, nullable=False),
    Column("owner", String(255), nullable=False, index=True),
    Column("groups", TextList, nullable=False),
    Column("not_after", UTCDateTime, nullable=False, index=True),
    Column("revoked_at", UTCDateTime),
    Column("last_seen", UTCDateTime),
    Column("replaces", String(36)),  # the certificate it renewed
    UniqueConstraint("authority_id", "serial"),
    # As lists are shown: of one authority, oldest first, without sorting all that it signed.
    Index("ix_certificates_authority_id_created_at_id", "authority_id", "created_at", "id"),
    # What most do not have. The smaller index is one thing; the other is that SQLite takes "is null" in a whole one for rare.
    *(
        Index(
            f"ix_certificates_{name}",
            name,
            sqlite_where=text(f"{name} IS NOT NULL"),
            postgresql_where=text(f"{name} IS NOT NULL"),
        )
        for name in ("revoked_at", "last_seen", "replaces")
    ),
    Index("ix_certificates_updated_at", "updated_at"),
    Index(
        "ix_certificates_revoked_profile",
        "profile",
        sqlite_where=text("revoked_at IS NOT NULL"),
        postgresql_where=text("revoked_at IS NOT NULL"),
    ),
    Index(
        "ix_certificates_project_id",
        "project_id",
        sqlite_where=text("project_id != ''"),
        postgresql_where=text("project_id != ''"),
    ),
    # And by what is in the document, and by when they were last seen, or made: ix_certificates_not_before, _reason and
    # _seen_or_made (migration 0019); each database writes that in its own way. Where it can, by words (`store.words`).
    # Counts what is in force by when it ends, without touching a row: for a picture, of a million certificates too.
    Index(
        "ix_certificates_live",
        "profile",
        "not_after",
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)
profiles = _resource("profiles", UniqueConstraint("name"))
certificate_requests = _resource(
    "certificate_requests",
    Column("status", String(16), nullable=False, index=True),
    Column("authority_id", ForeignKey("authorities.id"), nullable=False, index=True),
    Column("profile", String(255), nullable=False),
    Column("requested_by", String(255), nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
)
tokens = _resource(
    "tokens",
    Column("kind", String(16), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)
users = _resource("users", UniqueConstraint("name"))
sessions = _resource(
    "sessions",
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("seen_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
)
sign_in_links = _resource(
    "sign_in_links",
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("expires_at", UTCDateTime, nullable=False),
)
house_settings = _resource("house_settings")
reviews = _resource(
    "reviews",
    Column("subject", String(16), nullable=False, index=True),
    Column("until", UTCDateTime, nullable=False),
)
approvals = _resource(
    "approvals",
    Column("status", String(16), nullable=False, index=True),
    Column("requested_by", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False, index=True),
    Column("expires_at", UTCDateTime, nullable=False),
)
break_glasses = _resource(
    "break_glasses",
    Column("state", String(16), nullable=False, index=True),
    Column("begun_by", String(255), nullable=False),
    Column("ends_at", UTCDateTime, nullable=False),
)
rotations = _resource(
    "rotations",
    Column("from_series_id", String(36), nullable=False, index=True),
    Column("to_series_id", String(36), nullable=False),
    Column("state", String(16), nullable=False, index=True),
)

notification_targets = _resource(
    "notification_targets",
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("name"),
)
# What each target was told and still holds, by warning; what it is to be told, in order; and how far it is.
told_warnings = Table(
    "told_warnings",
    metadata,
    Column("target_id", ForeignKey("notification_targets.id"), primary_key=True),
    Column("warning_id", String(64), primary_key=True),
    Column("rank", Integer, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("document", Document, nullable=False),  # the warning as it was told
)
notifications = Table(
    "notifications",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("target_id", ForeignKey("notification_targets.id"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # WAITING, SENT, DEAD
    Column("created_at", UTCDateTime, nullable=False),
    Column("next_at", UTCDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("error", Text),
    Column("finished_at", UTCDateTime),
    UniqueConstraint("target_id", "sequence"),
    Index("ix_notifications_state", "state", "target_id", "sequence"),
)
notification_marks = Table(
    "notification_marks",
    metadata,
    Column("target_id", ForeignKey("notification_targets.id"), primary_key=True),
    Column("digest_at", UTCDateTime),  # when it was last told what was gathered
    Column("audit_sequence", BigInteger, nullable=False),  # up to here it was told what is on record
    Column("failing_since", UTCDateTime),
    Column("given_up", BigInteger, nullable=False),  # messages, ever
)

# What authorities say of certificates, and what gateways saw of them: facts, many of them, none with a history of its own.
revocations = Table(
    "revocations",
    metadata,
    Column("authority_id", ForeignKey("authorities.id"), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # of head.status_sequence when it was last changed
    Column("fingerprint_sha256", String(64), nullable=False, index=True),
    Column("revoked_at", UTCDateTime, nullable=False, index=True),
    Column("reason", String(32), nullable=False),  # removeFromCRL: it was on hold and is released
    Column("invalidity_date", UTCDateTime),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("entry", LargeBinary, nullable=False),  # as it stands in a revocation list, DER
    Index("ix_revocations_authority_id_sequence", "authority_id", "sequence"),
    Index(
        "ix_revocations_held",
        "fingerprint_sha256",
        sqlite_where=text("reason = 'certificateHold'"),
        postgresql_where=text("reason = 'certificateHold'"),
    ),
)
crls = Table(
    "crls",
    metadata,
    Column("authority_id", ForeignKey("authorities.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),  # complete, delta
    Column("number", String(50), nullable=False),  # decimal; RFC 5280 allows 20 octets
    Column("this_update", UTCDateTime, nullable=False),
    Column("next_update", UTCDateTime, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # the last revocation it takes account of
    Column("entries", Integer, nullable=False),
    Column("source", String(16), nullable=False),  # signed, uploaded, fetched
    Column("url", Text),
    Column("base_number", String(50)),  # of the complete list that a delta adds to
    Column("base_sequence", BigInteger),
    Column("der", LargeBinary, nullable=False),
)
ocsp_signers = Table(
    "ocsp_signers",
    metadata,
    Column("authority_id", ForeignKey("authorities.id"), primary_key=True),
    Column("certificate", Text, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
)
idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", String(255), primary_key=True),
    Column("key_sha256", String(64), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("resource_id", String(36), nullable=False),
    Column("at", UTCDateTime, nullable=False, index=True),
    Column("sealed_reply", LargeBinary),
)
sightings = Table(
    "sightings",
    metadata,
    Column("fingerprint_sha256", String(64), primary_key=True),
    Column("listener_id", String(36), primary_key=True),
    Column("serial", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("not_after", UTCDateTime, index=True),
    Column("certificate", Text),  # PEM, where a gateway told it
    Column("first_seen", UTCDateTime, nullable=False),
    Column("last_seen", UTCDateTime, nullable=False, index=True),
    Column("requests", BigInteger, nullable=False),
    Column("places", Document, nullable=False),  # address or network → when somebody was last seen there
    Column("address_count", BigInteger, nullable=False),
    # When the certificate was last used from so many places that one more is too many; it is, for a day from then.
    Column("crowded_at", UTCDateTime, index=True),
)
# Refusals of one kind to one client within an hour are one row.
denials = Table(
    "denials",
    metadata,
    Column("id", String(64), primary_key=True),  # a hash of what is alike
    Column("span", UTCDateTime, nullable=False),  # the hour's beginning
    Column("listener_id", String(36), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("code", String(32), nullable=False, index=True),
    Column("rule_id", String(36), nullable=False),  # empty for none
    Column("named", Boolean, nullable=False),  # false: a sum over many clients
    Column("first", UTCDateTime, nullable=False),
    Column("last", UTCDateTime, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("fingerprint_sha256", String(64), index=True),
    Column("serial", String(64), index=True),
    Column("addresses", TextList, nullable=False),
    Column("certificate", Text),  # PEM, where a handshake told it
    Column("document", Document, nullable=False),
    Index("ix_denials_last_id", "last", "id"),
    Index("ix_denials_kind", "span", "listener_id", "stage", "code"),
)
# All refusals there ever were, so that what is pruned stays counted.
denial_totals = Table(
    "denial_totals",
    metadata,
    Column("listener_id", String(36), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("code", String(32), primary_key=True),
    Column("count", BigInteger, nullable=False),
)
# What would have become of a client under one trust of a listener, where that is rehearsed.
rehearsed = Table(
    "rehearsed",
    metadata,
    Column("id", String(64), primary_key=True),  # a hash of what is alike
    Column("listener_id", String(36), nullable=False),
    Column("trust_revision", BigInteger, nullable=False),  # 0 where only rules are rehearsed
    Column("code", String(32), nullable=False),
    Column("rule_id", String(36), nullable=False),  # empty for none
    Column("who", String(80), nullable=False),  # fingerprint or address; empty for a sum over many clients
    Column("first", UTCDateTime, nullable=False),
    Column("last", UTCDateTime, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("fingerprint_sha256", String(64)),
    Column("document", Document, nullable=False),
    Index("ix_rehearsed_listener_id", "listener_id", "trust_revision", "who"),
    Index("ix_rehearsed_last", "last"),
)
gateway_marks = Table(
    "gateway_marks",
    metadata,
    Column("gateway_id", String(255), primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # of the last batch of sightings that is on record
    Column("denied", BigInteger, nullable=False, server_default="0"),  # of the last batch of denials
    Column("rehearsed", BigInteger, nullable=False, server_default="0"),  # of the last batch of what is rehearsed
)
# What came through each listener, and through all together (listener_id empty): by the minute, and later by the hour.
traffic = Table(
    "traffic",
    metadata,
    Column("listener_id", String(36), primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),  # since 1970; of an hour, its first
    Column("span", Integer, primary_key=True, autoincrement=False),  # 1 or 60 minutes
    Column("handshakes", BigInteger, nullable=False),
    Column("failed_handshakes", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("admitted", BigInteger, nullable=False),
    Index("ix_traffic_span_minute", "span", "minute"),
)
traffic_refusals = Table(
    "traffic_refusals",
    metadata,
    Column("listener_id", String(36), primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("span", Integer, primary_key=True, autoincrement=False),
    Column("code", String(32), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index("ix_traffic_refusals_span_minute", "span", "minute"),
)
# How far each gateway's own counters are in there.
traffic_marks = Table(
    "traffic_marks",
    metadata,
    Column("gateway_id", String(255), primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("document", Document, nullable=False),
)
# What each gateway counted for a monitoring system, added up over all of its Envoys.
gateway_numbers = Table(
    "gateway_numbers",
    metadata,
    Column("gateway_id", String(255), primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("document", Document, nullable=False),
)
effects = Table(
    "effects",
    metadata,
    Column("changed", String(16), primary_key=True),  # revocation, revision
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # of the status sequence, of the revision
    Column("gateway_id", String(255), primary_key=True),
    Column("committed_at", UTCDateTime, nullable=False),
    Column("applied_at", UTCDateTime, nullable=False, index=True),
    Column("milliseconds", BigInteger, nullable=False),
)
effect_marks = Table(
    "effect_marks",
    metadata,
    Column("gateway_id", String(255), primary_key=True),
    Column("revision", BigInteger, nullable=False),  # of the last configuration that was measured there
    Column("status_sequence", BigInteger, nullable=False),
)
foreign_statuses = Table(
    "foreign_statuses",
    metadata,
    Column("fingerprint_sha256", String(64), primary_key=True),
    Column("authority_id", ForeignKey("authorities.id"), nullable=False, index=True),
    Column("serial", String(64), nullable=False),
    Column("status", String(16), nullable=False, index=True),  # good, revoked, unknown
    Column("revoked_at", UTCDateTime),
    Column("checked_at", UTCDateTime, nullable=False),
    Column("next_update", UTCDateTime),
    Column("error", Text),
)

# Who refers to whose material; kept with each write, so that "in use" is one look-up.
material_uses = Table(
    "material_uses",
    metadata,
    Column("holder_kind", String(32), primary_key=True),
    Column("holder_id", String(36), primary_key=True),
    Column("field", String(64), primary_key=True),
    Column("target_id", String(36), primary_key=True, index=True),
)

# The root of truth: one row, locked by every writer.
head = Table(
    "head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("status_sequence", BigInteger, nullable=False),  # what gateways must hear of besides revisions: revocations, lists
    Column("audit_sequence", BigInteger, nullable=False),
    Column("audit_hash", String(64), nullable=False),
    # The last entry that was removed for its age: the record begins after it.
    Column("pruned_sequence", BigInteger, nullable=False, server_default="0"),
    Column("pruned_hash", String(64), nullable=False, server_default="0" * 64),
)
# Keys that heads of the record are signed with, newest last.
audit_keys = Table(
    "audit_keys",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the public key
    Column("public_key", Text, nullable=False),  # PEM
    Column("sealed_key", LargeBinary, nullable=False),
    Column("at", UTCDateTime, nullable=False),
)
# Where the record stood, and our word for it.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("key_id", ForeignKey("audit_keys.id"), nullable=False),
    Column("signature", Text, nullable=False),  # base64
)
revisions = Table(
    "revisions",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("action", String(64), nullable=False),
)
changes = Table(
    "changes",
    metadata,
    Column("revision", ForeignKey("revisions.number"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("resource_id", String(36), nullable=False, index=True),
    Column("before", Document),
    Column("after", Document),
)
audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False, index=True),
    Column("actor", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("resource_id", String(36), nullable=False),
    Column("entry", Text, nullable=False),  # the exact text that was hashed
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    # With the sequence, so that the newest of many are found without looking at the many; and what somebody did of one kind too.
    Index("ix_audit_actor_sequence", "actor", "sequence"),
    Index("ix_audit_action_sequence_actor", "action", "sequence", "actor"),
    Index("ix_audit_resource_id_sequence", "resource_id", "sequence"),
)

# Each time that all this came out of a backup. What was said after that backup was made is not in here.
restores = Table(
    "restores",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("made_at", UTCDateTime, nullable=False),  # the backup
    Column("backup_sha256", String(64), nullable=False),
    Column("status_sequence", BigInteger, nullable=False),  # what was said of certificates since has a larger one
    Column("least_number", String(50), nullable=False),  # of any list that is signed since, decimal
    Column("numbers", Document, nullable=False),  # of the lists in the backup, by authority, decimal
)
