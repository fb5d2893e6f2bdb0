"""The access record, sent on: to each target by a thread of its own, which reads the files that are written anyway.

So a target that is away holds up neither requests nor the record nor other targets, and loses nothing for as long as the record
goes back. How far each one is stands in a file; after a crash a second's worth may be sent twice, each entry with the same
`log.record.uid` as before.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from ostiary.clock import now
from ostiary.errors import Invalid
from ostiary.files import replace_private
from ostiary.gateway import reading, terms
from ostiary.gateway.otlp_http import Posts, headers
from ostiary.gateway.place import Place
from ostiary.gateway.reading import DAMAGED, Line, Reader
from ostiary.gateway.sending import Failed, Sender, Sent, trust
from ostiary.gateway.shelf import Volume, volumes
from ostiary.gateway.syslog import Counted, Datagrams
from ostiary.recording import Target

_log = structlog.get_logger(source="keeper")

_AT_ONCE: Final = 500  # entries
_LOOK_EVERY: Final = 0.25  # seconds
PAUSE: Final = (0.5, 60.0)  # seconds before what failed is tried again: at first, at most
_SAY_EVERY: Final = 3600.0  # seconds between words about the same target that is away
_TIME_TO_END: Final = 3.0
_CHANCE: Final = secrets.SystemRandom()  # so that not all gateways come back at once


@dataclass(frozen=True)
class State:
    """How far a target is: what was `sent` and what was `dropped` since it became one."""

    place: Place
    sent: int = 0
    dropped: int = 0


def check(target: Target) -> None:
    """Whether its files can be used. Raises `Invalid`."""
    trust(target)
    headers(target.headers_file)


class Export:
    """To one target."""

    def __init__(
        self,
        target: Target,
        folder: Path,
        gateway_id: str,
        state: State,
        *,
        pause: tuple[float, float] = PAUSE,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.target = target
        self._folder = folder
        self._gateway_id = gateway_id
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._state = state
        self._waiting_since: str | None = None
        self._failing_since: datetime | None = None
        self._error: str | None = None
        self._again_in: float | None = None
        self._said = float("-inf")
        self._stop = threading.Event()
        self._sender = _sender(target, gateway_id)
        self._thread = threading.Thread(target=self._run, name=f"export to {target.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Send what there is, and end."""
        self._stop.set()

    def ended(self, within: float) -> bool:
        """Wait for its end, so long; says whether it came."""
        self._thread.join(within)
        return not self._thread.is_alive()

    @property
    def state(self) -> State:
        """How far it is."""
        with self._lock:
            return self._state

    def told(self) -> dict[str, Any]:
        """What the control plane is told."""
        with self._lock:
            since = self._failing_since
            return {
                "target": self.target.name,
                "sent": self._state.sent,
                "dropped": self._state.dropped,
                "waiting_since": self._waiting_since,
                "failing_since": None if since is None else since.isoformat(timespec="milliseconds"),
                "error": self._error,
            }

    def forgo(self, volume: Volume) -> None:
        """A file is about to be removed: what of it was not sent is lost for this target, and counted."""
        place = self.state.place
        if place.number > volume.number:
            return
        try:
            count = reading.rest(volume, place)
        except (OSError, *DAMAGED):
            count = 1  # it is damaged; how many there were, nobody can tell
        with self._lock:
            self._state = replace(self._state, place=Place(volume.number + 1), dropped=self._state.dropped + count)
        if count:
            self._tell_dropped(count, "they were kept no longer, and had not been sent")

    def _run(self) -> None:
        reader = Reader(self._folder, self.state.place)
        pause, longest = self._pause
        try:
            while True:
                is_last = self._stop.is_set()
                lines = self._read(reader)
                if not lines:
                    if is_last:
                        return
                    self._stop.wait(_LOOK_EVERY)
                    continue
                if self._sent(lines, reader):
                    pause = self._pause[0]
                    continue
                if is_last or self._stop.wait(self._again_in or pause * _CHANCE.uniform(0.5, 1.0)):
                    return
                pause = min(pause * 2, longest)
        finally:
            reader.close()
            self._sender.close()

    def _read(self, reader: Reader) -> list[Line]:
        """What comes next; what was not sent, again."""
        place = self.state.place
        if reader.place != place:
            reader.go_to(place)
        try:
            lines = reader.read(_AT_ONCE)
        except DAMAGED:
            with self._lock:
                self._state = replace(self._state, place=Place(reader.place.number + 1), dropped=self._state.dropped + 1)
            self._tell_dropped(1, "a file of the record is damaged; there may have been more in it")
            return []
        except OSError as err:
            self._fail(f"the record cannot be read: {err.strerror}")
            return []
        if not lines:
            with self._lock:
                self._waiting_since = None
                if self._state.place == place:
                    self._state = replace(self._state, place=reader.place)
        return lines

    def _sent(self, lines: Sequence[Line], reader: Reader) -> bool:
        entries = [entry for line in lines if (entry := self._entry(line)) is not None]
        if entries:
            with self._lock:
                self._waiting_since = str(entries[0].get(terms.TIMESTAMP))
        try:
            rejected = self._sender.send(entries) if entries else 0
        except (Failed, Invalid) as err:
            self._again_in = err.again_in if isinstance(err, Failed) else None
            self._fail(str(err))
            return False
        except Exception as err:  # noqa: BLE001 (whatever it is, such as a name that cannot be one: this thread must go on)
            self._sender.close()
            self._again_in = None
            self._fail(f"it cannot be sent ({type(err).__name__})")
            return False
        spoilt = len(lines) - len(entries)
        with self._lock:
            if self._state.place <= reader.place:  # else it was given up meanwhile, and is counted as such
                state, dropped = self._state, rejected + spoilt
                sent = state.sent + len(entries) - rejected
                self._state = State(reader.place, sent, state.dropped + dropped)
        if rejected:
            self._tell_dropped(rejected, "the target refused them for good")
        if spoilt:
            self._tell_dropped(spoilt, "they are no whole lines: cut off by a crash")
        self._succeed()
        return True

    def _entry(self, line: Line) -> Sent | None:
        try:
            entry = json.loads(line.text)
        except ValueError:
            return None
        uid = f"{self._gateway_id}-{line.place.number}-{line.place.offset}"
        return {**entry, terms.UID: uid} if isinstance(entry, dict) else None

    def _fail(self, words: str) -> None:
        with self._lock:
            is_news = self._error != words
            self._error, self._failing_since = words, self._failing_since or self._clock()
        if is_news or time.monotonic() - self._said > _SAY_EVERY:
            self._said = time.monotonic()
            _log.warning("the access record cannot be sent on; will try again", target=self.target.name, reason=words)

    def _succeed(self) -> None:
        with self._lock:
            was_failing, self._error, self._failing_since = self._error is not None, None, None
        if was_failing:
            _log.info("the access record is sent on again", target=self.target.name)

    def _tell_dropped(self, count: int, words: str) -> None:
        _log.error("entries of the access record will not reach a target", target=self.target.name, count=count, reason=words)


class Exports:
    """To all targets. `apply`, `save` and `stop` are for one thread at a time; `told` and `forgo` for any."""

    def __init__(self, folder: Path, file: Path, gateway_id: str, *, pause: tuple[float, float] = PAUSE) -> None:
        """`folder` has the record, `file` how far each target is."""
        self._folder = folder
        self._file = file
        self._gateway_id = gateway_id
        self._pause = pause
        self._running: dict[str, Export] = {}
        self._saved: dict[str, State] = {}
        self._is_unsaved = False
        self._states, self._is_new = self._load()

    def apply(self, targets: Sequence[Target]) -> None:
        """These from now on. A target that is new begins with what comes next; one that changed, where it was."""
        wanted = {one.name: one for one in targets}
        ending = [one for name, one in self._running.items() if wanted.get(name) != one.target]
        for one in ending:
            one.stop()
        for one in ending:
            one.ended(_TIME_TO_END)
            self._states[one.target.name] = one.state
        running = {name: one for name, one in self._running.items() if one not in ending}
        self._states = {name: state for name, state in self._states.items() if name in wanted}
        for name, target in wanted.items():
            if name not in running:
                state = self._states.get(name) or State(Place() if self._is_new else reading.end(self._folder))
                running[name] = Export(target, self._folder, self._gateway_id, state, pause=self._pause)
                running[name].start()
        self._running = running
        self._is_new = False
        self.save()  # where they begin: a crash must not move that

    def told(self) -> list[dict[str, Any]]:
        """What the control plane is told of them."""
        return [one.told() for one in list(self._running.values())]

    def forgo(self, volume: Volume) -> None:
        """A file is about to be removed."""
        for one in list(self._running.values()):
            one.forgo(volume)

    def save(self) -> None:
        """How far they are, on the disk, if that has changed."""
        states = {name: one.state for name, one in list(self._running.items())}
        if states == self._saved:
            return
        said = {
            name: {"number": one.place.number, "offset": one.place.offset, "sent": one.sent, "dropped": one.dropped}
            for name, one in states.items()
        }
        try:
            replace_private(self._file, json.dumps(said).encode())
        except OSError as err:
            if not self._is_unsaved:
                _log.error("how far the access record was sent on cannot be saved", reason=str(err))
            self._is_unsaved = True
        else:
            self._saved, self._is_unsaved = states, False

    def stop(self) -> None:
        """Send what there is, for a few seconds, and end."""
        until = time.monotonic() + _TIME_TO_END
        running = list(self._running.values())
        for one in running:
            one.stop()
        for one in running:
            one.ended(max(0.0, until - time.monotonic()))
        self.save()

    def _load(self) -> tuple[dict[str, State], bool]:
        """How far they were, and whether nobody knows: then all there is, is sent. Twice is better than never."""
        try:
            said = json.loads(self._file.read_bytes())
            return {
                name: State(Place(int(one["number"]), int(one["offset"])), int(one["sent"]), int(one["dropped"]))
                for name, one in said.items()
            }, False
        except FileNotFoundError:
            return {}, not self._has_begun()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            _log.error("how far the access record was sent on cannot be read; it is sent from its beginning", reason=repr(err))
            return {}, True

    def _has_begun(self) -> bool:
        with suppress(OSError):
            return bool(volumes(self._folder))
        return False


def _sender(target: Target, gateway_id: str) -> Sender:
    if target.kind == "otlp":
        return Posts(target, gateway_id)
    return Datagrams(target) if target.kind == "udp" else Counted(target)
