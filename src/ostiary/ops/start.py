"""What must hold before anything is served: the key-encryption key is the one this database was written with."""

from ostiary.errors import Unavailable
from ostiary.pki.sealing import Sealer
from ostiary.store.kinds import AUTHORITY, SECRET
from ostiary.store.material import authority_context, secret_context
from ostiary.store.store import Store


def holds_sealed(store: Store) -> bool:
    """Whether anything in this database can only be read with the key-encryption key it was written with."""
    with store.read() as reader:
        return bool(reader.count(SECRET) or any(authority.has_key for authority in reader.all(AUTHORITY)))


def check_key(store: Store, sealer: Sealer) -> None:
    """Raises `Unavailable` when what is stored cannot be opened: better to stop than to lose the right key for a wrong one."""
    with store.read() as reader:
        for secret_id in reader.ids(SECRET)[:1]:
            sealer.open(reader.require(SECRET, secret_id).payload, secret_context(secret_id))
        for authority in reader.all(AUTHORITY):
            if authority.has_key:
                sealer.open(authority.sealed_key, authority_context(authority.id))
                return


def missing_key(file: object) -> Unavailable:
    """The refusal when the database needs a key that is not there."""
    return Unavailable(f"{file} is missing, and what is in the database can only be read with it; restore it from your backup.")
