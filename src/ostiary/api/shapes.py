"""Replies that are no noun's own: counters and status trees."""

from ostiary.model.fields import Data


class Stats(Data):
    """Counters, since the gateways started."""

    active_connections: int
    bytes_in: int
    bytes_out: int
    request_errors: int
    total_connections: int


class StatsReply(Data):
    """The reply that shows counters."""

    stats: Stats


class Named(Data):
    """One thing in a status tree."""

    id: str
    name: str
    provisioning_status: str
    operating_status: str


class MemberStatus(Named):
    """A member in a status tree."""

    address: str
    protocol_port: int


class MonitorStatus(Named):
    """A health monitor in a status tree."""

    type: str


class NoMonitor(Data):
    """Where a pool has no health monitor."""


class PoolStatus(Named):
    """A pool in a status tree."""

    health_monitor: MonitorStatus | NoMonitor
    members: tuple[MemberStatus, ...]


class ListenerStatus(Named):
    """A listener in a status tree."""

    pools: tuple[PoolStatus, ...]


class BalancerStatus(Named):
    """A load balancer in a status tree."""

    listeners: tuple[ListenerStatus, ...]
    pools: tuple[PoolStatus, ...]


class StatusTree(Data):
    """The root of a status tree."""

    loadbalancer: BalancerStatus


class StatusesReply(Data):
    """The reply that shows a status tree."""

    statuses: StatusTree
