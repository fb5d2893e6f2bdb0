"""Every column that is sealed under the key-encryption key, in one place: whoever changes that key must miss none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, select

from ostiary.pki.sealing import Sealer
from ostiary.store import tables
from ostiary.store.heads import key_context
from ostiary.store.material import authority_context, secret_context
from ostiary.store.notifications import target_context
from ostiary.store.statuses import signer_context
from ostiary.store.store import Reader, Transaction

_AT_A_TIME: Final = 500


@dataclass(frozen=True)
class Place:
    """A sealed column, the column that names its row, and what the row's value is bound to."""

    table: Table
    column: str
    key: str
    context: Callable[[str], str]


PLACES: Final = (
    Place(tables.secrets, "payload", "id", secret_context),
    Place(tables.authorities, "sealed_key", "id", authority_context),
    Place(tables.audit_keys, "sealed_key", "id", key_context),
    Place(tables.ocsp_signers, "sealed_key", "authority_id", signer_context),
    Place(tables.notification_targets, "sealed", "id", target_context),
)


def any_sealed(reader: Reader) -> tuple[bytes, str] | None:
    """One sealed value with what it is bound to; None when there is nothing."""
    for place in PLACES:
        value, key = place.table.c[place.column], place.table.c[place.key]
        row = reader.connection.execute(select(key, value).where(value != b"").limit(1)).first()
        if row is not None:
            return bytes(row[1]), place.context(row[0])
    return None


def reseal(transaction: Transaction, old: Sealer, new: Sealer) -> int:
    """Open everything with one key and seal it with the other; says how many. Raises `Unavailable` if one does not open."""
    count = 0
    for place in PLACES:
        value, key = place.table.c[place.column], place.table.c[place.key]
        last = ""
        while rows := transaction.connection.execute(
            select(key, value).where(key > last, value != b"").order_by(key).limit(_AT_A_TIME)
        ).all():
            for row_key, sealed in rows:
                context = place.context(row_key)
                again = new.seal(old.open(bytes(sealed), context), context)
                transaction.connection.execute(place.table.update().where(key == row_key).values({place.column: again}))
            last, count = rows[-1][0], count + len(rows)
    return count
