"""What becomes of a client at a listener, and why: the question, and the answer with every check that was made."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from ostiary.model.fields import Data, IPAddress, Text, setting

CERTIFICATE_MAX: Final = 256 * 1024
HEADERS_MAX: Final = 20

Stage = Literal["handshake", "request"]
# "no match" is of what would have let it through, or decided otherwise, and does not fit this request.
Result = Literal["passed", "failed", "no match", "not reached"]


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("a path begins with /")
    return text


_Visible = StringConstraints(pattern=r"^[!-~]*$")
Id = Annotated[Text, StringConstraints(min_length=1)]
Host = Annotated[str, StringConstraints(max_length=270, pattern=r"^[A-Za-z0-9._~:\[\]*!$&'()+,;=%-]*$")]
ServerName = Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9._-]*$")]
Path = Annotated[str, StringConstraints(max_length=8192), _Visible, AfterValidator(_path)]
Method = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderName = Annotated[str, StringConstraints(min_length=1, max_length=64, to_lower=True, pattern=r"^[A-Za-z0-9-]+$")]
HeaderValue = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[ -~]*$")]


class ExplainRequest(Data):
    """Who comes, and what they ask for."""

    listener_id: Id = setting(description="The listener they come to.")
    certificate: Annotated[str, StringConstraints(min_length=1, max_length=CERTIFICATE_MAX)] | None = setting(
        None, "What they show, PEM: their own certificate first, then the rest of the chain they would send. Empty is none."
    )
    certificate_id: Id | None = setting(None, "In place of that: a certificate that was issued here, with its chain.")
    host: Host = setting("", "The host they ask for, as in the Host header.")
    path: Path = setting("/", "The path they ask for, with or without a query.")
    method: Method = setting("GET", "The HTTP method.")
    source: IPAddress | None = setting(
        None, "The address they come from. Needed only where the answer hangs on it.", label="Client address"
    )
    sni: ServerName | None = setting(
        None, "The name they give in the handshake; that of the host by default, empty is none.", label="Server name (SNI)"
    )
    at: AwareDatetime | None = setting(None, "When; now by default.", label="Time")
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=HEADERS_MAX)] = setting(
        {}, "Headers of the request that exceptions look at: Origin and Access-Control-Request-Method."
    )


class ExplainedCheck(Data):
    """One thing that is looked at, in its turn, and what came of it."""

    stage: Stage
    name: str
    result: Result
    detail: str


class Judged(Data):
    """A decision, where it falls, its stable code and what can be done about it."""

    decision: Literal["ALLOW", "DENY"]
    stage: Stage
    reason: str
    detail: str
    fix: str  # empty where nothing is refused
    access_rule_id: str | None
    access_exception_id: str | None
    checks: tuple[ExplainedCheck, ...]


class ExplainedCertificate(Data):
    """What was read in the certificate, as rules see it."""

    subject: str
    serial: str
    fingerprint_sha256: str
    issuer_fingerprint_sha256: str | None
    dns: str
    uri: str
    email: str


class ShownCertificate(Data):
    """One of the certificates that are shown; nothing but its fingerprint where the engine cannot read it."""

    subject: str = ""
    issuer: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    fingerprint_sha256: str


class Explanation(Judged):
    """The answer. `would_be` is what would become of it if what is rehearsed were in force; null where nothing is."""

    listener_id: str
    revision: int  # of the configuration it was judged by
    path: str | None  # as rules and members see it; null where the engine answers 400
    certificate: ExplainedCertificate | None
    would_be: Judged | None
