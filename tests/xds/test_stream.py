"""Single sentences about the conversation; what holds for every order of events is in test_stream_laws."""

from envoy.config.route.v3 import route_components_pb2, route_pb2

from ostiary.envoy.resources import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Key, Resource, pack
from ostiary.xds.stream import ENVOY, RELAY, Rejection, Request, Send, Stream


def world(*keys: Key, version: str = "1") -> dict[Key, Resource]:
    return {key: Resource(*key, version, version.encode()) for key in keys}


def said(sends: list[Send]) -> list[tuple[str, str]]:
    """What each message is about: "+name" or "-name"; "" for a message that carries nothing."""
    return [
        (send.type_url, "".join([*(f"+{one.name}" for one in send.resources), *(f"-{name}" for name in send.removed)]))
        for send in sends
    ]


def introduced(etiquette: object = ENVOY) -> Stream:
    """A client that asked for all there is."""
    stream = Stream(RELAY if etiquette is RELAY else ENVOY)
    for kind in (CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET):
        stream.hear(Request(kind, ("*",)))
    acknowledged(stream, stream.publish({}))
    return stream


def acknowledged(stream: Stream, sends: list[Send]) -> list[Send]:
    return [follow for send in sends for follow in stream.hear(Request(send.type_url, nonce=send.nonce))]


ALL = ((SECRET, "s"), (ROUTE, "r"), (LISTENER, "l"), (ENDPOINT, "e"), (CLUSTER, "c"))


def test_for_an_envoy_what_is_referred_to_by_clusters_and_listeners_follows_them() -> None:
    assert [kind for kind, _ in said(introduced().publish(world(*ALL)))] == [CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET]


def test_for_a_keeper_what_is_referred_to_comes_first() -> None:
    assert [kind for kind, _ in said(introduced(RELAY).publish(world(*ALL)))] == [SECRET, ENDPOINT, CLUSTER, ROUTE, LISTENER]


def test_before_anything_is_published_nothing_is_said_to_be_gone() -> None:
    stream = Stream()
    assert stream.hear(Request(LISTENER, initial_versions={"l": "1"})) == []
    assert stream.hear(Request(SECRET, ("s",))) == []
    assert said(stream.publish({})) == [(LISTENER, "-l")]


def test_a_client_that_starts_is_told_that_there_is_nothing() -> None:
    stream = Stream()
    stream.publish({})
    assert said(stream.hear(Request(CLUSTER))) == [(CLUSTER, "")]


def test_a_secret_that_does_not_exist_is_answered_when_it_does_and_endpoints_at_once() -> None:
    stream = Stream()
    stream.publish({})
    assert stream.hear(Request(SECRET, ("s",))) == []
    assert said(stream.hear(Request(ENDPOINT, ("e",)))) == [(ENDPOINT, "-e")]
    assert said(stream.publish(world((SECRET, "s")))) == [(SECRET, "+s")]


def test_a_secret_nobody_asked_for_is_not_sent() -> None:
    stream = Stream()
    stream.hear(Request(LISTENER))
    assert said(stream.publish(world((SECRET, "s")))) == [(LISTENER, "")]


def test_a_cluster_that_changes_takes_its_endpoints_along() -> None:
    stream = introduced()
    before = world((CLUSTER, "c"), (ENDPOINT, "c"))
    acknowledged(stream, stream.publish(before))
    after = {**before, **world((CLUSTER, "c"), version="2")}
    assert said(stream.publish(after)) == [(CLUSTER, "+c"), (ENDPOINT, "+c")]


def test_a_cluster_goes_only_when_what_replaces_it_was_answered_and_a_listener_does_not_wait_for_clusters() -> None:
    stream = introduced()
    acknowledged(stream, stream.publish(world((CLUSTER, "old"), (LISTENER, "old"))))
    sends = stream.publish(world((CLUSTER, "new")))
    assert said(sends) == [(CLUSTER, "+new"), (LISTENER, "-old")]
    assert said(acknowledged(stream, sends)) == [(CLUSTER, "-old")]


def test_what_is_refused_is_kept_back_until_it_changes_or_is_retried() -> None:
    stream = introduced()
    door = (LISTENER, "l")
    acknowledged(stream, stream.publish(world(door)))
    (send,) = stream.publish(world(door, version="2"))
    stream.hear(Request(LISTENER, nonce=send.nonce, error="port taken"))
    assert stream.rejected == {door: Rejection("2", "port taken")}
    assert stream.accepted == {door: "1"}
    assert stream.settled
    assert stream.publish(world(door, version="2")) == []
    assert said(stream.retry()) == [(LISTENER, "+l")]
    assert stream.publish(world(door, version="3"))[0].resources[0].version == "3"


def test_an_older_acknowledgement_never_speaks_for_a_newer_version() -> None:
    stream = introduced()
    door = (LISTENER, "l")
    (first,) = stream.publish(world(door))
    (second,) = stream.publish(world(door, version="2"))
    stream.hear(Request(LISTENER, nonce=first.nonce))
    assert stream.accepted == {door: "1"}
    stream.hear(Request(LISTENER, nonce=second.nonce))
    stream.hear(Request(LISTENER, nonce=first.nonce))
    assert stream.accepted == {door: "2"}


# Routes and the clusters they lead to.


def leading_to(*clusters: str) -> dict[Key, Resource]:
    """These clusters, and a route "r" to the last of them."""
    way = route_components_pb2.Route(route=route_components_pb2.RouteAction(cluster=clusters[-1]))
    host = route_components_pb2.VirtualHost(name="all", domains=["*"], routes=[way])
    route = pack(ROUTE, "r", route_pb2.RouteConfiguration(name="r", virtual_hosts=[host]))
    return {**world(*((CLUSTER, name) for name in clusters)), route.key: route}


def test_a_route_to_a_new_cluster_waits_until_that_is_accepted() -> None:
    """Sent together, Envoy would follow the route to a cluster that is not warm yet, and answer 503."""
    stream = introduced()
    acknowledged(stream, stream.publish(leading_to("old")))
    (cluster,) = stream.publish(leading_to("old", "new"))
    assert said([cluster]) == [(CLUSTER, "+new")]
    assert not stream.settled
    assert said(stream.hear(Request(CLUSTER, nonce=cluster.nonce))) == [(ROUTE, "+r")]


def test_the_old_cluster_goes_only_after_the_route_that_led_there() -> None:
    stream = introduced()
    acknowledged(stream, stream.publish(leading_to("old")))
    (cluster,) = stream.publish(leading_to("new"))
    (route,) = stream.hear(Request(CLUSTER, nonce=cluster.nonce))
    assert said([cluster, route]) == [(CLUSTER, "+new"), (ROUTE, "+r")]
    removals = stream.hear(Request(ROUTE, nonce=route.nonce))
    assert said(removals) == [(CLUSTER, "-old")]
    acknowledged(stream, removals)
    assert stream.settled


def test_a_route_stays_where_it_is_when_the_new_cluster_is_refused() -> None:
    stream = introduced()
    acknowledged(stream, stream.publish(leading_to("old")))
    (cluster,) = stream.publish(leading_to("new"))
    assert stream.hear(Request(CLUSTER, nonce=cluster.nonce, error="no")) == []
    # Back to where it was: nothing is left to be said but that the new one is gone.
    acknowledged(stream, stream.publish(leading_to("old")))
    assert stream.settled
    assert stream.rejected == {}


def test_a_client_that_has_no_such_route_gets_it_at_once() -> None:
    """An Envoy that starts waits for its routes: there is nothing that would go on working meanwhile."""
    assert said(introduced().publish(leading_to("new"))) == [(CLUSTER, "+new"), (ROUTE, "+r")]
    stream = introduced()
    acknowledged(stream, stream.publish(leading_to("old")))
    stream.publish(leading_to("old", "new"))
    assert said(stream.hear(Request(ROUTE, ("r",)))) == [(ROUTE, "+r")]


def test_a_keeper_is_told_all_at_once() -> None:
    stream = introduced(RELAY)
    acknowledged(stream, stream.publish(leading_to("old")))
    assert said(stream.publish(leading_to("new"))) == [(CLUSTER, "+new"), (ROUTE, "+r"), (CLUSTER, "-old")]
