"""Why another person has to agree, in words: kinds of things, and each reason."""

from collections.abc import Mapping
from typing import Final

from ostiary.model.approval import Why
from ostiary.web.words import _

KINDS: Final[Mapping[str, str]] = {
    "CLIENT_CA": _("Adding or removing a Client CA"),
    "LOWER_PROTECTION": _("Asking less of clients than before"),
    "MASS_REVOCATION": _("Revoking many certificates at once"),
    "KEY_EXPORT": _("Taking a private key out"),
    "NEW_PERSON": _("Letting in another person"),
    "APPROVALS": _("Changing what needs approval"),
}
# `about` is a name, `more` what of it, `count` a number.
REASONS: Final[Mapping[str, str]] = {
    "ca_added": _("%(about)s gets a Client CA: %(more)s."),
    "ca_changed": _("%(about)s gets another Client CA: %(more)s."),
    "ca_removed": _("%(about)s loses its Client CA."),
    "ca_grown": _("%(about)s trusts CA certificates that it did not trust: %(more)s."),
    "ca_shrunk": _("%(about)s stops trusting CA certificates, and clients that they signed are shut out: %(more)s."),
    "open_listener": _("%(about)s is a new listener that does not demand a client certificate."),
    "listener_deleted": _("%(about)s, which asks for client certificates, is deleted with its rules."),
    "mode_lowered": _("%(about)s asks less of clients."),
    "lists_changed": _("%(about)s loses its revocation list, or gets another one."),
    "stale_allowed": _("%(about)s lets clients in, or does so for longer, when revocation lists have ended."),
    "exception": _("Some requests to %(about)s need no certificate: %(more)s."),
    "no_rules": _("%(about)s loses its last access rule: whoever is let in may reach everything."),
    "deny_weakened": _("What a rule of %(about)s denied may be allowed: %(more)s."),
    "everybody_allowed": _("A rule of %(about)s allows everybody: %(more)s."),
    "another_way": _("A server can be reached through %(about)s, which asks less of clients: %(more)s."),
    "checked_less": _("Revocation of the certificates of %(about)s is checked less."),
    "older_list": _("An older revocation list of %(about)s may take the place of a newer one."),
    "many_revoked": _("%(count)s certificates are revoked, more than one person revokes alone."),
    "authority_revoked": _("%(about)s is revoked, and with it %(count)s certificates."),
    "authority_key": _("The private key of %(about)s leaves this system."),
    "secret": _("A secret that may hold a private key is shown: %(about)s."),
    "new_token": _("Somebody gets a key to the API: %(about)s."),
    "new_user": _("Somebody may sign in: %(about)s."),
    "user_changed": _("Somebody may do other things, or comes with another certificate: %(about)s."),
    "approval_off": _("This would need nobody's approval any more: %(about)s."),
    "kept_shorter": _("The audit record is kept for no more than %(count)s days; older entries are removed."),
    "threshold_raised": _("One person could revoke %(count)s certificates at once."),
}


def said(why: Why) -> str:
    """A reason in English."""
    return REASONS[why.code] % facts(why)


def facts(why: Why) -> dict[str, object]:
    """What stands in the words of a reason."""
    return {"about": why.about, "more": why.more, "count": why.count}
