"""Revocation, profiles, approval, enrolment, rotation, sightings: what a CA that people live with needs."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:  # noqa: PLR0915 (a schema is a list)
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.String(length=255), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_reply", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("caller", "key_sha256", name=op.f("pk_idempotency")),
    )
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_at"), ["at"], unique=False)

    op.create_table(
        "profiles",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
        sa.UniqueConstraint("name", name=op.f("uq_profiles_name")),
    )
    with op.batch_alter_table("profiles", schema=None) as batch_op:
        batch_op.create_index("ix_profiles_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_profiles_name"), ["name"], unique=False)

    op.create_table(
        "rotations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("from_series_id", sa.String(length=36), nullable=False),
        sa.Column("to_series_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rotations")),
    )
    with op.batch_alter_table("rotations", schema=None) as batch_op:
        batch_op.create_index("ix_rotations_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rotations_from_series_id"), ["from_series_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rotations_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_rotations_state"), ["state"], unique=False)

    op.create_table(
        "sightings",
        sa.Column("fingerprint_sha256", sa.String(length=64), nullable=False),
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint_sha256", "listener_id", name=op.f("pk_sightings")),
    )
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sightings_last_seen"), ["last_seen"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_tokens_secret_sha256")),
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index("ix_tokens_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_tokens_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_tokens_name"), ["name"], unique=False)

    op.create_table(
        "certificate_requests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("authority_id", sa.String(length=36), nullable=False),
        sa.Column("profile", sa.String(length=255), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(["authority_id"], ["authorities.id"], name=op.f("fk_certificate_requests_authority_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_requests")),
    )
    with op.batch_alter_table("certificate_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_certificate_requests_authority_id"), ["authority_id"], unique=False)
        batch_op.create_index("ix_certificate_requests_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_certificate_requests_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_certificate_requests_status"), ["status"], unique=False)

    op.create_table(
        "crls",
        sa.Column("authority_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("number", sa.String(length=50), nullable=False),
        sa.Column("this_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("base_number", sa.String(length=50), nullable=True),
        sa.Column("base_sequence", sa.BigInteger(), nullable=True),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["authority_id"], ["authorities.id"], name=op.f("fk_crls_authority_id")),
        sa.PrimaryKeyConstraint("authority_id", "kind", name=op.f("pk_crls")),
    )
    op.create_table(
        "foreign_statuses",
        sa.Column("fingerprint_sha256", sa.String(length=64), nullable=False),
        sa.Column("authority_id", sa.String(length=36), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["authority_id"], ["authorities.id"], name=op.f("fk_foreign_statuses_authority_id")),
        sa.PrimaryKeyConstraint("fingerprint_sha256", name=op.f("pk_foreign_statuses")),
    )
    with op.batch_alter_table("foreign_statuses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_foreign_statuses_authority_id"), ["authority_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_foreign_statuses_status"), ["status"], unique=False)

    op.create_table(
        "ocsp_signers",
        sa.Column("authority_id", sa.String(length=36), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["authority_id"], ["authorities.id"], name=op.f("fk_ocsp_signers_authority_id")),
        sa.PrimaryKeyConstraint("authority_id", name=op.f("pk_ocsp_signers")),
    )
    op.create_table(
        "revocations",
        sa.Column("authority_id", sa.String(length=36), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint_sha256", sa.String(length=64), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("invalidity_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["authority_id"], ["authorities.id"], name=op.f("fk_revocations_authority_id")),
        sa.PrimaryKeyConstraint("authority_id", "serial", name=op.f("pk_revocations")),
    )
    with op.batch_alter_table("revocations", schema=None) as batch_op:
        batch_op.create_index("ix_revocations_authority_id_sequence", ["authority_id", "sequence"], unique=False)
        batch_op.create_index(batch_op.f("ix_revocations_fingerprint_sha256"), ["fingerprint_sha256"], unique=False)

    with op.batch_alter_table("authorities", schema=None) as batch_op:
        batch_op.add_column(sa.Column("series_id", sa.String(length=36), nullable=False, server_default=""))
        batch_op.create_index(batch_op.f("ix_authorities_series_id"), ["series_id"], unique=False)

    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.add_column(sa.Column("key_sha256", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("profile", sa.String(length=255), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("subject", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("last_seen", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_certificates_key_sha256"), ["key_sha256"], unique=False)
        batch_op.create_index(batch_op.f("ix_certificates_last_seen"), ["last_seen"], unique=False)
        batch_op.create_index(batch_op.f("ix_certificates_revoked_at"), ["revoked_at"], unique=False)

    with op.batch_alter_table("head", schema=None) as batch_op:
        batch_op.add_column(sa.Column("status_sequence", sa.BigInteger(), nullable=False, server_default="0"))

    op.execute(sa.text("UPDATE authorities SET series_id = id"))
    _fill_certificates()


def _fill_certificates() -> None:
    """What is searched for from now on, out of the certificates themselves."""
    connection = op.get_bind()
    table = sa.table(
        "certificates",
        sa.column("id", sa.String),
        sa.column("document", DOCUMENT),
        sa.column("key_sha256", sa.String),
        sa.column("profile", sa.String),
        sa.column("subject", sa.Text),
    )
    for row in connection.execute(sa.select(table.c.id, table.c.document)).all():
        document = json.loads(row.document) if isinstance(row.document, str) else dict(row.document)
        key = x509.load_pem_x509_certificate(document["certificate"].encode()).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        columns = {name: document.pop(name) for name in ("profile", "subject")}
        connection.execute(
            table.update()
            .where(table.c.id == row.id)
            .values(key_sha256=hashlib.sha256(spki).hexdigest(), document=document, **columns)
        )
