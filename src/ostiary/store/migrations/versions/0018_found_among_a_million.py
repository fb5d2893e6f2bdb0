"""A certificate is found among a million by its serial number, by who signed it, or because it is revoked or on hold.

What most certificates do not have (to be revoked, to have been seen) is in an index only where they have it: that index is
smaller, issuing need not write into it, and the database is not led to take "not revoked", which is nearly all, for few.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("revoked_at", "last_seen"):
        there = sa.text(f"{column} IS NOT NULL")
        op.drop_index(op.f(f"ix_certificates_{column}"), "certificates")
        op.create_index(op.f(f"ix_certificates_{column}"), "certificates", [column], sqlite_where=there, postgresql_where=there)
    op.drop_index(op.f("ix_certificates_authority_id"), "certificates")
    op.create_index("ix_certificates_authority_id_created_at_id", "certificates", ["authority_id", "created_at", "id"])
    op.create_index("ix_certificates_serial", "certificates", ["serial"])
    held = sa.text("reason = 'certificateHold'")
    op.create_index("ix_revocations_held", "revocations", ["fingerprint_sha256"], sqlite_where=held, postgresql_where=held)
