"""How we learn which certificates of somebody else's authority are revoked, and what to do when we cannot."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from ostiary.model.fields import CIDR, Data, Port, setting

RevocationCheck = Literal["NONE", "CRL", "OCSP", "CRL_AND_OCSP"]
StalePolicy = Literal["REFUSE", "ALLOW", "ALARM"]
StatusState = Literal["NOT_CHECKED", "FRESH", "ENDING", "STALE_REFUSED", "STALE_ALLOWED", "MISSING"]

# What is known of one certificate. `listed`: it is on its authority's list. `revoked`, `good` and `unknown` are the responder's
# words, or `unknown` is the lack of them; `withheld`: of that one nothing is known, and so it is refused.
ForeignStatusWord = Literal["good", "unknown", "revoked", "listed", "withheld"]
REFUSED: Final[tuple[ForeignStatusWord, ...]] = ("revoked", "listed", "withheld")

_SCHEMES: Final = ("http://", "https://")


def _web_address(text: str) -> str:
    if text.lower().startswith("ldap"):
        raise ValueError("LDAP is not asked; have the list published over http, or upload it")
    if not text.lower().startswith(_SCHEMES) or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be an http or https URL of printable ASCII characters")
    if "@" in text.split("/", 3)[2]:
        raise ValueError("must not hold a user name or password")
    return text


WebAddress = Annotated[str, StringConstraints(min_length=10, max_length=2048), AfterValidator(_web_address)]
WebAddresses = Annotated[tuple[WebAddress, ...], Field(max_length=20)]


class StatusCheck(Data):
    """What an operator decides about the status of certificates that an imported authority signed."""

    revocation_check: RevocationCheck = setting(
        "NONE", "How revocation is learned: its revocation lists (at the handshake), its OCSP responder (of those seen), or both."
    )
    crl_urls: WebAddresses = setting(
        (),
        "Where its revocation lists are; empty asks the addresses in the certificates themselves, and takes what is uploaded.",
        label="Addresses of revocation lists",
    )
    ocsp_urls: WebAddresses = setting(
        (), "Where its OCSP responder is; empty asks the address in each certificate.", label="Addresses of OCSP responders"
    )
    stale_status: StalePolicy = setting(
        "REFUSE",
        "When there is no current news: REFUSE its clients, ALLOW them for `stale_allow_hours`, or only raise an ALARM.",
        label="Without current news",
    )
    stale_allow_hours: Annotated[int, Field(ge=1, le=8760)] = setting(
        24, "For how long ALLOW lets them in.", unit="h", label="Let in for"
    )
    refresh_minutes: Annotated[int, Field(ge=1, le=10_080)] = setting(
        60,
        "How often to ask at least; lists also at half of their life, or when they say that the next one comes.",
        unit="min",
        label="Ask every",
    )
    fetch_private_networks: Annotated[tuple[CIDR, ...], Field(max_length=50)] = setting(
        (),
        "Networks outside the open Internet where lists and responders may be asked, such as 10.20.0.0/16.",
        label="Networks of our own that may be asked",
    )
    fetch_ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=20)] = setting(
        (80, 443), "Ports where they may be asked.", label="Ports that may be asked"
    )

    @property
    def by_list(self) -> bool:
        """Whether the engine is to refuse by revocation lists."""
        return self.revocation_check in {"CRL", "CRL_AND_OCSP"}

    @property
    def by_ocsp(self) -> bool:
        """Whether its responder is asked about certificates that were seen."""
        return self.revocation_check in {"OCSP", "CRL_AND_OCSP"}


class StatusCheckState(Data):
    """How it stands with the news of one authority. Derived: from the list that is held, the time, and the last attempt."""

    state: StatusState = "NOT_CHECKED"
    number: int | None = None
    entries: int | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None
    source: Literal["uploaded", "fetched"] | None = None
    last_fetched: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True)
class ForeignStatus:
    """What is known of a certificate that somebody else's authority issued and that was seen in use.

    `next_update` is until when that stands. `error` is why there is no better news.
    """

    fingerprint_sha256: str
    authority_id: str
    serial: str
    status: ForeignStatusWord
    checked_at: datetime
    revoked_at: datetime | None = None
    next_update: datetime | None = None
    error: str | None = None
