"""An authority: a CA certificate in the system, with its key (we issue) or without (we only trust)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import Data, Private, Text, setting
from ostiary.model.resource import Resource

KeySpec = Literal["EC-P256", "EC-P384", "ED25519", "RSA-3072", "RSA-4096"]


class SubjectName(Data):
    """The parts of a distinguished name an operator may set (RFC 5280 4.1.2.6)."""

    CN: Annotated[Text, Field(max_length=64)] = ""
    O: Annotated[Text, Field(max_length=64)] = ""  # noqa: E741 (X.520's own name)
    OU: Annotated[Text, Field(max_length=64)] = ""
    C: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = ""
    ST: Annotated[Text, Field(max_length=128)] = ""
    L: Annotated[Text, Field(max_length=128)] = ""


class Authority(Resource):
    """A CA certificate. `sealed_key` is the private key, encrypted under the key-encryption key, or empty."""

    kind: Literal["root", "intermediate", "imported"] = setting(description="How it came to be.", fixed=True)
    parent_id: str | None = setting(None, "The authority that signed it, when that is one of ours.", fixed=True)
    certificate: str = setting(description="Its certificate, PEM.", fixed=True)
    subject: str = setting(description="Its subject, RFC 4514.", derived=True)
    fingerprint_sha256: str = setting(description="SHA-256 of the certificate, hexadecimal.", derived=True)
    not_before: datetime = setting(description="From when it is valid.", derived=True)
    not_after: datetime = setting(description="Until when it is valid.", derived=True)
    sealed_key: Private = setting(Private(b""), "Its key, encrypted.", derived=True)

    @property
    def has_key(self) -> bool:
        """Whether it can issue."""
        return bool(self.sealed_key)


class Certificate(Resource):
    """A certificate we issued, and to whom."""

    authority_id: str = setting(description="The authority that signed it.", fixed=True)
    profile: Text = setting("client", "What kind of certificate it is.", fixed=True)
    serial: str = setting(description="Serial number, hexadecimal.", derived=True)
    fingerprint_sha256: str = setting(description="SHA-256 of the certificate, hexadecimal.", derived=True)
    subject: str = setting(description="Its subject, RFC 4514.", derived=True)
    sans: tuple[str, ...] = setting((), "Its subject alternative names, such as DNS:a.test.", derived=True)
    not_before: datetime = setting(description="From when it is valid.", derived=True)
    not_after: datetime = setting(description="Until when it is valid.", derived=True)
    owner: Text = setting("", "Who holds it.")
    groups: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), "Groups it belongs to.")
    certificate: str = setting(description="The certificate, PEM.", derived=True)
    chain: str = setting("", "The authorities above it up to, not including, the root, PEM.", derived=True)
