"""How much came through each listener, minute by minute, and when what is in force ends."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
COUNTED = ("handshakes", "failed_handshakes", "requests", "admitted")
LIVE = sa.text("revoked_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "traffic",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTED),
        sa.PrimaryKeyConstraint("listener_id", "minute", "span", name=op.f("pk_traffic")),
    )
    op.create_index("ix_traffic_span_minute", "traffic", ["span", "minute"])
    op.create_table(
        "traffic_refusals",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("listener_id", "minute", "span", "code", name=op.f("pk_traffic_refusals")),
    )
    op.create_index("ix_traffic_refusals_span_minute", "traffic_refusals", ["span", "minute"])
    op.create_table(
        "traffic_marks",
        sa.Column("gateway_id", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("gateway_id", name=op.f("pk_traffic_marks")),
    )
    op.create_index("ix_certificates_live", "certificates", ["profile", "not_after"], sqlite_where=LIVE, postgresql_where=LIVE)
