"""What warnings say, in the language of whoever is told: what ends, when, and the way out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from ostiary.model.warning import Notice, Severity, Topic, WarningKind
from ostiary.web import formats, words
from ostiary.web.words import _

KINDS: Final[Mapping[WarningKind, str]] = {
    "CLIENT_CERTIFICATE": _("Client certificate"),
    "SERVER_CERTIFICATE": _("Server certificate"),
    "AUTHORITY": _("CA certificate"),
    "REVOCATION_LIST": _("Revocation list"),
    "OCSP_SIGNER": _("Signer of OCSP answers"),
    "ACCESS_EXCEPTION": _("Access exception"),
    "ACCESS_TOKEN": _("Access token"),
    "GATEWAY": _("Gateways"),
    "LISTENER": _("Listener"),
    "APPROVAL": _("Waits for approval"),
    "BREAK_GLASS": _("Break-glass"),
    "NOTIFICATION_TARGET": _("Notification target"),
}
SEVERITIES: Final[Mapping[Severity, str]] = {"INFO": _("Notice"), "WARNING": _("Warning"), "CRITICAL": _("Critical")}
TOPICS: Final[Mapping[Topic, str]] = {
    "EXPIRY": _("What ends: certificates, CAs, exceptions, tokens"),
    "FRESHNESS": _("Revocation lists and OCSP"),
    "GATEWAYS": _("Gateways and listeners that do not work"),
    "BREAK_GLASS": _("Break-glass"),
    "APPROVALS": _("Approvals that wait"),
    "NOTIFICATIONS": _("Other targets that fail"),
}
# What to do, by `Notice.way`.
WAYS: Final[Mapping[str, str]] = {
    "client": _("Have its holder renew it, or issue its successor; whoever shows it after its end is refused."),
    "foreign client": _("Another CA issued it: have its holder ask there for a new one."),
    "server": _("Upload its successor in its place; connections are not lost."),
    "server chain": _("Upload it again with a current chain: a CA certificate that is sent along with it ends first."),
    "own server": _("ostiary renews it by itself, and has not: look for the reason in its log."),
    "root": _("Make its successor, and rotate to it; what it signed ends with it."),
    "issuing authority": _("Have a new issuing CA take over; listeners trust it at once."),
    "imported authority": _("Import its successor, and trust that one too; its clients are refused after its end."),
    "trusted authority": _("Put its successor into the file that these listeners or pools trust."),
    "list of ours": _("ostiary signs it anew by itself, and has not: look for the reason in its log, or bring back its token."),
    "list of a key elsewhere": _("Bring its key back and have a list signed; clients are refused once the list has ended."),
    "fetched list": _(
        "Fetch it by hand, and see why that fails; clients are refused once the list has ended, unless you chose else."
    ),
    "uploaded list": _("Upload the next list; clients are refused once this one has ended, unless you chose else."),
    "list in a secret": _("Put the next list into a secret, and have these listeners use that one."),
    "ocsp signer": _("Bring back the token or the key of this CA: nobody answers OCSP for it otherwise."),
    "exception": _("Renew it, or be ready: such requests need a certificate after its end."),
    "token": _("Make another, and give it to whoever uses this one."),
    "no gateway": _("No gateway is connected: what is changed is not in force until one is."),
    "short of memory": _("It ends requests that hold much, and refuses others: see who holds them, or give it more memory."),
    "lists ended, refusing": _("Revocation lists have ended: clients with certificates are refused."),
    "lists ended, allowing": _("Revocation lists have ended: certificates that were revoked since may still be let in."),
    "listener refused": _("The engine refuses this listener: change it, or go back to an earlier revision."),
    "request": _("Approve or refuse it, before it lapses."),
    "approval": _("Approve or refuse it, before it lapses."),
    "break-glass": _("Somebody does alone what else takes two: see in the record what, and ask them why."),
    "target": _("Nothing gets through to this target: see why, and mend it."),
}
_STAGES: Final = {
    "ENDED": _("%(kind)s %(name)s has ended"),
    "HALF_LIFE": _("%(kind)s %(name)s is past half of its life"),
    "NOW": _("%(kind)s %(name)s"),
}


def title(notice: Notice, language: str, at: datetime) -> str:
    """What it is, in a line."""
    said = words.of(language)
    kind, name = said.gettext(KINDS[notice.kind]), line(notice.name)
    if notice.stage != "DAYS" or notice.ends_at is None:
        return (said.gettext(_STAGES[notice.stage]) % {"kind": kind, "name": name}).strip()
    days = (notice.ends_at - at).days
    if days < 1:
        return said.gettext(_("%(kind)s %(name)s ends within a day")) % {"kind": kind, "name": name}
    told = said.ngettext("%(kind)s %(name)s ends in %(num)s day", "%(kind)s %(name)s ends in %(num)s days", days)
    return told % {"kind": kind, "name": name, "num": days}


def facts(notice: Notice, language: str) -> tuple[str, ...]:
    """What else is known of it, a line each."""
    said = words.of(language)
    known = (
        (_("Ends"), moment(notice.ends_at) if notice.ends_at is not None else ""),
        (_("Last seen"), moment(notice.last_seen) if notice.last_seen is not None else ""),
        (_("Used by"), ", ".join(notice.listeners)),
        (_("Owner"), notice.owner),
    )
    found = [f"{said.gettext(what)}: {line(text)}" for what, text in known if text]
    return tuple([*found, line(notice.detail)] if notice.detail else found)


def way(notice: Notice, language: str) -> str:
    """What to do."""
    return words.of(language).gettext(WAYS[notice.way]) if notice.way in WAYS else ""


def count(number: int, language: str) -> str:
    """A number as people write it."""
    return formats.number(number, language)


def moment(at: datetime) -> str:
    """A time that everybody reads alike, wherever they are."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def line(text: str) -> str:
    """A text as one line of what people can see: strangers choose the names in certificates, and line breaks in them."""
    return "".join(character if character.isprintable() else " " for character in text)[:500]
