"""Who is told: a mailbox or a web address, of what, in which language, and how it went."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from ostiary.model.fields import CIDR, Port, Private, Text, setting
from ostiary.model.resource import Resource
from ostiary.model.warning import TOPICS, Severity, Topic

TargetKind = Literal["EMAIL", "WEBHOOK"]
MailSecurity = Literal["STARTTLS", "TLS", "PLAIN"]
Language = Literal["en", "vi"]
MessageState = Literal["WAITING", "SENT", "DEAD"]

RECIPIENTS_MAX: Final = 50
_LOCAL: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
_MAILBOX: Final = re.compile(rf"(?=.{{3,254}}\Z){_LOCAL}@{_HOST}", re.ASCII)
_SERVER: Final = re.compile(rf"(?=.{{1,253}}\Z){_HOST}", re.ASCII)


def _mailbox(text: str) -> str:
    """An address and nothing else: a line break, a comma or a name beside it would be another header, or another reader."""
    if not _MAILBOX.fullmatch(text):
        raise ValueError("must be one e-mail address such as pki@example.com, of ASCII characters")
    return text


def _server(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    if text and not _SERVER.fullmatch(text):
        raise ValueError("must be a host name or an IP address; write other names as xn--…")
    return text.lower()


Mailbox = Annotated[str, StringConstraints(max_length=254), AfterValidator(_mailbox)]
MailServer = Annotated[str, StringConstraints(max_length=253), AfterValidator(_server)]
Topics = Annotated[tuple[Topic, ...], Field(min_length=1, max_length=len(TOPICS))]


class NotificationTarget(Resource):
    """Somebody who is told. What is secret, the password or the key of signatures and the whole address, is in `sealed` alone."""

    name: Annotated[Text, StringConstraints(min_length=1)] = setting(description="A name for people.")
    kind: TargetKind = setting(description="EMAIL: letters. WEBHOOK: signed JSON, by POST.", fixed=True, label="Kind")
    enabled: bool = setting(True, "Whether anything is sent there.", label="In service")
    topics: Topics = setting(
        TOPICS,
        "What it is told of: what ends, revocation lists, gateways, break-glass, approvals that wait, other targets that fail.",
        label="Topics",
    )
    severity: Severity = setting("INFO", "The least that is told.", label="Least severity")
    language: Language = setting("en", "The language of what is told.")
    digest_hours: Annotated[int, Field(ge=0, le=168)] = setting(
        24,
        "What does not hurry is gathered so long and told together; what is critical is told at once. 0: each by itself.",
        label="Gather for",
        unit="h",
    )
    private_networks: Annotated[tuple[CIDR, ...], Field(max_length=50)] = setting(
        (),
        "Networks outside the open Internet where it may be, such as 10.20.0.0/16, or 127.0.0.0/8 for this machine.",
        label="Networks of our own that may be reached",
    )
    trusted_certificates: Annotated[str, Field(max_length=65_536)] = setting(
        "",
        "CA certificates, PEM, that vouch for its server; empty is those that this system trusts.",
        label="CA certificates of its server",
    )

    host: MailServer = setting("", "The mail server.", label="Mail server", group="mail")
    port: Port | None = setting(None, "Its port; empty is 587, 465 for TLS, 25 for PLAIN.", label="Port", group="mail")
    security: MailSecurity = setting(
        "STARTTLS",
        "STARTTLS, or TLS from the beginning. PLAIN sends unencrypted, and never a password but to this machine.",
        label="Encryption",
        group="mail",
    )
    username: Text = setting("", "Whom to sign in as; empty signs in as nobody.", label="User", group="mail")
    sender: Mailbox | None = setting(None, "Whom letters are from.", label="From", group="mail")
    recipients: Annotated[tuple[Mailbox, ...], Field(max_length=RECIPIENTS_MAX)] = setting(
        (), "Whom letters are for.", label="To", group="mail"
    )

    url_shown: str = setting("", "Where it is; its path may be a secret, and is not shown.", derived=True, label="Address")
    has_secret: bool = setting(
        False, "Whether a password, or a key for signatures, is kept for it.", derived=True, label="Has a secret"
    )
    sealed: Private = setting(Private(b""), "Its password, or its key and address, sealed.", derived=True)

    @property
    def mail_port(self) -> int:
        """The port of the mail server."""
        return self.port or {"STARTTLS": 587, "TLS": 465, "PLAIN": 25}[self.security]


@dataclass(frozen=True)
class Message:
    """One thing to tell one target. `body` is JSON; `error` is why it was not taken when it was last tried.

    `refused`: its server answered, and did not want this one; those after it need not wait for it.
    """

    id: str
    target_id: str
    sequence: int
    type: str
    state: MessageState
    created_at: datetime
    next_at: datetime
    attempts: int
    refused: bool
    body: str
    error: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `refused` as in `Message`; `error` is empty where it was taken, `note` what was not of all."""

    error: str = ""
    refused: bool = False
    note: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether its server has it now."""
        return not self.error


@dataclass(frozen=True)
class Standing:
    """How it stands with a target: what waits, what was given up, and since when nothing has got through.

    `dead` are kept still, with the reason; `given_up` is how many there ever were.
    """

    waiting: int = 0
    dead: int = 0
    given_up: int = 0
    sent: int = 0
    failing_since: datetime | None = None
    last_error: str = ""
    last_sent_at: datetime | None = None
