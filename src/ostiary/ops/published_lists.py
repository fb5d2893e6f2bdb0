"""The revocation lists that anybody may have: those that we signed, and those of imported authorities as we hold them."""

from ostiary.errors import NotFound
from ostiary.model.revocation import ListKind, RevocationList
from ostiary.ops.system import System
from ostiary.store import revocations
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Reader


def find(system: System, authority_id: str, kind: ListKind, known_number: int | None = None) -> RevocationList:
    """An authority's list. One with the number that the caller has already comes without its content. Raises `NotFound`."""
    with system.store.read() as reader:
        signer_id = _signer(reader, authority_id)
        found = revocations.lists_without_content(reader, [signer_id]).get((signer_id, kind))
        if found is not None and found.number != known_number:
            found = revocations.current_list(reader, signer_id, kind)
    if found is None:
        raise NotFound("Revocation list", f"of authority {authority_id}")
    return found


def _signer(reader: Reader, authority_id: str) -> str:
    """Certificates of one authority that others cross-signed have its key, and so its list."""
    authority = reader.require(AUTHORITY, authority_id)
    return authority.cross_of or authority.id
