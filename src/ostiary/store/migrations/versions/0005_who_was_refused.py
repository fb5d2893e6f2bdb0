"""Who was refused and why; and from how many places a certificate is used, with the time of each."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "denials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("span", sa.DateTime(timezone=True), nullable=False),
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("rule_id", sa.String(length=36), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("first", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint_sha256", sa.String(length=64), nullable=True),
        sa.Column("serial", sa.String(length=64), nullable=True),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_denials")),
    )
    with op.batch_alter_table("denials", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_denials_code"), ["code"], unique=False)
        batch_op.create_index(batch_op.f("ix_denials_fingerprint_sha256"), ["fingerprint_sha256"], unique=False)
        batch_op.create_index(batch_op.f("ix_denials_serial"), ["serial"], unique=False)
        batch_op.create_index("ix_denials_last_id", ["last", "id"], unique=False)
        batch_op.create_index("ix_denials_kind", ["span", "listener_id", "stage", "code"], unique=False)
    op.create_table(
        "denial_totals",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("listener_id", "stage", "code", name=op.f("pk_denial_totals")),
    )
    with op.batch_alter_table("gateway_marks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("denied", sa.BigInteger(), nullable=False, server_default="0"))
    _addresses_with_times()


def _addresses_with_times() -> None:
    """A list of addresses becomes a document of places; when each was seen, nobody noted: they came by the last time."""
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("places", DOCUMENT, nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("address_count", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("crowded_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_sightings_crowded_at"), ["crowded_at"], unique=False)
    # In SQL alone, for there may be very many. Both databases write a time in a way that Python reads.
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "UPDATE sightings SET address_count = jsonb_array_length(addresses::jsonb), places = coalesce((SELECT "
            "jsonb_object_agg(one, to_char(last_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')) "
            "FROM jsonb_array_elements_text(addresses::jsonb) AS one), '{}'::jsonb)"
        )
    else:
        op.execute(
            "UPDATE sightings SET address_count = json_array_length(addresses), places = coalesce((SELECT "
            "json_group_object(value, strftime('%Y-%m-%dT%H:%M:%S+00:00', last_seen)) FROM json_each(addresses)), '{}')"
        )
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.drop_column("addresses")
        batch_op.alter_column("places", server_default=None)
        batch_op.alter_column("address_count", server_default=None)
