"""What kind of network an IP address belongs to, seen through every disguise.  Pure.

An IPv6 address may carry an IPv4 address that a gateway on the way would connect to (mapped, 6to4, NAT64 …),
and the C library takes IPv4 addresses in decimal, octal and hexadecimal: a rule about addresses that does
not look through these can be walked around.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

PUBLIC = "public"
METADATA = "cloud metadata"

_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, and most others
        "169.254.169.253",
        "169.254.170.2",  # AWS container credentials
        "169.254.170.23",
        "168.63.129.16",  # Azure
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
    )
)

_V4_KINDS: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared (carrier NAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6_KINDS: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001:2::/48", "benchmarking"),
        ("2001:10::/28", "reserved"),
        ("2001:20::/28", "reserved"),
        ("100::/64", "reserved"),
        ("5f00::/16", "reserved"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")

_EMBEDDED: tuple[tuple[IPv6Network, int], ...] = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # mapped
        ("::ffff:0:0:0/96", 0),  # translated (SIIT)
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64, local prefix
        ("2002::/16", 80),  # 6to4
        ("::/96", 0),  # compatible (deprecated)
    )
)
_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x00005EFE, 0x02005EFE)

ALWAYS_REFUSED = frozenset({METADATA, "multicast", "broadcast", "unspecified", "reserved"})
"""Kinds that no configuration can allow: nothing that is wanted answers there."""


@lru_cache(maxsize=4096)
def kind_of(address: IPAddress) -> str:
    """`public`, or what keeps the address from being public.  The worst of an address and what it carries."""
    if address in _METADATA:
        return METADATA
    if isinstance(address, IPv4Address):
        return _kind_in(address, _V4_KINDS)
    carried = carried_address(address)
    if carried is not None:
        return kind_of(carried)
    kind = _kind_in(address, _V6_KINDS)
    return "reserved" if kind == PUBLIC and address not in _GLOBAL_UNICAST else kind


def carried_address(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 address, if there is one."""
    value = int(address)
    if value <= 1:  # `::` and `::1` are themselves
        return None
    if address in _TEREDO:
        return IPv4Address(~value & 0xFFFFFFFF)
    if (value >> 32) & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(value & 0xFFFFFFFF)
    for network, shift in _EMBEDDED:
        if address in network:
            return IPv4Address((value >> shift) & 0xFFFFFFFF)
    return None


def _kind_in(address: IPAddress, kinds: tuple[tuple[IPv4Network | IPv6Network, str], ...]) -> str:
    for network, kind in kinds:
        if address in network:
            return kind
    return PUBLIC


def source_filter(networks: Iterable[str]) -> Callable[[str], bool]:
    """Whether an address, as a socket gives it, lies in one of these CIDR blocks (mapped IPv4 as IPv4)."""
    blocks = tuple(ipaddress.ip_network(text, strict=False) for text in networks)

    @lru_cache(maxsize=4096)
    def is_inside(text: str) -> bool:
        address = parse_address(text)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address is not None and any(address in block for block in blocks)

    return is_inside


_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def parse_address(host: str) -> IPAddress | None:
    """The address that a host text means, in any spelling that `inet_aton` takes; None for a name.

    Brackets and an IPv6 zone are cut off.
    """
    return _remembered(host) if len(host) <= 64 else _parse(host)


def _parse(host: str) -> IPAddress | None:
    text = host.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return _old_spelling(text)


# Calls come from, and go to, few hosts.
_remembered = lru_cache(maxsize=1024)(_parse)


def _old_spelling(text: str) -> IPv4Address | None:
    """`2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1`: the last part fills all bytes that are left."""
    parts = text.removesuffix(".").split(".")
    if not 1 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = [_number(part) for part in parts]
    if None in numbers:
        return None
    *heads, last = (number for number in numbers if number is not None)
    room = 4 - len(heads)
    if any(head > 255 for head in heads) or last >= 256**room:
        return None
    value = last
    for place, head in enumerate(heads):
        value += head << (24 - 8 * place)
    return IPv4Address(value)


def _number(part: str) -> int | None:
    if len(part) > 40:
        return None
    try:
        if part[:2] in ("0x", "0X"):
            return int(part[2:] or "0", 16)
        return int(part, 8) if len(part) > 1 and part[0] == "0" else int(part)
    except ValueError:
        return None
