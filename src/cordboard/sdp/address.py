"""What a `c=` address can be used for."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Literal

AddressKind = Literal["unicast", "unspecified", "multicast", "scoped", "name"]


_LONGEST_ADDRESS = 45
"""Characters of an IPv6 address that ends like an IPv4 address."""


def classify_address(text: str) -> AddressKind:
    """Sort the address of a connection line.

    `unspecified` (0.0.0.0, ::) is the old way to hold (RFC 3264 section 8.4).  `multicast` includes the
    broadcast and reserved ranges.  `scoped` carries a zone id, which means nothing on another host.  All that
    is no literal is a `name`.
    """
    if len(text) > _LONGEST_ADDRESS:
        return "scoped" if "%" in text else "name"
    return _remembered_kind(text)


@lru_cache(maxsize=1024)
def _remembered_kind(text: str) -> AddressKind:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "scoped" if "%" in text else "name"
    if "%" in text:
        return "scoped"
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_unspecified:
        return "unspecified"
    if address.is_multicast or (address.version == 4 and address.is_reserved):
        return "multicast"
    return "unicast"


def same_family(one: str, other: str) -> bool:
    """True when both literals are IPv4, or both IPv6."""
    return (":" in one) == (":" in other)


def connection(address: str) -> str:
    """The value of the `c=` line (and the tail of the `o=` line) for an address."""
    return f"IN {'IP6' if ':' in address else 'IP4'} {address}"
