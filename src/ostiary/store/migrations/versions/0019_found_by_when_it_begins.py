"""Certificates of which there are few are found among many: not valid yet, revoked for a reason, of a project or a profile.

And all are listed by when they were last seen without sorting a million. (The index of words is made by `store.words`, where a
database can have one.) What most certificates do not have is in an index only where they have it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_server = op.get_bind().dialect.name == "postgresql"

    def told(field: str) -> sa.TextClause:
        return sa.text(f"(document ->> '{field}')" if is_server else f"json_extract(document, '$.{field}')")

    def index(name: str, what: list[str | sa.TextClause], where: str | None = None) -> None:
        there = None if where is None else sa.text(where)
        op.create_index(f"ix_certificates_{name}", "certificates", what, sqlite_where=there, postgresql_where=there)

    index("not_before", [told("not_before")])
    index("reason", [told("revocation_reason")], "revoked_at IS NOT NULL")
    index("revoked_profile", ["profile"], "revoked_at IS NOT NULL")
    index("project_id", ["project_id"], "project_id != ''")
    index("seen_or_made", [sa.text("coalesce(last_seen, created_at)"), "id"])
