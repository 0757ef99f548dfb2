"""Where a message goes to or comes from."""

from __future__ import annotations

from typing import NamedTuple

RELIABLE_TRANSPORTS = frozenset({"TCP", "TLS", "SCTP", "WS", "WSS"})
SECURE_TRANSPORTS = frozenset({"TLS", "WSS"})


class Endpoint(NamedTuple):
    """A transport address.  `address` is an IP literal without brackets."""

    transport: str
    """UDP, TCP or TLS"""
    address: str
    port: int
    server_name: str = ""
    """TLS, towards a server: the name that its certificate must have (RFC 5922); also for SNI."""

    @property
    def reliable(self) -> bool:
        """The transport retransmits by itself, so the transactions need not (RFC 3261 section 17)."""
        return self.transport in RELIABLE_TRANSPORTS

    @property
    def host_port(self) -> str:
        """As it stands in a Via or a URI: an IPv6 address in brackets."""
        return f"{bracketed(self.address)}:{self.port}"


def bracketed(address: str) -> str:
    """An IP address as a URI host (RFC 3261 section 25.1, IPv6reference)."""
    return f"[{address}]" if ":" in address else address
