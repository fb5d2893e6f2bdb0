"""What would have become of clients, where that is rehearsed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rehearsed",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("trust_revision", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("rule_id", sa.String(length=36), nullable=False),
        sa.Column("who", sa.String(length=80), nullable=False),
        sa.Column("first", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint_sha256", sa.String(length=64), nullable=True),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rehearsed")),
    )
    with op.batch_alter_table("rehearsed", schema=None) as batch_op:
        batch_op.create_index("ix_rehearsed_listener_id", ["listener_id", "trust_revision", "who"], unique=False)
        batch_op.create_index("ix_rehearsed_last", ["last"], unique=False)
    with op.batch_alter_table("gateway_marks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rehearsed", sa.BigInteger(), nullable=False, server_default="0"))
