"""What gateways count (`ops.adding_up`): heard from keepers, written down each minute, and found again by who starts."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from ostiary.ops.adding_up import continued, read
from ostiary.ops.system import System
from ostiary.store import numbers as stored

MOST_GATEWAYS: Final = 100  # whose numbers are kept: of more, those heard of last
_FORGOTTEN: Final = timedelta(days=30)  # what was written down of a gateway that is not heard of any more


def told(system: System, gateway_id: str, message: Mapping[str, Any]) -> None:
    """A keeper told what its Envoy counts. Raises `Invalid` for what makes no sense."""
    news, numbers, at = read(message), system.gateway_numbers, system.clock()
    with numbers.lock:
        gateway = numbers.known.pop(gateway_id, None)
        if gateway is None or (gateway.is_silent(at) and not gateway.is_news):
            with system.store.read() as reader:
                gateway = continued(stored.kept(reader, gateway_id), news, at)
        numbers.known[gateway_id] = gateway
        another = gateway.take(news, at)
        while len(numbers.known) > MOST_GATEWAYS:
            numbers.known.pop(next(iter(numbers.known)))
    if another:
        write(system)


def write(system: System, *, is_final: bool = False) -> int:
    """Put on record what was added up, where there is news. Nothing that anybody has to read about: 0.

    `is_final`: nobody is told anything of it after this, for we stop.
    """
    numbers, at = system.gateway_numbers, system.clock()
    with numbers.lock:
        known = ((one, its) for one, its in numbers.known.items() if its.is_news or (is_final and not its.is_silent(at)))
        news = {one: its.document(is_final=is_final) for one, its in known}
        for one in news:
            numbers.known[one].is_news = False
    for gateway_id, document in news.items():
        system.store.record(lambda facts, one=gateway_id, document=document: stored.keep(facts, one, facts.at, document))  # type: ignore[misc]
    return 0


def forget_old(system: System) -> int:
    """What was kept of gateways that have been gone for long; says of how many."""
    return system.store.record(lambda facts: stored.forget(facts, facts.at - _FORGOTTEN))
