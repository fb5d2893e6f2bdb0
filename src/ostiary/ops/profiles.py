"""Profiles: what each kind of certificate may hold."""

from ostiary.errors import Invalid
from ostiary.pki.profile import BUILT_IN, Profile
from ostiary.store.store import Reader


def effective(_reader: Reader, name: str, field: str = "profile") -> Profile:
    """The profile of this name. Raises `Invalid` when there is none."""
    profile = BUILT_IN.get(name)
    if profile is None:
        raise Invalid(field, f"there is no profile '{name}'; choose from {', '.join(sorted(BUILT_IN))}")
    return profile
