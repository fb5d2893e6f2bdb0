"""What was asked for under an idempotency key, so that a retried request is not done twice."""

import hashlib
from datetime import datetime

from sqlalchemy import select

from ostiary.errors import Conflict
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_TABLE = tables.idempotency


def done(reader: Reader, caller: str, key: str, request_sha256: str) -> str | None:
    """The id of what was made under this key; None when it is new. Raises `Conflict` when it was for another request."""
    row = reader.connection.execute(
        select(_TABLE.c.request_sha256, _TABLE.c.resource_id).where(
            _TABLE.c.caller == caller, _TABLE.c.key_sha256 == _digest(key)
        )
    ).first()
    if row is None:
        return None
    if row.request_sha256 != request_sha256:
        raise Conflict("this key was used for another request; use a new key for each.", "Idempotency-Key")
    return str(row.resource_id)


def put(transaction: Transaction, caller: str, key: str, request_sha256: str, resource_id: str) -> None:
    """Remember what was made under this key."""
    transaction.connection.execute(
        _TABLE.insert(),
        {
            "caller": caller,
            "key_sha256": _digest(key),
            "request_sha256": request_sha256,
            "resource_id": resource_id,
            "at": transaction.at,
        },
    )


def forget(transaction: Transaction, before: datetime) -> int:
    """Forget what is older; says how many there were."""
    return transaction.connection.execute(_TABLE.delete().where(_TABLE.c.at < before)).rowcount


def _digest(key: str) -> str:
    # A caller's own text, of any length; what is kept has one.
    return hashlib.sha256(key.encode()).hexdigest()
