"""/metrics as monitoring systems read it: in both forms, by the parsers that belong to them."""

from dataclasses import dataclass
from typing import Self

from prometheus_client import parser as plain
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample

from support.stack import Ostiary

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


@dataclass(frozen=True)
class Scrape:
    """One scrape."""

    families: tuple[Metric, ...]

    @classmethod
    def read(cls, text: str, *, is_openmetrics: bool = True) -> Self:
        """What a parser makes of it, which is strict about OpenMetrics: names, units, order, and that nothing is told twice."""
        parse = openmetrics.text_string_to_metric_families if is_openmetrics else plain.text_string_to_metric_families
        return cls(tuple(parse(text)))

    @classmethod
    def of(cls, ostiary: Ostiary) -> Self:
        """A scrape of a running ostiary, as OpenMetrics."""
        reply = ostiary.request("GET", "/metrics", headers=OPENMETRICS)
        assert reply.is_success, reply.text
        return cls.read(reply.text)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All samples of all families."""
        return tuple(sample for family in self.families for sample in family.samples)

    def found(self, name: str, **labels: str) -> list[Sample]:
        """The samples of this name that have these labels among theirs."""
        return [one for one in self.samples if one.name == name and labels.items() <= one.labels.items()]

    def value(self, name: str, **labels: str) -> float:
        """Their sum; 0 where there are none."""
        return sum(one.value for one in self.found(name, **labels))

    def labels(self, name: str, **labels: str) -> dict[str, str]:
        """All labels of the one sample that has these among its."""
        (found,) = self.found(name, **labels)
        return dict(found.labels)

    def shrunk_since(self, before: Self, *prefixes: str) -> list[str]:
        """Counters, and parts of histograms, that are lower than they were or are gone."""
        growing = [one for one in before.families if one.type in {"counter", "histogram"} and one.name.startswith(prefixes)]
        then = {(one.name, *sorted(one.labels.items())): one.value for family in growing for one in family.samples}
        now = {(one.name, *sorted(one.labels.items())): one.value for one in self.samples}
        return [str(which) for which, value in then.items() if now.get(which, -1) < value]
