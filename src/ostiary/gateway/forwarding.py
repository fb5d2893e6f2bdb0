"""Hand over to the control plane what it has to know: on disk first, then sent, again until it says that it has it."""

from itertools import islice
from typing import Any, Final, Generic

import structlog

from ostiary.gateway.memory import Memory, T
from ostiary.xds.client import tell

_log = structlog.get_logger(source="keeper")

_A_ROUND: Final = 100  # batches; each is a transaction there


class Forwarding(Generic[T]):
    """What is told (`wire.SEEN` and the like), where it is kept meanwhile, and how many batches go in one round."""

    def __init__(self, what: str, memory: Memory[T], a_round: int = _A_ROUND) -> None:
        self.told = memory.load()
        self._what = what
        self._memory = memory
        self._a_round = a_round

    async def save(self) -> None:
        """Keep it."""
        await self._memory.save(self.told)

    async def save_news(self) -> None:
        """Keep it, if there is anything that is not kept yet."""
        if self.told.news:
            await self.save()

    async def hand_over(self, channel: Any, gateway_id: str, at: float) -> None:
        """Tell what there is at this time; what is not acknowledged is told again in the next round."""
        if self.told.seal(at):
            await self.save()
        for batch in islice(self.told.batches(), self._a_round):
            taken = await tell(channel, self._what, gateway_id, batch.body)
            if taken is None:
                break
            if not taken:
                _log.error(
                    "the control plane refuses to hear what is told; the access log has it",
                    what=self._what,
                    sequence=batch.sequence,
                )
            self.told.taken(batch.sequence)
