"""What we set out to reach, as figures: each says where it is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks import lab

OURS: Final = "ostiary"


@dataclass(frozen=True)
class Bound:
    """A figure that is to be reached: ours by itself, or (`beside`) ours as a multiple of another's in the same round."""

    what: str
    limit: float
    file: str
    measure: str
    beside: str | None = None
    size: float | None = None
    share: float | None = None  # of the rounds that must be so good; the median when it is not given
    sense: Literal["at most", "at least"] = "at most"
    subject: str = OURS

    def measured(self, folder: Path = lab.RESULTS) -> tuple[float, str]:
        """The figure, and how it is written. Raises `ValueError` when it was not measured."""
        samples = [one for one in lab.read(folder / f"{self.file}.csv") if (one.measure, one.size) == (self.measure, self.size)]
        if not any(one.subject == self.subject for one in samples):
            raise ValueError(f"{self.file}.csv holds no '{self.measure}' of {self.subject}")
        if self.beside is None:
            ours = [one.value for one in samples if one.subject == self.subject]
            value = lab.percentile(ours, self.share) if self.share else lab.median(samples, self.subject)
            of = f" (of {len(ours)})" if self.share else ""
            return value, f"{value:,.3g} {samples[0].unit}{of}" if value < 1000 else f"{value:,.0f} {samples[0].unit}{of}"
        beside = lab.ratio(samples, self.subject, self.beside)
        if beside is None:
            raise ValueError(f"{self.file}.csv holds no '{self.measure}' of {self.beside} beside {self.subject}")
        return beside.median, str(beside)

    @property
    def words(self) -> str:
        """The limit as it is written."""
        return f"{self.sense} {self.limit:,g}{' times' if self.beside else ''}"

    def holds(self, value: float) -> bool:
        """Whether a figure is good enough."""
        compare: Callable[[float, float], bool] = float.__le__ if self.sense == "at most" else float.__ge__
        return compare(float(value), float(self.limit))


_HANDSHAKE: Final = "CPU per full handshake"
_REQUEST: Final = "CPU per request, HTTP/1.1, 100 B"
_MILLION: Final = 1_000_000

BOUNDS: Final[tuple[Bound, ...]] = (
    *(
        Bound(f"A full handshake, beside {peer}", 0.85, "data_plane", _HANDSHAKE, beside=peer)
        for peer in ("nginx (Debian)", "nginx (wheel)", "HAProxy (Debian)", "HAProxy (wheel)")
    ),
    Bound("A request on a kept connection, beside Envoy untuned and bare", 1.1, "data_plane", _REQUEST, beside="Envoy (bare)"),
    *(
        Bound(f"A request on a kept connection, beside {peer}", 2, "data_plane", _REQUEST, beside=peer)
        for peer in ("nginx (Debian)", "nginx (wheel)")
    ),
    Bound(
        "Certificates a second, durable, over REST", 1_000, "issuing", "certificates a second over the network", sense="at least"
    ),
    Bound("A switch in force, p99 [ms]", 100, "effect", "a switch: in force", size=1, share=0.99),
    Bound("A revocation in force on an open connection, p99 [ms]", 50, "effect", "a revocation: in force", size=1, share=0.99),
    Bound(
        "`ostiary up` on an empty folder, until the API answers [s]",
        2,
        "starting",
        "`ostiary up` on an empty folder, until the API answers",
    ),
    Bound("`ostiary --help` [s]", 0.3, "starting", "a command, from its start to its end", subject="ostiary --help"),
    Bound(
        "The control plane's memory with 1,000,000 certificates, after all that `million.py` does [MiB]",
        190,  # 200 MB
        "million",
        "memory after the whole record was verified, shared pages too",
        size=_MILLION,
    ),
    *(
        Bound(f"With 1,000,000 certificates: {call}, p99 [ms]", 50, "million", f"{call}, p99", size=_MILLION)
        for call in (
            "first page of 100",
            "a page of 100 anywhere",
            "by name",
            "by serial number",
            "by fingerprint",
            "search for a word",
            "search for a part of a word",
            "search for a word that all have, a page anywhere",
            "search for a word that none has",
            "100 that are NOT_YET_VALID",
            "page of 1,000",
            "one certificate",
            "metrics",
            "issue",
            "revoke",
            "console: overview",
            "console: a page of them anywhere",
        )
    ),
    *(
        Bound(f"With 10,000 listeners: {call}, p99 [ms]", 50, "size", f"API: {call}, p99", size=10_000)
        for call in ("GET one", "GET page", "PUT one")
    ),
)
