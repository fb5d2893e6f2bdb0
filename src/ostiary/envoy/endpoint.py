"""A pool's members. They travel apart from the pool, over EDS, so that one comes or goes without touching a connection."""

import ipaddress
from typing import Any

from envoy.config.core.v3 import address_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from ostiary.envoy import names, wire
from ostiary.model.desired import DesiredPool
from ostiary.model.health import HealthMonitor
from ostiary.model.pool import Member


def members_in_service(desired: DesiredPool) -> list[Member]:
    """Those that are up, in an order that depends on nothing but themselves."""
    up = (member for member in desired.members if member.admin_state_up)
    return sorted(up, key=lambda member: (member.address, member.protocol_port, member.id))


def endpoint(desired: DesiredPool) -> Any:
    """The pool's members (ClusterLoadAssignment): backups at priority 1."""
    members = members_in_service(desired)
    primaries = [member for member in members if not member.backup]
    backups = [member for member in members if member.backup]
    groups = [group for group in (primaries, backups) if group]
    return endpoint_pb2.ClusterLoadAssignment(
        cluster_name=names.pool(desired.pool.id),
        # Priorities may have no gap: backups alone are simply the first.
        endpoints=[_group(group, priority, desired.health_monitor) for priority, group in enumerate(groups)],
        policy=_until_the_last(len(primaries)),
    )


def _until_the_last(primaries: int) -> Any:
    """One healthy primary of n is 1/n of the health; times n it is whole, so that backups get nothing while it lives."""
    factor = wire.number(100 * max(primaries, 2))
    return endpoint_pb2.ClusterLoadAssignment.Policy(overprovisioning_factor=factor)


def _group(members: list[Member], priority: int, monitor: HealthMonitor | None) -> Any:
    return endpoint_components_pb2.LocalityLbEndpoints(
        priority=priority, lb_endpoints=[_lb_endpoint(member, monitor) for member in members]
    )


def _lb_endpoint(member: Member, monitor: HealthMonitor | None) -> Any:
    message = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(
            address=_address(member.address, member.protocol_port), health_check_config=_health(member, monitor)
        )
    )
    if member.weight:
        message.load_balancing_weight.value = member.weight
    else:
        message.health_status = health_check_pb2.DRAINING  # Envoy knows no weight 0.
    return message


def _health(member: Member, monitor: HealthMonitor | None) -> Any:
    config = endpoint_components_pb2.Endpoint.HealthCheckConfig(port_value=member.monitor_port or 0)
    if monitor is None or monitor.domain_name is None:
        # The Host header when the monitor names none: Envoy would send the cluster's name. It outweighs what the monitor says.
        config.hostname = _host(member.monitor_address or member.address)
    if member.monitor_address:
        # The address given here brings its own port with it.
        config.address.CopyFrom(_address(member.monitor_address, member.monitor_port or member.protocol_port))
        config.port_value = 0
    return config


def _host(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address


def _address(address: str, port: int) -> Any:
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=address, port_value=port))
