"""Change the key-encryption key, and say on record what was done with it."""

from ostiary.ops.caller import Caller
from ostiary.ops.record import entry
from ostiary.pki.sealing import Sealer
from ostiary.store.sealed import reseal
from ostiary.store.store import Change, Store


def rotate(store: Store, caller: Caller, old: bytes, new: bytes) -> int:
    """Re-seal all that is sealed, in one transaction, on record; says how many. Raises `Unavailable` if one does not open."""
    caller.must("kek:rotate")
    with store.write() as transaction:
        count = reseal(transaction, Sealer(old), Sealer(new))
        transaction.append_audit(_entry(caller, "kek:rotate", {"resealed": count}))
    return count


def say(store: Store, caller: Caller, action: str) -> None:
    """Put on record that somebody protects the key-encryption key, or takes the protection off."""
    caller.must(action)
    with store.write() as transaction:
        transaction.append_audit(_entry(caller, action, {}))


def _entry(caller: Caller, action: str, told: dict[str, object]) -> dict[str, object]:
    return dict(entry(caller, action, Change("kek", "kek", None, told), None))
