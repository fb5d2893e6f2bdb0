"""/metrics: numbers for a monitoring system, in the forms of Prometheus and OpenMetrics."""

from collections.abc import Iterable, Iterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client import exposition as plain
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.queries import parameters
from ostiary.measuring import Distribution, Family
from ostiary.ops.measures import measures

router = APIRouter(tags=["metrics"])

_OPENMETRICS: Final = "application/openmetrics-text"
_KINDS: Final = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


@router.get("/metrics", dependencies=[may("metrics:read")], **described(200))
def metrics(request: Request, system: Sys, caller: Who) -> Response:
    """Tell a monitoring system how things are, in the form it asks for."""
    parameters(request, ())
    registry = CollectorRegistry()
    registry.register(_Now(measures(system, caller)))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    # Only these two, whatever the header holds: the library's own choice writes what it finds there into the answer.
    if _OPENMETRICS in request.headers.get("accept", ""):
        content, kind = openmetrics.generate_latest(registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]  # theirs
    else:
        content, kind = plain.generate_latest(registry), plain.CONTENT_TYPE_PLAIN_0_0_4
    return Response(content, media_type=kind)


class _Now(Collector):
    """The numbers of one moment."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from map(_metric, self._families)


def _metric(family: Family) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.words, labels=family.labels)
        for labels, value in family.samples:
            if isinstance(value, Distribution):
                histogram.add_metric(labels, _buckets(value), value.sum)
        return histogram
    if family.kind == "info":
        about = InfoMetricFamily(family.name, family.words, labels=())
        for labels, _ in family.samples:
            about.add_metric((), dict(zip(family.labels, labels, strict=True)))
        return about
    numbers: CounterMetricFamily | GaugeMetricFamily = _KINDS[family.kind](family.name, family.words, labels=family.labels)
    for labels, value in family.samples:
        if not isinstance(value, Distribution):
            numbers.add_metric(labels, value)
    return numbers


def _buckets(value: Distribution) -> list[tuple[str, float]]:
    ends = [*map(floatToGoString, value.bounds), "+Inf"]
    return [(end, float(count)) for end, count in zip(ends, value.upto, strict=True)]
