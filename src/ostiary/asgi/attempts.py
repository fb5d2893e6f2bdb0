"""Who failed how often of late, by address: after a few attempts that address has to wait. Bounded in memory, whatever comes."""

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ostiary.errors import TooMany

AT_MOST: Final = 10
WITHIN: Final = timedelta(minutes=1)
REMEMBERED: Final = 10_000


@dataclass
class _Failures:
    since: datetime
    count: int


class Attempts:
    """Failed attempts of the last minute. Safe from any thread."""

    def __init__(self, at_most: int = AT_MOST, within: timedelta = WITHIN, remembered: int = REMEMBERED) -> None:
        self._at_most, self._within, self._remembered = at_most, within, remembered
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def refuse_if_many(self, source: str, at: datetime) -> None:
        """Raises `TooMany` when this address has failed too often of late."""
        with self._lock:
            known = self._failures.get(_network(source))
            if known is not None and at - known.since < self._within and known.count >= self._at_most:
                raise TooMany("Too many attempts with tokens that are not good; wait a minute.")

    def failed(self, source: str, at: datetime) -> None:
        """Count one more."""
        network = _network(source)
        with self._lock:
            known = self._failures.pop(network, None)
            if known is None or at - known.since >= self._within:
                known = _Failures(at, 0)
            known.count += 1
            self._failures[network] = known
            while len(self._failures) > self._remembered:
                # Who failed longest ago: with a new address for each attempt one could be forgotten here, and gain nothing by it.
                self._failures.popitem(last=False)


def _network(source: str) -> str:
    """The address; of IPv6 its /64, for one holder has all of that."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source[:64]
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
