"""Whatever dies when, each record that Envoy wrote counts once: who was seen, who was refused, and in the access record."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ostiary.gateway.access_log import AccessLog
from ostiary.gateway.batches import Told
from ostiary.gateway.denied import Denied
from ostiary.gateway.feed import Feed
from ostiary.gateway.journal import Journal
from ostiary.gateway.seen import Seen
from ostiary.gateway.shelf import Shelf, volumes
from ostiary.gateway.streams import Streams
from ostiary.gateway.written import Written
from support.feed import AT, line

NOW = AT / 1e9
BOOKS = ("seen", "denied", "rehearsed")


class Died(BaseException):
    """The keeper, in the middle of something."""


class Machine(RuleBasedStateMachine):
    """An Envoy that writes, a keeper that reads and dies, and the control plane that it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ostiary-feed-"))
        self.disk: dict[str, bytes | None] = dict.fromkeys(BOOKS)
        self.heard: dict[str, dict[int, int]] = {name: {} for name in BOOKS}
        self.count = 0
        self.served = 0
        self.refused = 0
        self.begin()
        self.engine()

    def begin(self) -> None:
        """A keeper comes."""
        self.shelf = Shelf(self.folder / "access.jsonl")
        (self.folder / "feed").mkdir(exist_ok=True)
        journal = Journal(self.shelf, "g1", Written(self.folder / "feed" / "written"), a_second=2)
        made: dict[str, Any] = {"seen": Seen, "denied": Denied, "rehearsed": Denied}
        self.books: dict[str, Told] = {name: made[name](self.disk[name]) for name in BOOKS}
        seen, denied, rehearsed = self.books.values()
        self.log = AccessLog(journal, seen, denied, Streams(), rehearsed)  # type: ignore[arg-type]
        self.feed = Feed(self.folder / "feed", self.log.place, self.log.newest)

    def engine(self) -> None:
        """The keeper starts an Envoy."""
        self.feed.begin()
        self.records = (self.folder / "feed" / "records").resolve()

    @rule(kinds=st.lists(st.booleans(), min_size=1, max_size=8))
    def tell(self, kinds: list[bool]) -> None:
        for is_served in kinds:
            self.count += 1
            details = "via_upstream" if is_served else "rbac_access_denied_matched_policy[revoked]"
            rehearsed = "allowed" if is_served else "-"
            fields = {"fingerprint": "aa", "connection": "1", "duration": "3", "method": "GET", "client": "192.0.2.1"}
            told = line("request", fields | {"details": details, "rehearsed": rehearsed}, AT + self.count)
            with self.records.open("ab") as file:
                file.write(told)
            self.served += is_served
            self.refused += not is_served

    @rule(cut_off=st.booleans())
    def engine_dies(self, cut_off: bool) -> None:  # noqa: FBT001 (drawn)
        if cut_off:
            with self.records.open("ab") as file:
                file.write(line("request", {"fingerprint": "bb"})[:50])
        self.engine()

    @rule()
    def read(self) -> None:
        while True:
            before, chunk = self.feed.place, self.feed.read()
            if chunk.end == before:
                return
            self.log.take(chunk)
            if chunk.lines:
                return

    @rule()
    def second(self) -> None:
        self.log.second()

    @rule(name=st.sampled_from(BOOKS))
    def save(self, name: str) -> None:
        book = self.books[name]
        place, self.disk[name] = book.place, book.dump()
        book.kept = place

    @rule(name=st.sampled_from(BOOKS))
    def seal(self, name: str) -> None:
        if self.books[name].seal(NOW):
            self.save(name)

    @rule(name=st.sampled_from(BOOKS), acknowledged=st.booleans())
    def send(self, name: str, acknowledged: bool) -> None:  # noqa: FBT001 (drawn)
        batch = next(self.books[name].batches(), None)
        if batch is not None:
            count = _counted(batch.body)
            assert self.heard[name].setdefault(batch.sequence, count) == count
            if acknowledged:
                self.books[name].taken(batch.sequence)

    @rule()
    def give_back(self) -> None:
        self.feed.give_back(self.log.settled)

    @rule()
    def die_and_come_back(self) -> None:
        self.feed.close()
        self.shelf.close()
        self.begin()

    @rule(appended=st.booleans())
    def die_while_writing(self, appended: bool) -> None:  # noqa: FBT001 (drawn)
        """Between the note and what it is about, or right after that."""
        append = self.shelf.append

        def dying(data: bytes) -> None:
            if appended:
                append(data)
            raise Died

        self.shelf.append = dying  # type: ignore[method-assign]
        try:
            self.read()
            self.second()
        except Died:
            pass
        self.die_and_come_back()

    @invariant()
    def nothing_counts_twice(self) -> None:
        assert sum(self.heard["seen"].values()) <= self.served
        assert sum(self.heard["denied"].values()) <= self.refused
        assert self.written() <= self.count

    def written(self) -> int:
        entries: list[dict[str, Any]] = [
            json.loads(one) for volume in volumes(self.folder) for one in volume.path.read_bytes().splitlines()
        ]
        return sum(int(one.get("ostiary.count", 1)) for one in entries if one["event_name"] == "ostiary.request")

    def teardown(self) -> None:
        try:
            self.engine()
            self.records.write_bytes(line("connection", {}))  # so that all before is known to be whole
            while self.feed.place.number < int(self.records.name[-6:]):
                self.read()
            self.second()
            for name in BOOKS:
                while self.books[name].seal(NOW) or next(self.books[name].batches(), None):
                    self.save(name)
                    self.send(name, acknowledged=True)
            told = {name: sum(counts.values()) for name, counts in self.heard.items()}
            assert told == {"seen": self.served, "denied": self.refused, "rehearsed": self.served}
            assert self.written() == self.count
        finally:
            self.feed.close()
            self.shelf.close()
            shutil.rmtree(self.folder)


def _counted(body: dict[str, Any]) -> int:
    requests = sum(int(one["requests"]) for one in body.get("sightings", ()))
    return requests + sum(int(one["count"]) for one in body.get("denials", ()))


Machine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_each_record_counts_once = Machine.TestCase
