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
    sense: Literal["at most", "at least"] = "at most"
    subject: str = OURS

    def measured(self, folder: Path = lab.RESULTS) -> tuple[float, str]:
        """The figure, and how it is written. Raises `ValueError` when it was not measured."""
        samples = [one for one in lab.read(folder / f"{self.file}.csv") if (one.measure, one.size) == (self.measure, self.size)]
        if not any(one.subject == self.subject for one in samples):
            raise ValueError(f"{self.file}.csv holds no '{self.measure}' of {self.subject}")
        if self.beside is None:
            middle = lab.median(samples, self.subject)
            return middle, f"{middle:,.3g} {samples[0].unit}" if middle < 1000 else f"{middle:,.0f} {samples[0].unit}"
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


BOUNDS: Final[tuple[Bound, ...]] = ()
