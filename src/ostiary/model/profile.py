"""A profile: what certificates of one kind may hold, how long they last, and who has to agree."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import Text, setting
from ostiary.model.resource import Resource

Approval = Literal["automatic", "one", "two"]
NameKind = Literal["common_name", "organization", "organizational_unit", "serial_number", "dns", "ip", "uri", "email"]
KeyUsage = Literal["digitalSignature", "contentCommitment", "keyEncipherment", "keyAgreement"]
Purpose = Literal["clientAuth", "serverAuth", "emailProtection", "ipsecIKE", "smartcardLogon"]
KeyKind = Literal["EC P-256", "EC P-384", "EC P-521", "Ed25519", "RSA"]

ProfileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Duration = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=36_500))]
Pattern = Annotated[str, Field(min_length=1, max_length=2048)]
_NAMES = Field(max_length=8)


class Profile(Resource):
    """What certificates of one kind may hold. Stored when it is not, or not quite, one of those that are built in."""

    name: ProfileName = setting(description="What certificates of this kind are asked for by.", fixed=True)
    description: Text = setting("", "A note for people.")
    extended_key_usages: Annotated[tuple[Purpose, ...], Field(min_length=1, max_length=5)] = setting(
        ("clientAuth",), "What the certificate is for (extended key usages).", label="What it is for"
    )
    key_usages: Annotated[tuple[KeyUsage, ...], Field(min_length=1, max_length=4)] = setting(
        ("digitalSignature",), "What its key may do.", label="What its key may do"
    )
    rsa_key_usages: Annotated[tuple[KeyUsage, ...], Field(max_length=4)] = setting(
        (), "What an RSA key may do besides.", label="What an RSA key may do besides"
    )
    names_allowed: Annotated[tuple[NameKind, ...], Field(min_length=1), _NAMES] = setting(
        ("common_name",), "The kinds of names it may carry.", label="Names it may carry"
    )
    names_required: Annotated[tuple[NameKind, ...], Field(min_length=1), _NAMES] = setting(
        ("common_name",), "The kinds of names of which it must carry at least one.", label="Names of which it needs one"
    )
    name_patterns: Mapping[NameKind, Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)]] = setting(
        {},
        "For a kind of name, the patterns of which each name must match one; a kind that is left out is free.",
        label="Patterns of names",
    )
    wildcards: bool = setting(False, "Whether DNS names may be wildcards.", label="DNS names may be wildcards")
    common_name_must_be_alternative: bool = setting(
        False,
        "Whether the common name must also be among the DNS names and addresses.",
        label="The common name must be among the other names",
    )
    max_alternatives: Annotated[int, Field(ge=1, le=100)] = setting(
        100, "How many alternative names it may carry.", label="Alternative names at most"
    )
    key_types: Annotated[tuple[KeyKind, ...], Field(min_length=1, max_length=5)] = setting(
        ("EC P-256", "EC P-384", "RSA"), "The kinds of keys it may have.", label="Kinds of keys"
    )
    min_rsa_bits: Annotated[int, Field(ge=2048, le=8192)] = setting(
        2048, "How long an RSA key must be.", unit="bit", label="RSA keys of at least"
    )
    default_lifetime: Duration = setting(timedelta(days=90), "How long it is valid when nothing is said.", label="Lifetime")
    max_lifetime: Duration = setting(timedelta(days=366), "How long it may be valid.", label="Lifetime at most")
    backdate: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(hours=1))] = setting(
        timedelta(minutes=5), "How long before its issue it begins.", label="Begins before its issue by"
    )
    renewal_window: Annotated[int, Field(ge=1, le=100)] = setting(
        67, "The last part of its life, in which it may be renewed.", unit="%", label="Renewed in the last part of its life"
    )
    allow_key_reuse: bool = setting(
        False, "Whether a renewed certificate may keep the key.", label="May keep its key when renewed"
    )
    approval: Approval = setting("automatic", "How many people must agree before it is issued.", label="Approval")
