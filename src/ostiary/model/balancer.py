"""A load balancer: an address at which listeners stand."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator

from ostiary.model.fields import IPAddress, Text, setting
from ostiary.model.resource import Configured


def _can_be_listened_on(text: str) -> str:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValueError(f"'{text}' stands for an IPv4 address; write {address.ipv4_mapped}")
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local:
        raise ValueError(f"'{text}' is link-local, which needs a zone; zones are not supported")
    if address.is_multicast or text == "255.255.255.255":
        raise ValueError(f"'{text}' is an address of many machines; nobody can connect to it")
    return text


class LoadBalancer(Configured):
    """An address and what listens there. Octavia: load balancer."""

    vip_address: Annotated[IPAddress, AfterValidator(_can_be_listened_on)] = setting(
        "", "The address its listeners bind to.", fixed=True, label="Address"
    )
    vip_subnet_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    vip_network_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    vip_port_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    vip_qos_policy_id: Text | None = setting(None, "Kept for OpenStack clients; not used.")
    flavor_id: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    availability_zone: Text | None = setting(None, "Kept for OpenStack clients; not used.", fixed=True)
    provider: Text = setting("ostiary", "Who carries it out.", fixed=True, pattern=r"^(ostiary|octavia|amphora)$")
