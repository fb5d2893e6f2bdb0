"""A load balancer: an address at which listeners stand."""

from ostiary.model.fields import IPAddress, Text, setting
from ostiary.model.resource import Configured


class LoadBalancer(Configured):
    """An address and what listens there. Octavia: load balancer."""

    vip_address: IPAddress = setting("", "The address its listeners bind to.", fixed=True)
    vip_subnet_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    vip_network_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    vip_port_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    vip_qos_policy_id: Text | None = setting(None, "Kept for OpenStack clients; not used.")
    flavor_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    availability_zone: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    provider: Text = setting("ostiary", "Who carries it out.", fixed=True, pattern=r"^(ostiary|octavia|amphora)$")
