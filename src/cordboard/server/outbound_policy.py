"""Where this server may connect to: one rule for documents, callbacks, audio and SIP targets.

A name is resolved once, every address it has must be allowed, and the connection goes to an address that was
checked.  Cloud metadata services are out of reach whatever the configuration says.
"""

from __future__ import annotations

import asyncio
import copy
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from cordboard.server.address_rules import ALWAYS_REFUSED, PUBLIC, IPAddress, kind_of, parse_address

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""(host name, port) → addresses.  Raises OSError."""

MAX_ADDRESSES = 16
LOOKUP_TIMEOUT = 5.0
LOOKUPS_AT_ONCE = 32


class PolicyError(OSError):
    """The outbound policy refuses an address.  `str()` is a sentence that says which, why and what to do."""


class Verdict(msgspec.Struct, frozen=True):
    """What the policy says of one address."""

    allowed: bool
    sentence: str = ""
    """Why not."""


_ALLOWED = Verdict(True)


class OutboundPolicy:
    """`hosts`: names with a fixed address, asked before DNS; their addresses are checked like any other."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        allowed_networks: Iterable[str] = (),
        hosts: Mapping[str, str] | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in allowed_networks)
        self._hosts = {_key(name): address for name, address in (hosts or {}).items()}
        self._lookup = lookup or SystemLookup()

    def check_address(self, address: str) -> Verdict:
        """Check an IP address in any spelling.  A text that is no address is refused."""
        parsed = parse_address(address)
        if parsed is None:
            return Verdict(False, f"{address!r} is not an IP address.")
        return self._check(parsed)

    def with_lookup(self, lookup: Lookup) -> OutboundPolicy:
        """The same rules for names that are looked up in another way."""
        other = copy.copy(self)
        other._lookup = lookup
        return other

    def is_fixed(self, host: str) -> bool:
        """The configuration names its address."""
        return _key(host) in self._hosts

    async def resolve(self, host: str, port: int) -> list[str]:
        """The checked addresses of a host, in order of preference.

        Raises `PolicyError` when any of them is refused, another OSError when the name has none.
        """
        literal = parse_address(host)
        if literal is not None:
            return [self._accept(literal, host)]
        return [self._accept(address, host) for address in await self._addresses(host, port)]

    async def _addresses(self, host: str, port: int) -> list[IPAddress]:
        fixed = self._hosts.get(_key(host))
        if fixed is not None:
            return [ipaddress.ip_address(fixed)]
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                texts = await self._lookup(host, port)
        except TimeoutError:
            raise OSError(f"the name {host} was not resolved within {LOOKUP_TIMEOUT:g} s") from None
        except UnicodeError:
            raise OSError(f"{host!r} is not a valid host name") from None
        addresses = [parsed for text in texts[:MAX_ADDRESSES] if (parsed := parse_address(text)) is not None]
        if not addresses:
            raise OSError(f"the name {host} has no address")
        return addresses

    def _accept(self, address: IPAddress, host: str) -> str:
        verdict = self._check(address)
        if verdict.allowed:
            return str(address)
        named = verdict.sentence if parse_address(host) else f"The host {host} is refused: {verdict.sentence}"
        raise PolicyError(named)

    def _check(self, address: IPAddress) -> Verdict:
        kind = kind_of(address)
        if kind == PUBLIC:
            return _ALLOWED
        if kind in ALWAYS_REFUSED:
            return Verdict(False, f"The address {address} is {kind}, which is never allowed.")
        if self._allow_private or any(address in network for network in self._networks):
            return _ALLOWED
        return Verdict(
            False,
            f"The address {address} is {kind}; allow it with outbound.allow_private or by listing its"
            " network in outbound.allowed_networks.",
        )


class SystemLookup:
    """The system's resolver, in threads of its own: a name server that hangs takes no others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="lookup")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _addresses, host, port)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _key(name: str) -> str:
    return name.lower().rstrip(".")
