"""Access rules and exceptions; and which certificates changed lately, so that what is known of 100,000 need not be read anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _resource(name: str, *columns: "sa.Column[object]") -> None:
    op.create_table(
        name,
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        *columns,
        sa.Column("document", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["listeners.id"], name=op.f(f"fk_{name}_listener_id_listeners")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )
    with op.batch_alter_table(name, schema=None) as batch_op:
        batch_op.create_index(f"ix_{name}_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f(f"ix_{name}_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f(f"ix_{name}_listener_id"), ["listener_id"], unique=False)


def upgrade() -> None:
    _resource("access_rules", sa.Column("position", sa.Integer(), nullable=False))
    _resource("access_exceptions", sa.Column("not_after", sa.DateTime(timezone=True), nullable=False))
    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.create_index("ix_certificates_updated_at", ["updated_at"], unique=False)
