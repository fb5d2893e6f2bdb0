"""Secrets and containers: certificates, keys and revocation lists that other things refer to. Barbican's nouns."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import Data, Private, Reference, Text, setting
from ostiary.model.resource import Resource

SecretType = Literal["certificate", "private", "public", "passphrase", "symmetric", "opaque"]
PayloadType = Literal["text/plain", "application/octet-stream", "application/pkcs8", "application/pkix-cert"]


class Secret(Resource):
    """Bytes under a name. The payload is stored encrypted and is not part of what is listed."""

    secret_type: SecretType = setting("opaque", "What kind of thing it is.", fixed=True)
    payload: Private = setting(Private(b""), "The bytes.", derived=True)
    payload_content_type: PayloadType = setting("application/octet-stream", "How to read it.", fixed=True)
    algorithm: Text | None = setting(None, "For people and other clients.", fixed=True)
    bit_length: Annotated[int, Field(ge=1, le=65_536)] | None = setting(None, "For people and other clients.", fixed=True)
    mode: Text | None = setting(None, "For people and other clients.", fixed=True)
    expiration: datetime | None = setting(None, "After this the secret may not be used.", fixed=True)


class SecretRef(Data):
    """One part of a container."""

    name: Literal["certificate", "private_key", "intermediates", "private_key_passphrase"]
    secret_ref: Reference


class Container(Resource):
    """A certificate, its key and what belongs to them, each in a secret."""

    type: Literal["certificate"] = setting("certificate", "Only certificate containers are known.", fixed=True)
    secret_refs: tuple[SecretRef, ...] = setting((), "Its parts.", fixed=True, max_length=4)
