"""What must hold before anything is served: the key-encryption key is the one this database was written with."""

from collections.abc import Sequence

from ostiary.errors import Unavailable
from ostiary.pki.sealing import Sealer
from ostiary.store import sealed
from ostiary.store.store import Reader, Store


def holds_sealed(store: Store) -> bool:
    """Whether anything in this database can only be read with the key-encryption key it was written with."""
    with store.read() as reader:
        return sealed.any_sealed(reader) is not None


def key_of(store: Store, keys: Sequence[bytes]) -> bytes:
    """The one of these with which the database was written; the first when it holds nothing sealed.

    Raises `Unavailable` when none opens it: better to stop than to lose the right key for a wrong one. One value speaks for all,
    because a change of the key re-seals all of them in one transaction (`ops.rekey`).
    """
    with store.read() as reader:
        sample = sealed.any_sealed(reader)
    if sample is None:
        return keys[0]
    refusal = Unavailable("")
    for key in keys:
        try:
            Sealer(key).open(*sample)
        except Unavailable as refused:
            refusal = refused
        else:
            return key
    raise refusal


def opens(reader: Reader, sealer: Sealer) -> bool:
    """Whether this opens what is sealed in the database; where nothing is, any would."""
    sample = sealed.any_sealed(reader)
    try:
        if sample is not None:
            sealer.open(*sample)
    except Unavailable:
        return False
    return True


def missing_key(file: object) -> Unavailable:
    """The refusal when the database needs a key that is not there."""
    return Unavailable(f"{file} is missing, and what is in the database can only be read with it; restore it from your backup.")
