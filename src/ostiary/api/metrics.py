"""/metrics: numbers for a monitoring system, in the form of Prometheus."""

from collections.abc import Iterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.registry import Collector

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.queries import parameters
from ostiary.ops.measures import Measures, measures

router = APIRouter(tags=["metrics"])

_GAUGES: Final = {
    "ostiary_revision": ("Number of the newest revision of the configuration.", "revision"),
    "ostiary_status_sequence": ("How often revocations and lists have changed.", "status_sequence"),
    "ostiary_gateways": ("Gateways that were heard of since the control plane started.", "gateways"),
    "ostiary_gateways_connected": ("Gateways that are connected.", "connected"),
    "ostiary_clients_seen": ("Certificates that were let in, at each listener.", "clients"),
    "ostiary_clients_many_addresses": ("Of these, those used from many addresses within a day.", "crowded"),
    "ostiary_denials_forgotten": ("Refusals that are counted, but no longer on record one by one.", "forgotten"),
}


@router.get("/metrics", dependencies=[may("metrics:read")], **described(200))
def metrics(request: Request, system: Sys, caller: Who) -> Response:
    """Tell a monitoring system how things are."""
    parameters(request, ())
    registry = CollectorRegistry()
    registry.register(_Now(measures(system, caller)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)


class _Now(Collector):
    """The numbers of one moment: they are read from the database, not counted here, so that replicas agree."""

    def __init__(self, measured: Measures) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Metric]:
        for name, (words, field) in _GAUGES.items():
            yield GaugeMetricFamily(name, words, value=getattr(self._measured, field))
        refused = CounterMetricFamily("ostiary_denials", "Refusals.", labels=("listener", "code", "stage"))
        for one in self._measured.denials:
            refused.add_metric((one.listener_id, one.code, one.stage), one.count)
        yield refused
