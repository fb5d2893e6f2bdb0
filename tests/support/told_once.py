"""A law for whatever a keeper tells in batches (`gateway.batches.Told`): nothing is lost, and nothing counts twice.

class Machine(ToldOnce):
    def made(self, kept): return Seen(kept)
    def counted(self, body): return sum(one["requests"] for one in body["sightings"])

    @rule()
    def note(self): self.told.note(...); self.noted_so_many(1)
"""

from abc import abstractmethod
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

AT = 1_795_465_432.123


class ToldOnce(RuleBasedStateMachine):
    """A keeper and a control plane that die at any moment; the disk keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.told = self.made(None)
        self.disk = self.told.dump()
        self.at = AT
        self.noted = 0
        self.forgotten = 0  # noted since the disk was last written
        self.heard: dict[int, int] = {}  # number of a batch → how much it told

    @abstractmethod
    def made(self, kept: bytes | None) -> Any:
        """A book, from what was kept of it."""

    @abstractmethod
    def counted(self, body: dict[str, Any]) -> int:
        """How much a batch tells."""

    def noted_so_many(self, times: int) -> None:
        """For the rule that notes something."""
        self.noted += times
        self.forgotten += times

    @rule()
    def seal(self) -> None:
        self.at += 1
        if self.told.seal(self.at):
            self.save()

    @rule()
    def save(self) -> None:
        self.disk = self.told.dump()
        self.forgotten = 0

    @precondition(lambda self: next(self.told.batches(), None) is not None)
    @rule(acknowledged=st.booleans())
    def send(self, acknowledged: bool) -> None:  # noqa: FBT001 (drawn)
        batch = next(self.told.batches())
        count = self.counted(batch.body)
        assert self.heard.setdefault(batch.sequence, count) == count
        if acknowledged:
            self.told.taken(batch.sequence)

    @rule()
    def die_and_come_back(self) -> None:
        self.told = self.made(self.disk)
        self.noted -= self.forgotten
        self.forgotten = 0

    @invariant()
    def never_more_than_there_was(self) -> None:
        assert sum(self.heard.values()) <= self.noted

    def teardown(self) -> None:
        while self.told.seal(self.at) or next(self.told.batches(), None):
            self.save()
            for _ in self.told.batches():
                self.send(acknowledged=True)
        assert sum(self.heard.values()) == self.noted
