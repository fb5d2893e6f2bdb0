"""What has to be done in time, without anybody asking: fresh revocation lists, the next issuing CA of a series, and more.

Level-triggered, as publishing is: each round looks at what is due and does it, so a missed wake-up or a crash costs a round.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from ostiary import logs
from ostiary.errors import Refusal
from ostiary.ops import (
    approvals,
    break_glass,
    denials,
    effects_kept,
    foreign_status,
    gateway_numbers,
    heads,
    idempotency,
    list_upkeep,
    outbox,
    refused_calls,
    rehearsals,
    relint,
    requests,
    series,
    served,
    sessions,
    sightings,
    sign_in_links,
    status_fetch,
    tokens,
    traffic,
    watching,
)
from ostiary.ops.system import System

ROUND_SECONDS: Final = 60.0
NEWS_SECONDS: Final = 5.0
# Whoever was revoked is refused by what is published; that goes first, and the lists of many revocations are signed once.
BREATH_SECONDS: Final = 0.1
Chores = tuple[tuple[str, Callable[[System], int]], ...]
log = structlog.get_logger(source="upkeep")

# At once after each commit: a revocation list is what somebody waits for.
CHORES: Final[Chores] = (("signed revocation lists", list_upkeep.sign_due),)

# Asking others takes as long as they take to answer, so nothing of ours waits for it.
NEWS: Final[Chores] = (
    ("fetched revocation lists of imported authorities", status_fetch.fetch_due),
    ("learned who is refused, or is no longer, by an imported authority", foreign_status.learn_due),
)

# Other people's servers take as long as they take, too.
TOLD: Final[Chores] = (
    ("put on its way what is on record and cannot wait", watching.hear),
    ("sent notifications", outbox.send_due),
)

# Where certificates are asked for by the hundred, an issuing CA has signed its share within seconds.
GROWTH: Final[Chores] = (("rolled to the next issuing CA", series.roll_due),)

# Each minute: what hurries nobody, and last what takes a while.
LEISURE: Final[Chores] = (
    ("let requests lapse that nobody decided", requests.lapse_due),
    ("ended emergencies whose time was over", break_glass.lapse_due),
    ("let approvals lapse that nobody decided or used", approvals.lapse_due),
    ("forgot idempotency keys", idempotency.forget_old),
    ("forgot tokens that expired long ago", tokens.forget_old),
    ("ended sessions whose time was over", sessions.forget_old),
    ("signed where the record stands", heads.sign_due),
    ("removed old entries from the record", heads.prune_due),
    ("forgot sign-in links that nobody followed", sign_in_links.forget_old),
    ("put on record who could not sign in", sessions.tell_refused),
    ("put on record who asked for what they may not do", refused_calls.tell),
    ("forgot how soon old changes were in force", effects_kept.forget_old),
    ("forgot old refusals; they stay counted", denials.forget_old),
    ("wrote down what gateways count", gateway_numbers.write),
    ("forgot what gateways counted that are no more", gateway_numbers.forget_old),
    ("forgot what old rehearsals found", rehearsals.forget_old),
    ("made hours of what was counted by the minute, and forgot old ones", traffic.forget_old),
    ("read PKCS#12 files ahead", served.read_ahead),
    ("found certificates that break a rule", relint.look_over),
    ("put on its way what people should know", watching.look),
    ("forgot notifications that were sent long ago", outbox.forget_old),
)

# What somebody has to look into; said when it changes, not each minute. All else that people should know: `ops.watching`.
ALARMS: Final[tuple[tuple[str, Callable[[System], tuple[str, ...]]], ...]] = (
    ("certificates are used from many addresses: they may have been copied", sightings.crowded),
)


class Upkeep:
    """Signs lists whenever something was committed, and does the other chores in their time. `wake` from any thread."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def wake(self, _revision: int = 0) -> None:
        """Something was committed."""
        self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self) -> None:
        """Go on until cancelled. A chore that fails is logged and tried again; it never keeps the others from being done."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds(CHORES, ROUND_SECONDS, self._changed))
            group.create_task(self._rounds(NEWS, NEWS_SECONDS, asyncio.Event()))
            group.create_task(self._rounds(TOLD, NEWS_SECONDS, asyncio.Event()))
            group.create_task(self._rounds(GROWTH, NEWS_SECONDS, asyncio.Event()))
            group.create_task(self._rounds(LEISURE, ROUND_SECONDS, asyncio.Event()))
            group.create_task(self._watch())

    async def _rounds(self, chores: Chores, seconds: float, wanted: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(BREATH_SECONDS)
            wanted.clear()
            for name, chore in chores:
                await self._do(name, chore)
            try:
                async with asyncio.timeout(seconds):
                    await wanted.wait()
            except TimeoutError:
                continue

    async def _do(self, name: str, chore: Callable[[System], int]) -> None:
        with logs.about(chore=name):
            try:
                count = await asyncio.to_thread(chore, self._system)
            except Refusal as refusal:
                self._system.meters.chores_failed.add(name)
                log.error("failed; will try again", problem=str(refusal))  # noqa: TRY400 (the words say it all)
            except Exception:
                self._system.meters.chores_failed.add(name)
                log.exception("failed; will try again")
            else:
                if count:
                    log.info(name, count=count)

    async def _watch(self) -> None:
        said: dict[str, tuple[str, ...]] = {}
        while True:
            for name, look in ALARMS:
                with logs.about(chore=name):
                    try:
                        found = await asyncio.to_thread(look, self._system)
                    except Exception:
                        self._system.meters.chores_failed.add(name)
                        log.exception("failed; will try again")
                        continue
                    if found and found != said.get(name):
                        log.warning(name, about=found)
                said[name] = found
            await asyncio.sleep(ROUND_SECONDS)
