"""An authority: a CA certificate in the system, with its key (we issue) or without (we only trust)."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import CIDR, Data, IPAddress, Private, Reference, Text, setting
from ostiary.model.resource import Resource
from ostiary.model.status_check import StatusCheck

KeySpec = Literal["EC-P256", "EC-P384", "ED25519", "RSA-3072", "RSA-4096"]
Custody = Literal["file", "pkcs11"]


class SubjectName(Data):
    """The parts of a distinguished name an operator may set (RFC 5280 4.1.2.6)."""

    CN: Annotated[Text, Field(max_length=64)] = setting("", label="Common name (CN)")
    O: Annotated[Text, Field(max_length=64)] = setting("", label="Organization (O)")  # noqa: E741 (X.520's own name)
    OU: Annotated[Text, Field(max_length=64)] = setting("", label="Organizational unit (OU)")
    C: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = setting("", label="Country, two letters (C)")
    ST: Annotated[Text, Field(max_length=128)] = setting("", label="State or province (ST)")
    L: Annotated[Text, Field(max_length=128)] = setting("", label="Locality (L)")


class ConstrainedNames(Data):
    """Names of each kind, as name constraints write them (RFC 5280 4.2.1.10)."""

    dns: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), label="DNS names")
    ip: Annotated[tuple[CIDR, ...], Field(max_length=100)] = setting((), label="Networks")
    email: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), label="E-mail addresses and domains")
    uri: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), label="Hosts of URIs")
    directory: Annotated[tuple[Text, ...], Field(max_length=100)] = setting(
        (), "RFC 4514, such as O=Example,C=VN.", label="Directory names"
    )


class NameConstraints(Data):
    """Which names certificates below an authority may carry: within `permitted` where it has that kind, never `excluded`."""

    permitted: ConstrainedNames = ConstrainedNames()
    excluded: ConstrainedNames = ConstrainedNames()


class Authority(Resource):
    """A CA certificate. `sealed_key` is the private key (or its handle in a token) under the key-encryption key, or empty."""

    kind: Literal["root", "intermediate", "imported"] = setting(description="How it came to be.", fixed=True)
    parent_id: str | None = setting(None, "The authority that signed it, when that is one of ours.", fixed=True)
    certificate: str = setting(description="Its certificate, PEM.", fixed=True)
    subject: str = setting(description="Its subject, RFC 4514.", derived=True)
    fingerprint_sha256: str = setting(
        description="SHA-256 of the certificate, hexadecimal.", derived=True, label="SHA-256 fingerprint"
    )
    not_before: datetime = setting(description="From when it is valid.", derived=True, label="Valid from")
    not_after: datetime = setting(description="Until when it is valid.", derived=True, label="Valid until")
    sealed_key: Private = setting(Private(b""), "Its key, or the handle to it in a token, encrypted.", derived=True)
    key: KeySpec | None = setting(None, "The kind of key it was made with; null when it was imported.", derived=True)
    custody: Custody = setting("file", "Who keeps its key: we, encrypted, or a PKCS#11 token.", fixed=True)
    series_id: str = setting(
        "",
        "The first of the issuing CAs that work under this name, one after the other.",
        derived=True,
        label="First of its name",
    )
    generation: int = setting(1, "Which of them it is.", derived=True, label="Which of its name")
    path_length: int | None = setting(None, "How many levels of authorities may be below it; null is any number.", fixed=True)
    name_constraints: NameConstraints | None = setting(None, "Which names it may sign.", fixed=True)
    warnings: tuple[str, ...] = setting((), "What common engines will not accept of it.", derived=True, label="Warnings")
    cross_of: str | None = setting(
        None, "The authority whose name and key it has, signed by another parent.", derived=True, label="Cross-signed"
    )
    revoked_at: datetime | None = setting(None, "When it was revoked.", derived=True, label="Revoked")
    revocation_reason: str | None = setting(None, "Why, as RFC 5280 names it.", derived=True, label="Reason")
    status_check: StatusCheck = setting(
        StatusCheck(), "How we learn which of its certificates are revoked, where it was imported."
    )

    @property
    def has_key(self) -> bool:
        """Whether it can issue."""
        return bool(self.sealed_key)

    @property
    def may_sign(self) -> bool:
        """Whether it has its key and was not revoked."""
        return self.has_key and self.revoked_at is None


class Certificate(Resource):
    """A certificate we issued, and to whom."""

    authority_id: str = setting(description="The authority that signed it.", fixed=True)
    profile: Text = setting("client", "What kind of certificate it is.", fixed=True)
    serial: str = setting(description="Serial number, hexadecimal.", derived=True, label="Serial number")
    fingerprint_sha256: str = setting(
        description="SHA-256 of the certificate, hexadecimal.", derived=True, label="SHA-256 fingerprint"
    )
    subject: str = setting(description="Its subject, RFC 4514.", derived=True)
    sans: tuple[str, ...] = setting(
        (), "Its subject alternative names, such as DNS:a.test.", derived=True, label="Alternative names"
    )
    key_sha256: str = setting(
        "", "SHA-256 of its public key (SubjectPublicKeyInfo), hexadecimal.", derived=True, label="SHA-256 of the key"
    )
    not_before: datetime = setting(description="From when it is valid.", derived=True, label="Valid from")
    not_after: datetime = setting(description="Until when it is valid.", derived=True, label="Valid until")
    owner: Text = setting("", "Who holds it.", label="Holder")
    groups: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), "Groups it belongs to.")
    certificate: str = setting(description="The certificate, PEM.", derived=True)
    chain: str = setting("", "The authorities above it up to, not including, the root, PEM.", derived=True)
    replaces: str | None = setting(None, "The certificate it renewed.", derived=True, label="Renewed from")
    revoked_at: datetime | None = setting(None, "When it was revoked or put on hold.", derived=True, label="Revoked")
    revocation_reason: str | None = setting(None, "Why, as RFC 5280 names it.", derived=True, label="Reason")
    invalidity_date: datetime | None = setting(
        None, "Since when its key is not to be trusted, where that is known.", derived=True, label="Invalid since"
    )
    last_seen: datetime | None = setting(None, "When it was last shown to a listener.", derived=True)


class NewAuthority(Data):
    """What a caller says to have an authority made, with a key that we generate and keep."""

    name: Text = setting("", "A name for people.")
    project_id: Text = setting("", "The project that owns it.")
    kind: Literal["root", "intermediate"] = setting(
        "root", "Whether it signs itself or another authority signs it.", label="Kind of CA"
    )
    parent_id: str | None = setting(
        None, "The authority that signs it; only an intermediate has one.", max_length=255, label="Signed by"
    )
    key: KeySpec = setting("EC-P256", "The kind of key to generate.", label="Kind of key")
    custody: Custody = setting(
        "file",
        "Who makes and keeps its key: we, encrypted, or a PKCS#11 token, which never lets it out.",
        label="Place of the key",
    )
    lifetime_days: Annotated[int, Field(ge=1, le=36_500)] | None = setting(
        None, "How long it is valid; empty is ten years for a root, at most five for an intermediate.", unit="d", label="Lifetime"
    )
    subject: SubjectName = setting(SubjectName(), "Its name; the common name falls back to `name`.")
    path_length: Annotated[int, Field(ge=0, le=10)] | None = setting(
        None,
        "How many levels of authorities may be below it; empty is any number for a root, none for an intermediate.",
        label="Path length",
    )
    name_constraints: NameConstraints | None = setting(None, "Which names it may sign; empty is all.")


class TrustedAuthority(Data):
    """What a caller says to have a CA certificate trusted whose key is elsewhere."""

    name: Text = setting("", "A name for people.")
    project_id: Text = setting("", "The project that owns it.")
    certificate: Annotated[str, Field(min_length=1, max_length=65_536)] = setting(description="The CA certificate, PEM.")


class RequestedNames(Data):
    """The names a certificate is to carry. What the profile does not allow is refused."""

    common_name: Annotated[Text, Field(max_length=64)] | None = setting(None)
    organization: Annotated[Text, Field(max_length=64)] | None = setting(None)
    organizational_unit: Annotated[Text, Field(max_length=64)] | None = setting(None)
    serial_number: Annotated[Text, Field(max_length=64)] | None = setting(None, label="Serial number of the device")
    dns: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), label="DNS names")
    ip: Annotated[tuple[IPAddress, ...], Field(max_length=100)] = setting((), label="IP addresses")
    uri: Annotated[tuple[Reference, ...], Field(max_length=100)] = setting((), label="URIs")
    email: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), label="E-mail addresses")


class NewCertificate(Data):
    """What a caller says to have a certificate issued. Of the CSR only the key is taken; names come from `names` when given."""

    name: Text = setting("", "A name for people.")
    project_id: Text = setting("", "The project that owns it.")
    authority_id: Annotated[str, Field(min_length=1, max_length=255)] = setting(
        description="The authority that is to sign it.", label="Signed by"
    )
    csr: Annotated[str, Field(min_length=1, max_length=65_536)] = setting(description="The PKCS#10 request, PEM.")
    profile: Text = setting("client", "What kind of certificate it is to be.")
    lifetime: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=36_500))] | None = setting(
        None, "How long it is to be valid, an ISO 8601 duration such as P90D; empty is the profile's own."
    )
    owner: Text = setting("", "Who will hold it.", label="Holder")
    groups: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), "Groups it is to belong to.")
    names: RequestedNames | None = setting(None, "The names it is to carry; empty takes those the profile allows from the CSR.")
    justification: Text = setting("", "Why it is needed, for those who have to agree where the profile asks for that.")


class Renew(Data):
    """What a caller says to have a certificate renewed. Of the CSR only the key is taken."""

    csr: Annotated[str, Field(min_length=1, max_length=65_536)] = setting(description="The PKCS#10 request, PEM.")
