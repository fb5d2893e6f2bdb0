"""The schema that migrations make is the one the code expects, and starting again changes nothing."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from ostiary.errors import Invalid, Unavailable
from ostiary.store.engine import migrate, open_engine
from ostiary.store.tables import metadata


def test_the_migrated_schema_is_that_of_the_tables(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_ostiary_is_refused_not_guessed_at(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    with pytest.raises(Unavailable, match="another version"):
        migrate(engine)
    engine.dispose()


@pytest.mark.parametrize("bad", ["", "nonsense", "mysql://host/db"])
def test_an_unsupported_database_is_named(bad: str) -> None:
    with pytest.raises(Invalid, match="--database"):
        open_engine(bad)
