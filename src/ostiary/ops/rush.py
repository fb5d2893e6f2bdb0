"""A rush: where many ask for certificates at the same time, few threads make them for all, some at a time.

A thread for each that asks costs more than its certificate does: forty of them wait for two processes and for one transaction,
and wake each other to find whose turn it is (docs/decisions/0030-what-a-certificate-costs.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ostiary.errors import Refusal
from ostiary.model.authority import Certificate, NewCertificate
from ostiary.ops.caller import Caller
from ostiary.ops.desk import Desk
from ostiary.ops.facts import record_all
from ostiary.ops.issuing import described, names_from, stored
from ostiary.ops.system import System
from ostiary.pki.making import Bench, Made
from ostiary.pki.profile import Profile
from ostiary.signers import Order
from ostiary.store.store import Facts

_FOR_EACH_SIGNER: Final = 2  # threads: while one waits for its certificates, the other puts the last ones on record


@dataclass(frozen=True)
class _Asked:
    system: System
    caller: Caller
    new: NewCertificate
    desk: Desk
    profile: Profile


def ask(system: System, caller: Caller, new: NewCertificate, told: Callable[[Certificate | None], None]) -> bool:
    """Whether it is seen to. Then `told` is called, from another thread: with the certificate, once it is on record.

    Or with None, when anything at all speaks against it: then it has to be asked for by itself, which says what it is
    (`ops.certificates.ask`). Nothing is read here: it goes by what was known a moment ago, and is asked again where it is stored.
    """
    desk: Desk | None = system.desks.get(new.authority_id)
    revision, profile = system.desks.get(f"profile {new.profile}") or (None, None)
    if desk is None or profile is None or desk.revision != revision:
        return False
    # In a trace each request is to show its own steps; and what waits for other people, or for a token, is nothing to hurry.
    if system.traced is not None or profile.approval != "automatic" or desk.authority.custody != "file":
        return False
    caller.must("certificate:issue")
    if not len(system.rush):
        system.rush.start(_FOR_EACH_SIGNER * len(system.signers.processes), _made)
    system.rush.ask(_Asked(system, caller, new, desk, profile), told)
    return True


def _made(some: Sequence[_Asked]) -> list[Certificate | None]:
    system = some[0].system
    answers = system.signers.make_all([_order(one) for one in some])
    works = [(one.caller, partial(_stored, one, made)) for one, made in zip(some, answers, strict=True) if isinstance(made, Made)]
    try:
        on_record = iter(record_all(system, "certificate:issue", works) if works else ())
    except Refusal:
        return [None] * len(some)  # asked for one by one, only whom it is about is refused
    return [next(on_record) if isinstance(made, Made) else None for made in answers]


def _order(one: _Asked) -> tuple[Order, Callable[[], tuple[Bench, Profile]]]:
    new = one.new
    order = Order(f"{one.desk.name}/{one.profile.name}", new.csr, names_from(new.names), new.lifetime, one.system.clock())
    return order, lambda: (one.desk.bench, one.profile)


def _stored(one: _Asked, made: Made, facts: Facts) -> Certificate | None:
    if facts.next_revision - 1 != one.desk.revision:
        return None
    return stored(facts, described(one.desk, one.new, made))
