"""What a caller says to take an authority's key out of the system, or to bring one in."""

from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import Data, Text, setting

KeyFormat = Literal["pkcs8", "pkcs12"]
Passphrase = Annotated[str, Field(max_length=1024, repr=False)]  # a body that is printed must not show it


class KeyExport(Data):
    """How an authority's key is to leave, and whether it is to be gone here afterwards."""

    passphrase: Passphrase = setting(description="What the key is encrypted under: at least 16 characters.")
    format: KeyFormat = setting("pkcs8", "PKCS#8 (PEM), or PKCS#12 (base64) with its certificate and those above.")
    remove: bool = setting(False, "Whether the key leaves this system: the authority is offline until it is imported again.")
    list_lifetime_days: Annotated[int, Field(ge=1, le=3650)] = setting(
        365, "How long the revocation list holds that is signed before the key leaves; nobody can sign another until it is back.",
        unit="d",
    )  # fmt: skip


class AuthorityWithKey(Data):
    """An authority that is to sign here: its certificate and key. One that is here without its key gets it back."""

    name: Text = setting("", "A name for people.")
    project_id: Text = setting("", "The project that owns it.")
    certificate: Annotated[str, Field(max_length=65_536)] = setting("", "The CA certificate, PEM.")
    private_key: Annotated[str, Field(max_length=65_536, repr=False)] = setting("", "Its key, PEM, encrypted or not.")
    pkcs12: Annotated[str, Field(max_length=1_500_000, repr=False)] = setting("", "Or both in a PKCS#12 file, base64.")
    passphrase: Passphrase = setting("", "What the key or the PKCS#12 file is encrypted under.")
    crl: Annotated[str, Field(max_length=8_000_000)] = setting(
        "", "The newest revocation list it signed elsewhere, PEM: who is revoked there stays so."
    )
