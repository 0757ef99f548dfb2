"""Addresses in a Contact or a Record-Route that mean nothing outside of the sender's own network.

A phone behind NAT that does not know it puts its private address into its Contact.  Requests to it go to
where its own come from: there is the binding of its NAT.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MACHINE, _SITE, _WORLD = range(3)
_SITES = [
    ipaddress.ip_network(block)
    for block in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]
"""RFC 1918, 6598, 3927, 4193 and 4291; not `is_private`, which has the addresses of documentation too."""


def is_behind_nat(address: Address, source: str) -> bool:
    """Whether an address cannot be what a packet from `source`, an IP address, would be answered at."""
    return _reach(address) < _reach_of(source)


@lru_cache(maxsize=1024)
def _reach_of(source: str) -> int:
    try:
        return _reach(ipaddress.ip_address(source.partition("%")[0]))
    except ValueError:
        return _MACHINE


def _reach(address: Address) -> int:
    if address.is_loopback:
        return _MACHINE
    return _SITE if any(address in network for network in _SITES) else _WORLD
