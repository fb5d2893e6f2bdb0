"""What is done here, in words: each action of the record as people say it, and each kind of thing it is done to."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from ostiary.console.visit import Visit
from ostiary.model.access import AccessException, AccessRule
from ostiary.model.approval import Approval, BreakGlass
from ostiary.model.authority import Authority, Certificate
from ostiary.model.balancer import LoadBalancer
from ostiary.model.health import HealthMonitor
from ostiary.model.house import HouseSettings
from ostiary.model.listener import Listener
from ostiary.model.notification import NotificationTarget
from ostiary.model.pool import Member, Pool
from ostiary.model.profile import Profile
from ostiary.model.request import CertificateRequest
from ostiary.model.review import Review
from ostiary.model.rotation import Rotation
from ostiary.model.secret import Container, Secret
from ostiary.model.session import Session, SignInLink
from ostiary.model.token import Token
from ostiary.model.user import User
from ostiary.web.words import _

DEEDS: Final[Mapping[str, str]] = {
    "access-exception:create": _("Created an access exception"),
    "access-exception:delete": _("Deleted an access exception"),
    "access-exception:update": _("Changed an access exception"),
    "access-rule:create": _("Created an access rule"),
    "access-rule:delete": _("Deleted an access rule"),
    "access-rule:update": _("Changed an access rule"),
    "audit:export": _("Handed out the audit record"),
    "audit:new-key": _("Made a key that signs the audit record"),
    "audit:prune": _("Removed old entries from the audit record"),
    "approval:approve": _("Agreed to what somebody else asked for"),
    "approval:ask": _("Asked for another person's approval"),
    "approval:lapse": _("An approval lapsed"),
    "approval:overtaken": _("Agreed to what could not be done any more"),
    "approval:refuse": _("Refused what somebody else asked for"),
    "approval:withdraw": _("Took back what they had asked for"),
    "audit:report": _("Made an evidence pack"),
    "authority:create": _("Created a CA"),
    "authority:cross-sign": _("Cross-signed a CA"),
    "authority:delegate": _("Gave OCSP answers a new key"),
    "authority:delete": _("Deleted a CA"),
    "authority:export-key": _("Exported the key of a CA"),
    "authority:fetch": _("Fetched news of a CA"),
    "authority:import": _("Imported a CA"),
    "authority:import-key": _("Imported the key of a CA"),
    "authority:learn": _("Learned how certificates of others stand"),
    "authority:revoke": _("Revoked a CA"),
    "authority:roll": _("Had the next CA of a name take over"),
    "authority:update": _("Changed a CA"),
    "authority:upload": _("Uploaded the revocation list of a CA"),
    "caller:refuse": _("Was refused what their role does not allow"),
    "break-glass:begin": _("Began to do without approval"),
    "break-glass:end": _("Doing without approval came to its end"),
    "break-glass:review": _("Signed off what was done without approval"),
    "backup:finish": _("Finished a backup"),
    "backup:make": _("Began a backup"),
    "backup:recall": _("Recalled what was revoked after a backup"),
    "backup:restore": _("Restored a backup"),
    "certificate:approve": _("Approved a certificate request"),
    "certificate:enroll": _("Enrolled a certificate"),
    "certificate:issue": _("Issued a certificate"),
    "certificate:lint": _("Checked a certificate against the standards again"),
    "certificate:refuse": _("Refused a certificate request"),
    "certificate:renew": _("Renewed a certificate"),
    "certificate:request": _("Asked for a certificate"),
    "certificate:revoke": _("Revoked a certificate, or put it on hold or released it"),
    "certificate:update": _("Changed a certificate's owner, name or groups"),
    "console:renew-certificate": _("Renewed the certificate of the console's door"),
    "container:create": _("Created a certificate container"),
    "container:renew": _("Renewed a server certificate"),
    "container:delete": _("Deleted a certificate container"),
    "enrolment:renew-certificate": _("Renewed the certificate of the door to enrolment"),
    "healthmonitor:create": _("Created a health monitor"),
    "healthmonitor:delete": _("Deleted a health monitor"),
    "healthmonitor:update": _("Changed a health monitor"),
    "kek:protect": _("Protected the key-encryption key by a passphrase"),
    "kek:rotate": _("Replaced the key-encryption key"),
    "kek:unprotect": _("Took the passphrase off the key-encryption key"),
    "listener:create": _("Created a listener"),
    "listener:delete": _("Deleted a listener"),
    "listener:renew-certificate": _("Renewed the server certificate of a listener"),
    "listener:update": _("Changed a listener"),
    "loadbalancer:create": _("Created a load balancer"),
    "loadbalancer:delete": _("Deleted a load balancer"),
    "loadbalancer:update": _("Changed a load balancer"),
    "member:create": _("Added a member to a pool"),
    "member:delete": _("Removed a member from a pool"),
    "member:replace": _("Replaced the members of a pool"),
    "member:update": _("Changed a member of a pool"),
    "notification-target:create": _("Added a notification target"),
    "notification-target:delete": _("Deleted a notification target"),
    "notification-target:test": _("Sent a test to a notification target"),
    "notification-target:update": _("Changed a notification target"),
    "pool:create": _("Created a pool"),
    "pool:delete": _("Deleted a pool"),
    "pool:update": _("Changed a pool"),
    "profile:create": _("Created a certificate profile"),
    "profile:delete": _("Deleted a certificate profile"),
    "profile:update": _("Changed a certificate profile"),
    "review:create": _("Signed off a review"),
    "revision:revert": _("Went back to an earlier revision"),
    "rotation:finish": _("Finished the rotation of a CA"),
    "rotation:start": _("Started the rotation of a CA"),
    "rotation:undo": _("Took back the rotation of a CA"),
    "secret:create": _("Stored a secret"),
    "secret:decrypt": _("Downloaded a secret"),
    "secret:delete": _("Deleted a secret"),
    "session:begin": _("Signed in"),
    "session:end": _("Signed out, or ended a session"),
    "session:lapse": _("A session came to its end"),
    "session:refuse": _("Sign-ins were refused"),
    "settings:update": _("Changed the settings"),
    "sign-in-link:create": _("Made a sign-in link"),
    "sign-in-link:forget": _("A sign-in link came to its end"),
    "token:create": _("Created a token"),
    "token:delete": _("Deleted a token"),
    "token:forget": _("A token came to its end"),
    "user:create": _("Added a user"),
    "user:delete": _("Removed a user"),
    "user:update": _("Changed a user"),
}


class Sort:
    """A kind of thing: what people call one, the model that names its fields, and where its page is."""

    def __init__(self, word: str, model: type[BaseModel] | None = None, place: str = "") -> None:
        self.word = word
        self.model = model
        self.place = place


# By the kind's name on record. Places have the thing's id in them, or that of what it is shown with.
SORTS: Final[Mapping[str, Sort]] = {
    "loadbalancer": Sort(_("Load Balancer"), LoadBalancer, "/console/balancers/{id}"),
    "listener": Sort(_("Listener"), Listener, "/console/listeners/{id}"),
    "pool": Sort(_("Pool"), Pool, "/console/pools/{id}"),
    "member": Sort(_("Member"), Member),
    "healthmonitor": Sort(_("Health Monitor"), HealthMonitor),
    "access_rule": Sort(_("Access rule"), AccessRule),
    "access_exception": Sort(_("Access exception"), AccessException),
    "authority": Sort(_("CA certificate"), Authority, "/console/authorities/{id}"),
    "certificate": Sort(_("Certificate"), Certificate, "/console/certificates/{id}"),
    "certificate_request": Sort(_("Certificate request"), CertificateRequest),
    "profile": Sort(_("Certificate profile"), Profile),
    "review": Sort(_("Review"), Review, "/console/reviews/{id}"),
    "rotation": Sort(_("Rotation"), Rotation),
    "token": Sort(_("Token"), Token, "/console/people/tokens/{id}"),
    "user": Sort(_("User"), User, "/console/people/users/{id}"),
    "session": Sort(_("Session"), Session),
    "sign_in_link": Sort(_("Sign-in link"), SignInLink),
    "house_settings": Sort(_("Settings"), HouseSettings, "/console/settings"),
    "notification_target": Sort(_("Notification target"), NotificationTarget, "/console/notifications/{id}"),
    "secret": Sort(_("Secret"), Secret),
    "container": Sort(_("Server certificate"), Container, "/console/server-certificates/{id}"),
    "audit": Sort(_("Audit record"), None, "/console/audit"),
    "audit_key": Sort(_("Key that signs the audit record")),
    "caller": Sort(_("Who asks")),
    "approval": Sort(_("Approval"), Approval, "/console/approvals/{id}"),
    "break_glass": Sort(_("Break-glass"), BreakGlass, "/console/break-glass/{id}"),
    "kek": Sort(_("Key-encryption key")),
    "backup": Sort(_("Backup")),
    "ocsp_signer": Sort(_("OCSP responder"), None, "/console/authorities/{id}"),
    "foreign_certificate": Sort(_("Certificate of another CA")),
}


def deed(visit: Visit, action: str) -> str:
    """An action in words; one that is not known here by its own name."""
    known = DEEDS.get(action)
    return action if known is None else visit.say(known)


def sort(visit: Visit, kind: str) -> str:
    """A kind in words, likewise."""
    known = SORTS.get(kind)
    return kind if known is None else visit.say(known.word)
