"""What must be in place before a resource, read from the resources that the translator really makes."""

from ostiary.envoy.resources import CLUSTER, LISTENER, ROUTE, Resource
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired, DesiredListener, DesiredPool
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.xds.references import clusters_of


def resources(protocol: str) -> dict[str, Resource]:
    pool = Pool(id="p", loadbalancer_id="b", protocol="TCP" if protocol == "TCP" else "HTTP", lb_algorithm="ROUND_ROBIN")
    listener = Listener(id="l", loadbalancer_id="b", protocol=protocol, protocol_port=80, default_pool_id="p")  # type: ignore[arg-type]  # one of its literals
    wanted = Desired(listeners=(DesiredListener(listener=listener, address="127.0.0.1"),), pools=(DesiredPool(pool=pool),))
    return {resource.type_url: resource for resource in snapshot(wanted).resources.values()}


def test_routes_need_the_clusters_they_send_to() -> None:
    made = resources("HTTP")
    assert clusters_of(made[ROUTE]) == {made[CLUSTER].key}
    assert clusters_of(made[LISTENER]) == frozenset()


def test_a_tcp_listener_needs_its_cluster_itself() -> None:
    made = resources("TCP")
    assert clusters_of(made[LISTENER]) == {made[CLUSTER].key}


def test_other_types_and_garbage_need_nothing() -> None:
    made = resources("HTTP")
    assert clusters_of(made[CLUSTER]) == frozenset()
    assert clusters_of(Resource(ROUTE, "route/x", "1", b"\xff\xff not a message")) == frozenset()
