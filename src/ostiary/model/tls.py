"""TLS settings shared by listeners and pools, and the resolved material the engine is handed."""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints

from ostiary.model.fields import Data, Private

T = TypeVar("T")

TLSVersion = Literal["TLSv1.2", "TLSv1.3"]
ALPNProtocol = Literal["h2", "http/1.1"]

# What BoringSSL in Envoy 1.40 speaks on TLS 1.2 (each was negotiated), strongest first. Anything else would be a NACK,
# so it is refused where it is written. TLS 1.3 suites cannot be chosen in BoringSSL and are always on.
TLS12_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)
TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def _known_ciphers(text: str) -> str:
    names = text.split(":")
    for name in names:
        if name not in TLS12_CIPHERS and name not in TLS13_CIPHERS:
            raise ValueError(f"'{name}' is not a cipher suite of the engine; choose from {', '.join(TLS12_CIPHERS)}")
    if not any(name in TLS12_CIPHERS for name in names):
        raise ValueError("at least one TLS 1.2 cipher suite is needed; TLS 1.3 suites are always on")
    return text


def _no_repeats(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(items)) != len(items):
        raise ValueError("each value may be given once")
    return items


Ciphers = Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(_known_ciphers)]
TLSVersions = Annotated[tuple[TLSVersion, ...], Field(min_length=1), AfterValidator(_no_repeats)]
ALPNProtocols = Annotated[tuple[ALPNProtocol, ...], Field(min_length=1), AfterValidator(_no_repeats)]


class Identity(Data):
    """A certificate that one side of TLS presents, with its key. `name` is stable, so a renewal keeps it."""

    name: str
    certificate_chain: str  # PEM, leaf first
    private_key: Private  # PEM, unencrypted


class Trust(Data):
    """Who may have signed the other side's certificate, and which of those certificates are revoked.

    Never empty: an engine told to verify against nothing would accept everything.
    """

    name: str
    certificates: Annotated[str, Field(min_length=1)]  # PEM, one or more CA certificates
    crls: str = ""  # PEM, none or one for every one of those certificates
    rehearsed: bool = False  # whoever fails is let in, and told apart
