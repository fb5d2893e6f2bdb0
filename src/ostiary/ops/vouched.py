"""Whether a certificate is what it is by the will of people who may say who a user is: only such a one signs in.

Operators issue certificates from day to day, and put them into groups. Could any of these sign in as an administrator, an
operator could become one. So the record is asked who had a hand in it: an administrator, or its holder who renewed it.
"""

from typing import Any, Final

from ostiary.errors import Denied
from ostiary.model.authority import Certificate
from ostiary.ops.caller import Caller
from ostiary.store import doings
from ostiary.store.kinds import CERTIFICATE, TOKEN
from ostiary.store.store import Reader

_MOST_RENEWALS: Final = 1000


def refuse_unless_vouched(reader: Reader, certificate: Certificate) -> None:
    """Raises `Denied` when anybody had a hand in this certificate, or in one it was renewed from, who may not touch users."""
    of: str | None = certificate.id
    for _ in range(_MOST_RENEWALS):
        if of is None:
            return
        of = _vouched(reader, of)
    raise Denied("This certificate was renewed too often to tell where it came from; have an administrator issue another.")


def _vouched(reader: Reader, certificate_id: str) -> str | None:
    """The certificate whose holder made this one; None when administrators did."""
    telling = [entry for entry in doings.of(reader, CERTIFICATE.name, certificate_id) if _decides(entry)]
    if not telling or telling[0]["before"] is not None:
        raise Denied("The record does not say who issued this certificate; have an administrator issue another.")
    made, *changed = telling
    for entry in changed:
        _refuse_unless_may(entry)
    if made["role"] == "holder":
        renewed: str = made["after"]["replaces"]
        return renewed
    if made["role"] == "enrolling":
        _refuse_unless_granted(reader, made["actor"].removeprefix("token:"))
    else:
        _refuse_unless_may(made)
    return None


def _decides(entry: dict[str, Any]) -> bool:
    """Whether it decides who the certificate is: it was made, or put into groups."""
    return entry["before"] is None or "groups" in (entry["after"] or {})


def _refuse_unless_granted(reader: Reader, token_id: str) -> None:
    granted = [entry for entry in doings.of(reader, TOKEN.name, token_id) if entry["before"] is None]
    if len(granted) != 1:
        raise Denied("The record does not say who let this certificate be enrolled; have an administrator issue another.")
    _refuse_unless_may(granted[0])


def _refuse_unless_may(entry: dict[str, Any]) -> None:
    try:
        Caller(entry["actor"], entry["role"]).must("user:update")
    except Denied:
        raise Denied(
            f"{entry['actor']} ({entry['role']}) had a hand in this certificate ({entry['action']}), and may not say who signs "
            "in; have an administrator issue another."
        ) from None
