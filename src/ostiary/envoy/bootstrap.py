"""What an Envoy knows before it has heard anything: where to ask, where its admin interface is, and how much it may take on."""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, backoff_pb2, base_pb2, config_source_pb2, grpc_service_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format, struct_pb2

from ostiary.envoy import wire
from ostiary.envoy.overload import overload_manager

KEEPER: Final = "keeper"
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Which cluster the listeners of versions before 0.1 told of requests (docs/decisions/0036-records-through-a-file.md).
_BEFORE: Final = "access-log"
FLUSHING: Final = ("--file-flush-interval-msec", "200", "--file-flush-min-size-kb", "16")
"""On Envoy's command line: how soon what it tells is in the file, and how much at most is not. That is lost if it is killed."""


def bootstrap(
    node_id: str,
    ads_socket: str,
    admin_socket: str,
    *,
    max_heap: int,
    max_connections: int = 50_000,
    counted: Iterable[str] = (),
) -> str:
    """The start-up configuration as JSON, for `envoy -c FILE.json`. It holds no secret: those come over the socket.

    The sockets are paths of Unix sockets (at most 107 bytes: sun_path of unix(7)).
    `max_heap` is how much memory it may take, in octets; `max_connections` bounds open client connections over all listeners:
    more are closed as they come (`envoy.overload`). `counted` are regular expressions (RE2): with any, only statistics whose
    whole name matches one are kept.
    """
    message = bootstrap_pb2.Bootstrap(
        node=base_pb2.Node(id=node_id, cluster="ostiary"),
        static_resources=bootstrap_pb2.Bootstrap.StaticResources(clusters=[_cluster(KEEPER, ads_socket), _nobody()]),
        dynamic_resources=bootstrap_pb2.Bootstrap.DynamicResources(
            ads_config=_stream(), cds_config=wire.ads(), lds_config=wire.ads()
        ),
        # Whatever clients do, the keeper can look, drain and stop.
        admin=bootstrap_pb2.Admin(address=_pipe(admin_socket, mode=0o600), ignore_global_conn_limit=True),
        overload_manager=overload_manager(max_heap, max_connections),
        layered_runtime=_runtime(),
    )
    # Most statistics of a listener or pool are never touched; this makes them when they are. With 300 listeners and pools, Envoy
    # takes 117.6 MiB, without 123.0.
    message.deferred_stat_options.enable_deferred_creation_stats = True
    # Envoy's main thread goes through all of them whenever some are asked for, and hears of no change meanwhile: with 1,000
    # listeners through 205,000, which takes 68 ms; of those that are read there are 25,000, which take 34.
    for expression in counted:
        matcher = message.stats_config.stats_matcher.inclusion_list.patterns.add()
        matcher.safe_regex.regex = expression
    text: str = json_format.MessageToJson(message, preserving_proto_field_name=True, indent=2, sort_keys=True)
    return text


def _pipe(path: str, mode: int = 0) -> Any:
    return address_pb2.Address(pipe=address_pb2.Pipe(path=path, mode=mode))


def _nobody() -> Any:
    """Whom the listeners of a last good configuration of before tell: without the cluster, Envoy would refuse them.

    It serves with them until a control plane hands over new ones, and counts what nobody hears meanwhile (`gateway.report`).
    """
    return cluster_pb2.Cluster(
        name=_BEFORE,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=wire.seconds(1),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(cluster_name=_BEFORE),
        typed_extension_protocol_options={_HTTP_OPTIONS: wire.packed(_http2())},
    )


def _cluster(name: str, socket: str) -> Any:
    endpoint = endpoint_components_pb2.LbEndpoint(endpoint=endpoint_components_pb2.Endpoint(address=_pipe(socket)))
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=wire.seconds(1),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])],
        ),
        typed_extension_protocol_options={_HTTP_OPTIONS: wire.packed(_http2())},
    )


def _http2() -> Any:
    explicit = http_protocol_options_pb2.HttpProtocolOptions.ExplicitHttpConfig(
        http2_protocol_options=protocol_pb2.Http2ProtocolOptions()
    )
    return http_protocol_options_pb2.HttpProtocolOptions(explicit_http_config=explicit)


def _stream() -> Any:
    # A keeper that restarts is back within a second; Envoy's own back-off would look again after up to 30 s.
    retry = base_pb2.RetryPolicy(
        retry_back_off=backoff_pb2.BackoffStrategy(base_interval=wire.milliseconds(100), max_interval=wire.seconds(1))
    )
    return config_source_pb2.ApiConfigSource(
        api_type=config_source_pb2.ApiConfigSource.DELTA_GRPC,
        transport_api_version=config_source_pb2.V3,
        set_node_on_first_message_only=True,
        grpc_services=[
            grpc_service_pb2.GrpcService(
                envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=KEEPER, retry_policy=retry)
            )
        ],
    )


def _runtime() -> Any:
    # One regular expression names all headers that a client may not send (identity_headers: a program of 423 steps, walked
    # once for each header), others are made from the names and paths of rules. Envoy's limit of 100 is meant for expressions that
    # operators write; they cannot write any here, and what they can write is limited (ostiary.model.patterns).
    layer = struct_pb2.Struct(fields={"re2.max_program_size.error_level": struct_pb2.Value(number_value=20_000)})
    return bootstrap_pb2.LayeredRuntime(layers=[bootstrap_pb2.RuntimeLayer(name="ostiary", static_layer=layer)])
