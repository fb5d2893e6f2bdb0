"""What holds of every translation, and what is refused rather than translated."""

from collections.abc import Iterator
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.envoy import apart, names
from ostiary.envoy.resources import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, Snapshot
from ostiary.envoy.snapshot import Memory, snapshot
from ostiary.errors import Invalid
from ostiary.model.desired import Desired, DesiredListener, DesiredPool
from ostiary.model.fields import Private
from ostiary.model.tls import Identity, Trust
from support.certs import Authority, new_rsa_key
from support.desired import desired, identity, listener, material, member, pool, trust

AnyDesired = desired()
usual = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def named(made: Snapshot, kind: str) -> set[str]:
    return {name for type_url, name in made.resources if type_url == kind}


def body(made: Snapshot, kind: str) -> bytes:
    return b"".join(resource.body for resource in made.resources.values() if resource.type_url == kind)


def versions(made: Snapshot) -> dict[Any, str]:
    return {key: resource.version for key, resource in made.resources.items()}


def downstream_contexts(made: Snapshot) -> list[Any]:
    """Every DownstreamTlsContext, wherever it is packed."""
    found = []
    for resource in made.resources.values():
        if resource.type_url == LISTENER:
            for chain in listener_pb2.Listener.FromString(resource.body).filter_chains:
                if chain.HasField("transport_socket"):
                    context = tls_pb2.DownstreamTlsContext()
                    assert chain.transport_socket.typed_config.Unpack(context)
                    found.append(context)
    return found


@usual
@given(AnyDesired)
def test_the_same_input_gives_the_same_bytes(wanted: Desired) -> None:
    first, second = snapshot(wanted), snapshot(wanted)
    assert first == second
    assert [*first.resources] == [*second.resources]


@usual
@given(AnyDesired, st.randoms(use_true_random=False))
def test_the_order_of_listeners_pools_and_members_does_not_matter(wanted: Desired, random: Any) -> None:
    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(random.sample(items, len(items)))

    other = Desired(
        revision=wanted.revision,
        listeners=shuffled(wanted.listeners),
        pools=shuffled(tuple(each.model_copy(update={"members": shuffled(each.members)}) for each in wanted.pools)),
    )
    assert snapshot(other) == snapshot(wanted)


@usual
@given(AnyDesired)
def test_what_is_referred_to_is_there_and_nothing_else(wanted: Desired) -> None:
    made = snapshot(wanted)
    assert named(made, ENDPOINT) == named(made, CLUSTER)
    referred_routes = {names.route(each.listener.id) for each in wanted.listeners if each.listener.is_http}
    assert named(made, ROUTE) == referred_routes
    for name in referred_routes:
        assert name.encode() in body(made, LISTENER)
    for name in named(made, SECRET):
        assert name.encode() in body(made, LISTENER) + body(made, CLUSTER)


@usual
@given(AnyDesired)
def test_a_certificate_is_never_demanded_without_saying_whose(wanted: Desired) -> None:
    for context in downstream_contexts(snapshot(wanted)):
        if context.require_client_certificate.value:
            assert context.common_tls_context.validation_context_sds_secret_config.name
        if context.common_tls_context.HasField("validation_context_sds_secret_config"):
            assert context.disable_stateless_session_resumption
            assert context.disable_stateful_session_resumption


@usual
@given(AnyDesired)
def test_private_keys_travel_as_secrets_only(wanted: Desired) -> None:
    made = snapshot(wanted)
    for resource in made.resources.values():
        assert "PRIVATE KEY" not in repr(resource)
        if resource.type_url != SECRET:
            assert b"PRIVATE KEY" not in resource.body


@usual
@given(AnyDesired)
def test_every_resource_says_whose_it_is(wanted: Desired) -> None:
    for resource in snapshot(wanted).resources.values():
        assert "lb1" in resource.owners
        assert len(resource.owners) > 1


def test_nothing_desired_is_nothing_made() -> None:
    assert not snapshot(Desired()).resources


def test_one_secret_for_all_who_use_it() -> None:
    made = snapshot(
        Desired(
            listeners=(
                listener("l1", trust=trust("root"), client_authentication="MANDATORY"),
                listener("l2", trust=trust("root"), client_authentication="OPTIONAL", protocol_port=444, loadbalancer_id="lb2"),
            ),
            pools=(pool("p1", member("m1"), tls_enabled=True, trust=trust("root")),),
        )
    )
    assert made.resources[(SECRET, "trust/root")].owners == {"l1", "lb1", "l2", "lb2", "p1", "m1"}


def test_two_secrets_of_one_name_are_a_mistake_of_ours() -> None:
    one, other = trust("root"), trust("issuing").model_copy(update={"name": "trust/root"})
    wanted = Desired(
        listeners=(
            listener("l1", trust=one, client_authentication="MANDATORY"),
            listener("l2", trust=other, client_authentication="MANDATORY", protocol_port=444),
        )
    )
    with pytest.raises(ValueError, match="two different resources are called trust/root"):
        snapshot(wanted)


def test_the_most_patient_listener_decides_how_long_a_member_may_take_to_accept() -> None:
    wanted = Desired(
        listeners=tuple(
            listener(f"l{limit}", protocol="HTTP", protocol_port=limit, default_pool_id="p1", timeout_member_connect=limit)
            for limit in (700, 3000, 1)
        ),
        pools=(pool("p1"),),
    )
    cluster = cluster_pb2.Cluster.FromString(snapshot(wanted).resources[(CLUSTER, "pool/p1")].body)
    assert cluster.connect_timeout.ToMilliseconds() == 3000


FINGERPRINTS = st.frozensets(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=5)


@usual
@given(AnyDesired, FINGERPRINTS, FINGERPRINTS)
def test_who_is_denied_changes_one_resource_however_many_listeners_there_are(
    wanted: Desired, some: frozenset[str], others: frozenset[str]
) -> None:
    before, after = (versions(snapshot(wanted.model_copy(update={"denied": denied}))) for denied in (some, others))
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    told = {(EXTENSION, names.denied(rehearsed=rehearsed)) for rehearsed, those in asking(wanted).items() if those}
    assert changed == (told if some != others else set())


def asking(wanted: Desired) -> dict[bool, list[DesiredListener]]:
    """Which listeners look for who is denied, and which for who would be."""
    return {
        False: [each for each in wanted.listeners if each.listener.is_tls],
        True: [each for each in wanted.listeners if each.listener.client_authentication == "REHEARSAL"],
    }


@usual
@given(AnyDesired, FINGERPRINTS)
def test_whoever_is_denied_is_named_once_for_all_listeners_that_ask(wanted: Desired, denied: frozenset[str]) -> None:
    made = snapshot(wanted.model_copy(update={"denied": denied}))
    for rehearsed, those in asking(wanted).items():
        told = made.resources.get((EXTENSION, names.denied(rehearsed=rehearsed)))
        assert (told is not None) == bool(those)
        if told is not None:
            assert told.owners == {name for each in those for name in (each.listener.id, each.listener.loadbalancer_id)}
            assert all(fingerprint.encode() in told.body for fingerprint in denied)


@usual
@given(AnyDesired)
def test_whoever_asks_for_certificates_asks_for_the_denied_even_while_nobody_is(wanted: Desired) -> None:
    made = snapshot(wanted)
    for each in wanted.listeners:
        if each.listener.client_authentication != "NONE":
            routes = RouteConfiguration.FromString(made.resources[(ROUTE, names.route(each.listener.id))].body)
            asked = names.denied(rehearsed=each.listener.client_authentication == "REHEARSAL")
            assert routes.typed_per_filter_config[asked] == apart.ASKED
            assert f"\n{chr(len(asked))}{asked}".encode() in made.resources[(LISTENER, names.listener(each.listener.id))].body


def test_newer_revocation_lists_are_told_once_and_no_listener_is_translated_for_them() -> None:
    def told(lists: str) -> Desired:
        signed = trust("root").model_copy(update={"crls": lists})
        mode: dict[str, Any] = {"client_authentication": "MANDATORY"}
        return Desired(
            listeners=(
                *(listener(f"l{number}", trust=signed, protocol_port=440 + number, **mode) for number in range(3)),
                listener("l3", trust=signed, protocol_port=443, stale_revocation="ALLOW", **mode),
            )
        )

    memory = Memory()
    ca = Authority.root("Lists")
    before, after = (snapshot(told(ca.crl(revoked=revoked)), memory) for revoked in ((), (ca.client("alice"),)))
    changed = {(SECRET, "trust/root"), (SECRET, "trust/root/stale-allow-24h")}
    assert after.step is not None
    assert after.step.changed == changed
    assert all(one is before.resources[key] for key, one in after.resources.items() if key not in changed)


CHANGES_IN_PLACE: dict[str, Any] = {
    "allowed_cidrs": ("198.51.100.0/24",),
    "alpn_protocols": ("http/1.1",),
    "connection_limit": 7,
    "insert_headers": {"Client-Cert": "true"},
    "timeout_client_data": 1,
    "tls_ciphers": "ECDHE-RSA-AES128-GCM-SHA256",
    "tls_versions": ("TLSv1.3",),
}


@pytest.mark.parametrize(
    "changed",
    [
        *(listener(trust=None, **{name: value}) for name, value in CHANGES_IN_PLACE.items()),
        listener(trust=trust("root"), client_authentication="MANDATORY"),
        listener(trust=trust("issuing"), client_authentication="OPTIONAL", default_pool_id="p1"),
        listener(identities=(identity("second"), identity())),
    ],
)
def test_a_change_on_a_live_listener_changes_its_filter_chain_only(changed: DesiredListener) -> None:
    def outer(desired_listener: DesiredListener) -> Any:
        made = snapshot(Desired(listeners=(desired_listener,)))
        message = listener_pb2.Listener.FromString(made.resources[(LISTENER, "listener/l1")].body)
        message.ClearField("filter_chains")
        return message

    assert outer(changed) == outer(listener())


def _refused() -> Iterator[tuple[str, DesiredListener | DesiredPool]]:
    empty = trust("root").model_copy(update={"certificates": "  \n"})
    garbage = Trust(name="trust/x", certificates="no PEM at all")
    mandatory: dict[str, Any] = {"client_authentication": "MANDATORY"}
    yield "client_ca_tls_container_ref", listener(client_authentication="MANDATORY")
    yield "client_ca_tls_container_ref", listener(client_authentication="OPTIONAL")
    yield "client_ca_tls_container_ref", listener(trust=empty, **mandatory)
    yield "client_ca_tls_container_ref", listener(trust=garbage, **mandatory)
    yield "client_authentication", listener(trust=trust("root"), protocol="HTTP", **mandatory)
    yield "client_authentication", listener(trust=trust("root"), protocol="TCP", **mandatory)
    yield "client_crl_container_ref", listener(trust=trust("root"), client_crl_container_ref="somewhere", **mandatory)
    yield "client_crl_container_ref", listener(trust=_with_crls("none"), **mandatory)
    half = material()["root crl"].replace("-----END", "A-----END")
    yield "client_crl_container_ref", listener(trust=_with_crls(material()["root crl"] + half), **mandatory)
    # An intermediate without its root, beside a root: no setting of Envoy checks both to the end.
    yield "client_crl_container_ref", listener(trust=trust("other root", "issuing", crls=("issuing crl",)), **mandatory)
    yield "default_tls_container_ref", listener(identities=())
    yield "default_tls_container_ref", listener(identities=(_unlike(),))
    yield "sni_container_refs", listener(identities=(identity(), _unlike()))
    yield "sni_container_refs", listener(identities=(identity(), _weak()))
    yield "default_tls_container_ref", listener(identities=(identity().model_copy(update={"private_key": Private(b"nothing")}),))
    yield "connection_limit", listener(connection_limit=0)
    yield "ca_tls_container_ref", pool(tls_enabled=True, ca_tls_container_ref="somewhere")
    yield "crl_container_ref", pool(tls_enabled=True, crl_container_ref="somewhere", trust=trust("root"))
    yield "tls_container_ref", pool(tls_enabled=True, tls_container_ref="somewhere")


def _with_crls(text: str) -> Trust:
    return trust("root").model_copy(update={"crls": text})


def _unlike() -> Identity:
    return identity().model_copy(update={"name": "identity/unlike", "private_key": identity("second").private_key})


def _weak() -> Identity:
    leaf = Authority.root().server(key=new_rsa_key(1024))
    return Identity(name="identity/weak", certificate_chain=leaf.chain_pem, private_key=Private(leaf.key_pem.encode()))


@pytest.mark.parametrize(("field", "given_thing"), list(_refused()))
def test_what_cannot_be_carried_out_safely_is_refused_by_field(field: str, given_thing: DesiredListener | DesiredPool) -> None:
    wanted = Desired(listeners=(given_thing,)) if isinstance(given_thing, DesiredListener) else Desired(pools=(given_thing,))
    with pytest.raises(Invalid) as refused:
        snapshot(wanted)
    assert refused.value.field == field
