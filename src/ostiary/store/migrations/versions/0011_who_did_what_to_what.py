"""Who did what, and to what: looked up in the record in its order, however many entries fit."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_audit_action", "audit")
    op.drop_index("ix_audit_resource_id", "audit")
    for columns in (["actor", "sequence"], ["action", "sequence", "actor"], ["resource_id", "sequence"]):
        op.create_index(f"ix_audit_{'_'.join(columns)}", "audit", columns)
