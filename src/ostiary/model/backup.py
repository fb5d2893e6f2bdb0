"""A backup: what somebody says to have one made, and what one says of itself."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from ostiary.model.fields import Data, setting
from ostiary.model.key_transfer import Passphrase


class NewBackup(Data):
    """What a caller says to have a backup made."""

    passphrase: Passphrase = setting(description="What it is encrypted under: 12 to 1024 bytes.")
    with_kek: bool = setting(
        True,
        "Whether the key-encryption key is in it. Without it, the backup is of no use to whoever does not have that key too.",
    )


class KeyElsewhere(Data):
    """A key that no backup holds: it is in a PKCS#11 token, or its authority is offline."""

    authority_id: str
    authority: str
    place: Annotated[str, Field(pattern=r"^(token|offline)$")]


class Manifest(Data):
    """What a backup says of itself. `setup` is how the ostiary was started that it was made of, for people to read."""

    made_at: datetime
    version: str
    schema_version: str
    revision: int
    audit_sequence: int
    audit_hash: str
    has_kek: bool
    needs_kek_passphrase: bool
    keys_elsewhere: tuple[KeyElsewhere, ...]
    setup: dict[str, Any]
