"""Who is to be told what ends, what they were told, and what still has to be sent to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
TIME = sa.DateTime(timezone=True)


def _target(table: str) -> tuple["sa.Column[str]", sa.ForeignKeyConstraint]:
    return sa.Column("target_id", sa.String(length=36), nullable=False), sa.ForeignKeyConstraint(
        ["target_id"], ["notification_targets.id"], name=op.f(f"fk_{table}_target_id_notification_targets")
    )


def upgrade() -> None:
    op.create_table(
        "notification_targets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_targets")),
        sa.UniqueConstraint("name", name=op.f("uq_notification_targets_name")),
    )
    with op.batch_alter_table("notification_targets", schema=None) as batch_op:
        batch_op.create_index("ix_notification_targets_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_notification_targets_name"), ["name"], unique=False)
    op.create_table(
        "told_warnings",
        *_target("told_warnings"),
        sa.Column("warning_id", sa.String(length=64), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("target_id", "warning_id", name=op.f("pk_told_warnings")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(length=64), nullable=False),
        *_target("notifications"),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("target_id", "sequence", name=op.f("uq_notifications_target_id_sequence")),
    )
    op.create_index("ix_notifications_state", "notifications", ["state", "target_id", "sequence"])
    op.create_table(
        "notification_marks",
        *_target("notification_marks"),
        sa.Column("digest_at", TIME, nullable=True),
        sa.Column("audit_sequence", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("given_up", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_notification_marks")),
    )
    # What expires soon of those seen is looked for every minute.
    op.create_index("ix_sightings_not_after", "sightings", ["not_after"])
    # A certificate that was renewed is none that expires: its successor is looked for by this.
    op.add_column("certificates", sa.Column("replaces", sa.String(length=36), nullable=True))
    is_there = sa.text("replaces IS NOT NULL")
    op.create_index("ix_certificates_replaces", "certificates", ["replaces"], sqlite_where=is_there, postgresql_where=is_there)
    told = "document ->> 'replaces'" if op.get_bind().dialect.name == "postgresql" else "json_extract(document, '$.replaces')"
    op.execute(f"UPDATE certificates SET replaces = {told}")  # noqa: S608 (one of the two above)
