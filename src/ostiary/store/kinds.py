"""The kinds of resources: each with its table, its model and its names, in the order they depend on each other."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Table

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
from ostiary.model.resource import Resource
from ostiary.model.review import Review
from ostiary.model.rotation import Rotation
from ostiary.model.secret import Container, Secret
from ostiary.model.session import Session, SignInLink
from ostiary.model.token import Token
from ostiary.model.user import User
from ostiary.store import tables

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True)
class Kind(Generic[R]):
    """What is stored of one noun. `title` is what messages call it; `configured` kinds can be reverted to an earlier revision.

    `kept`: all of them are read again and again, so what the same row means is kept.
    """

    name: str
    title: str
    model: type[R]
    table: Table
    configured: bool = True
    kept: bool = False


AUTHORITY = Kind("authority", "Authority", Authority, tables.authorities, configured=False, kept=True)
CERTIFICATE = Kind("certificate", "Certificate", Certificate, tables.certificates, configured=False)
CERTIFICATE_REQUEST = Kind(
    "certificate_request", "Certificate request", CertificateRequest, tables.certificate_requests, configured=False
)
PROFILE = Kind("profile", "Profile", Profile, tables.profiles, configured=False)
ROTATION = Kind("rotation", "Rotation", Rotation, tables.rotations, configured=False, kept=True)
TOKEN = Kind("token", "Token", Token, tables.tokens, configured=False)
USER = Kind("user", "User", User, tables.users, configured=False)
SESSION = Kind("session", "Session", Session, tables.sessions, configured=False)
SIGN_IN_LINK = Kind("sign_in_link", "Sign-in link", SignInLink, tables.sign_in_links, configured=False)
APPROVAL = Kind("approval", "Approval", Approval, tables.approvals, configured=False)
BREAK_GLASS = Kind("break_glass", "Break-glass", BreakGlass, tables.break_glasses, configured=False)
HOUSE_SETTINGS = Kind("house_settings", "Settings", HouseSettings, tables.house_settings, configured=False)
REVIEW = Kind("review", "Review", Review, tables.reviews, configured=False)
NOTIFICATION_TARGET = Kind(
    "notification_target", "Notification target", NotificationTarget, tables.notification_targets, configured=False
)
SECRET = Kind("secret", "Secret", Secret, tables.secrets, configured=False)
CONTAINER = Kind("container", "Container", Container, tables.containers, configured=False)
LOAD_BALANCER = Kind("loadbalancer", "Load Balancer", LoadBalancer, tables.load_balancers)
POOL = Kind("pool", "Pool", Pool, tables.pools)
LISTENER = Kind("listener", "Listener", Listener, tables.listeners)
MEMBER = Kind("member", "Member", Member, tables.members)
HEALTH_MONITOR = Kind("healthmonitor", "Health Monitor", HealthMonitor, tables.health_monitors)
ACCESS_RULE = Kind("access_rule", "Access rule", AccessRule, tables.access_rules)
ACCESS_EXCEPTION = Kind("access_exception", "Access exception", AccessException, tables.access_exceptions)

# What is referred to comes first: the order to create in; deleting goes backwards.
KINDS: tuple[Kind[Resource], ...] = (  # type: ignore[assignment]  # a tuple of kinds of different models
    AUTHORITY,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    PROFILE,
    ROTATION,
    TOKEN,
    USER,
    SESSION,
    SIGN_IN_LINK,
    NOTIFICATION_TARGET,
    REVIEW,
    HOUSE_SETTINGS,
    APPROVAL,
    BREAK_GLASS,
    SECRET,
    CONTAINER,
    LOAD_BALANCER,
    POOL,
    LISTENER,
    MEMBER,
    HEALTH_MONITOR,
    ACCESS_RULE,
    ACCESS_EXCEPTION,
)
BY_NAME = {kind.name: kind for kind in KINDS}

# What a configuration is made of and only `ops.change` writes: each row bears the revision that last wrote it, and no two that
# were committed are of one revision and differ. So who knows a revision need read only what is newer (`store.held`).
REVISED: tuple[Kind[Any], ...] = (SECRET, CONTAINER, *(kind for kind in KINDS if kind.configured))
