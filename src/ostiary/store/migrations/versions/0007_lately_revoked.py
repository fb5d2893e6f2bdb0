"""Who was revoked lately is found without going through all who ever were: each publication asks."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_revocations_revoked_at"), "revocations", ["revoked_at"])
