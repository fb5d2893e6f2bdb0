"""Send what waits for targets: in order, again and again for a day, at least once each, however often we are killed.

A message was committed together with the note that its target was told (`ops.watching`). It is marked as sent after its server
took it: who dies between the two sends it again, under the same id.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from ostiary.model.notification import Message, NotificationTarget, Outcome
from ostiary.ops.notification_targets import send
from ostiary.ops.system import System
from ostiary.ops.watch import jittered
from ostiary.store import notifications
from ostiary.store.kinds import NOTIFICATION_TARGET
from ostiary.store.store import Facts

FIRST_WAIT: Final = timedelta(seconds=15)
LONGEST_WAIT: Final = timedelta(hours=2)
ATTEMPTS_MAX: Final = 20  # with the waits between them: a day
KEPT_FOR: Final = timedelta(days=30)
WAITING_MAX: Final = 500  # of one target; what is older than so many others is given up
# Whoever sends one takes it for so long: no other control plane on this database sends it too, and who dies gives it back.
LEASE: Final = timedelta(minutes=1)
_AT_ONCE: Final = 50  # of one target in one round
_SIDE_BY_SIDE: Final = 4  # targets: one that does not answer holds up no other
_TOO_MANY: Final = f"more than {WAITING_MAX} waited for this target; the oldest were given up."

log = structlog.get_logger(source="notifications")


def send_due(system: System) -> int:
    """Send what is due; how many were taken."""
    with system.store.read() as reader:
        held = [reader.get(NOTIFICATION_TARGET, one) for one in notifications.targets_with_mail(reader)]
    targets = [one for one in held if one is not None and one.enabled]
    if not targets:
        return 0
    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="notify") as pool:
        return sum(pool.map(lambda target: _send_to(system, target), targets))


def put(facts: Facts, message: Message) -> None:
    """Have it sent, in its turn."""
    notifications.put(facts, message)
    notifications.give_up_oldest(facts, message.target_id, WAITING_MAX, _TOO_MANY)


def forget_old(system: System) -> int:
    """Delete what was sent, or given up, a month ago. Returns how many."""
    before = system.clock() - KEPT_FOR
    with system.store.read() as reader:
        if not notifications.has_old(reader, before):
            return 0
    return system.store.record(lambda facts: notifications.forget_old(facts, before))


def _send_to(system: System, target: NotificationTarget) -> int:
    with system.store.read() as reader:
        due = tuple(_due(notifications.waiting(reader, target.id, _AT_ONCE), system.clock()))
    taken = 0
    for message in due:
        if not system.store.record(partial(_take, message=message)):
            break  # another is at it
        outcome = send(system, target, message)
        after = _after(message, outcome, system.clock())
        system.store.record(partial(_note, after=after, outcome=outcome))
        taken += outcome.is_taken
        if not outcome.is_taken:
            log.warning(
                "a notification was not taken; will try again" if after.state == "WAITING" else "a notification was given up",
                target=target.name,
                message=message.id,
                attempts=after.attempts,
                problem=outcome.error,
            )
            if not outcome.refused:
                break  # whoever does not answer now does not answer the next one either
    return taken


def _take(facts: Facts, message: Message) -> bool:
    """Whether it is ours to send: it waits still, and nobody else has begun to."""
    current = notifications.message(facts, message.id)
    if current is None or current.state != "WAITING" or current.next_at != message.next_at:
        return False
    notifications.change(facts, replace(current, next_at=facts.at + LEASE))
    return True


def _due(waiting: tuple[Message, ...], at: datetime) -> Iterator[Message]:
    """What to send now, in order. One that was refused for itself lets those after it pass."""
    for message in waiting:
        if message.next_at <= at:
            yield message
        elif not message.refused:
            return


def _after(message: Message, outcome: Outcome, at: datetime) -> Message:
    """The message after an attempt: taken, given up, or to be tried again, each time after twice as long."""
    tried = replace(message, attempts=message.attempts + 1, refused=outcome.refused, error=outcome.error or outcome.note or None)
    if outcome.is_taken:
        return replace(tried, state="SENT", finished_at=at)
    if tried.attempts >= ATTEMPTS_MAX:
        return replace(tried, state="DEAD", finished_at=at)
    wait = min(FIRST_WAIT * 2 ** min(message.attempts, 16), LONGEST_WAIT)
    return replace(tried, next_at=at + jittered(wait))


def _note(facts: Facts, after: Message, outcome: Outcome) -> None:
    notifications.change(facts, after)
    if outcome.is_taken:
        notifications.move_marks(facts, after.target_id, failing_since=None)
    else:
        notifications.note_failing(facts, after.target_id)
    if after.state == "DEAD":
        notifications.count_given_up(facts, after.target_id, 1)
