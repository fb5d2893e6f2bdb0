"""When to renew: at two thirds of a certificate's life, each device at a moment of its own, and later again after failures."""

from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

DUE: Final = 2 / 3
# Devices that were enrolled together do not come back together: each adds its own part of this.
SPREAD: Final = 0.05
_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=6)


def due_at(certificate: x509.Certificate) -> datetime:
    """From when this certificate is to be renewed. Always the same for the same one, and anybody's guess for another."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    share = int.from_bytes(certificate.fingerprint(hashes.SHA256())[:4]) / 2**32
    return begin + (end - begin) * (DUE + SPREAD * share)


def wait_after(failures: int, certificate: x509.Certificate, at: datetime) -> timedelta:
    """How long to wait after so many failures in a row: twice as long each time, but never so long that the end comes first."""
    doubled: int = 2 ** min(failures - 1, 20)
    wait = min(_FIRST_WAIT * doubled, _LONGEST_WAIT)
    left = certificate.not_valid_after_utc - at
    return min(wait, max(left / 10, _FIRST_WAIT))
