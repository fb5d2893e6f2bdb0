"""A certificate together with its key, made here because the device that will use it cannot make one."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.authority import KeySpec, RequestedNames
from ostiary.model.fields import Data, Text, setting

Pkcs12Form = Literal["modern", "compatible"]


class NewIdentity(Data):
    """What a caller says to have a key and a certificate made, and handed out once as a PKCS#12 file."""

    key: Literal["generate"] = setting(description="In place of `csr`: the key is made here, handed out once and never kept.")
    key_type: KeySpec = setting("EC-P256", "The kind of key; RSA-3072 for systems that know nothing newer.", label="Kind of key")
    names: RequestedNames = setting(description="The names it is to carry.")
    name: Text = setting("", "A name for people; stores of devices show it too.")
    project_id: Text = setting("", "The project that owns it.")
    authority_id: Annotated[str, Field(min_length=1, max_length=255)] = setting(
        description="The authority that is to sign it.", label="Signed by"
    )
    profile: Text = setting("client", "What kind of certificate it is to be.")
    lifetime: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=36_500))] | None = setting(
        None, "How long it is to be valid, an ISO 8601 duration such as P90D; empty is the profile's own."
    )
    owner: Text = setting("", "Who will hold it.", label="Holder")
    groups: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), "Groups it is to belong to.")
    passphrase: str | None = setting(
        None, "What opens the file, 16 to 128 ASCII characters; one is made when it is left out.", max_length=1024, repr=False
    )
    pkcs12_form: Pkcs12Form = setting(
        "modern",
        "How the file is encrypted: modern is AES-256; compatible is for Apple, Android up to 13 and Windows Server 2016.",
        label="Form of the file",
    )
    include_root: bool = setting(
        False, "Whether the file holds the root too. Some devices then trust it for servers as well.", label="With the root"
    )
    mobileconfig: bool = setting(False, "Whether to add the same as an Apple configuration profile.")
