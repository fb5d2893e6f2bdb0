"""Who is signed in to the console: since when, how, and until when; and the links by which one gets in once."""

from datetime import datetime, timedelta
from typing import Final, Literal

from ostiary.model.fields import Text, setting
from ostiary.model.resource import Resource
from ostiary.model.token import Role

# The cookie that holds its secret; with `__Secure-` before it where that is possible.
SESSION_COOKIE: Final = "ostiary-session"

How = Literal["link", "token", "certificate"]

# Twelve hours are a long working day; an hour is a lunch break.
SESSION_LIFETIME: Final = timedelta(hours=12)
SESSION_IDLE: Final = timedelta(hours=1)
LINK_LIFETIME: Final = timedelta(minutes=15)


class Session(Resource):
    """One person at one browser. `name` is what the record calls them.

    Its secret is the browser's alone; the store finds the session by the secret's SHA-256. It lives no longer than what it was
    begun with: the access token, the user, the certificate.
    """

    role: Role = setting(description="What they may do.", derived=True)
    how: How = setting(description="How they signed in.", derived=True)
    token_id: str | None = setting(None, "The token that it hangs on.", derived=True)
    user_id: str | None = setting(None, "The user that it hangs on.", derived=True)
    fingerprint_sha256: str | None = setting(
        None, "The certificate that has to be shown with it.", derived=True, label="SHA-256 fingerprint"
    )
    source: Text = setting("", "The address it was begun from.", derived=True, label="From")
    seen_at: datetime = setting(description="When it was last used, to the minute.", derived=True, label="Last used")
    expires_at: datetime = setting(description="When it ends, however much it is used.", derived=True, label="Expires")


class SignInLink(Resource):
    """A link that signs in once, whoever follows it, under the name and role of who made it: `name` and `role`."""

    role: Role = setting(description="What whoever follows it may do.", derived=True)
    token_id: str | None = setting(None, "The token of who made it.", derived=True)
    user_id: str | None = setting(None, "The user who made it.", derived=True)
    expires_at: datetime = setting(description="Until when it is good.", derived=True, label="Expires")
