"""From the host of a SIP URI to addresses, ports and transports (RFC 3263): NAPTR, SRV, A and AAAA.

An address or an explicit port needs no NAPTR and SRV; a name of the configuration's `hosts` neither.  Every
address has passed the outbound policy, and it is these addresses that are connected to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver
import msgspec

from cordboard.server.address_rules import parse_address
from cordboard.server.config import DnsSection, split_host
from cordboard.server.outbound_policy import OutboundPolicy, PolicyError

_log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_HOPS = 8
"""Addresses that one destination may have tried."""
_MAX_RECORDS = 32
_CACHED_ANSWERS = 2_000
_PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061}
_SRV_NAMES = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}
_SERVICES = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}


class Hop(msgspec.Struct, frozen=True):
    """One address to try."""

    transport: str
    address: str
    port: int


class Srv(msgspec.Struct, frozen=True):
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    host: str


class Naptr(msgspec.Struct, frozen=True):
    """RFC 3403; `replacement` names SRV records."""

    order: int
    preference: int
    service: str
    replacement: str


class Records(Protocol):
    """Where NAPTR and SRV records come from.  Raises `NameServerError`."""

    async def naptr(self, name: str) -> list[Naptr]: ...
    async def srv(self, name: str) -> list[Srv]: ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a URI says of its next hop."""

    host: str
    port: int | None = None
    transport: str | None = None
    """UDP, TCP or TLS; None: nothing is said."""
    secure: bool = False
    """`sips`: TLS and nothing else."""


class Resolver:
    """`random`: in [0, 1), for the weights of SRV.  `speaks`: by IP version, whether there is a socket."""

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        records: Records | None = None,
        fixed_ports: Mapping[str, int] | None = None,
        default_transport: str = "UDP",
        versions: Iterable[int] = (4,),
        timeout: float = 3.0,
        random: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._records = records
        self._fixed_ports = {_key(name): port for name, port in (fixed_ports or {}).items()}
        self._default = default_transport
        self._versions = frozenset(versions)
        self._timeout = timeout
        self._random = random

    def locate_at_once(self, wanted: Wanted) -> list[Hop] | None:
        """The same as `locate`, for an address; None for a name.  Raises `PolicyError`, OSError."""
        address = parse_address(wanted.host)
        if address is None:
            return None
        verdict = self._policy.check_address(wanted.host)
        if not verdict.allowed:
            raise PolicyError(verdict.sentence)
        transport = self._transport(wanted)
        return self._usable([Hop(transport, str(address), wanted.port or _PORTS[transport])], wanted.host)

    async def locate(self, wanted: Wanted) -> list[Hop]:
        """Where to send, in the order of trying; never empty.  Raises `PolicyError`, OSError."""
        found = self.locate_at_once(wanted)
        if found is not None:
            return found
        try:
            async with asyncio.timeout(self._timeout):
                hops = await self._hops(wanted)
        except TimeoutError:
            raise OSError(f"no name server answered for {wanted.host} within {self._timeout:g} s") from None
        return self._usable(hops, wanted.host)

    def _usable(self, hops: list[Hop], host: str) -> list[Hop]:
        """Those that this server has a socket for."""
        usable = [hop for hop in hops if (6 if ":" in hop.address else 4) in self._versions]
        if usable:
            return list(dict.fromkeys(usable))[:MAX_HOPS]
        theirs = "IPv6" if ":" in hops[0].address else "IPv4"
        ours = " and ".join(f"IPv{version}" for version in sorted(self._versions))
        raise NoRouteError(f"{host} has only {theirs} addresses, and this server's SIP address is {ours}.")

    def _transport(self, wanted: Wanted) -> str:
        return "TLS" if wanted.secure else wanted.transport or self._default

    # ------------------------------------------------------------ names

    async def _hops(self, wanted: Wanted) -> list[Hop]:
        transport = self._transport(wanted)
        fixed = self._fixed_ports.get(_key(wanted.host))
        if wanted.port is not None or fixed is not None or not self._is_in_dns(wanted.host):
            port = wanted.port or fixed or _PORTS[transport]
            return await self._addresses(transport, wanted.host, port)
        assert self._records is not None
        hops = await self._services_of(wanted, self._records)
        return hops or await self._addresses(transport, wanted.host, _PORTS[transport])

    async def _services_of(self, wanted: Wanted, records: Records) -> list[Hop]:
        """By NAPTR and SRV; a name that only the system knows (/etc/hosts) needs no name server for them."""
        try:
            return await self._through_srv(await self._services(wanted, records), records)
        except NameServerError as error:
            _log.info("%s: %s; its addresses are tried", wanted.host, error)
            return []

    def _is_in_dns(self, host: str) -> bool:
        """A name without a dot is of the local network: no NAPTR and SRV are asked for it."""
        return self._records is not None and "." in host.rstrip(".") and not self._policy.is_fixed(host)

    async def _services(self, wanted: Wanted, records: Records) -> list[tuple[str, str]]:
        """(transport, name of the SRV records), in the order of trying."""
        transports = self._allowed(wanted)
        if wanted.transport is None:
            offered = sorted(await records.naptr(wanted.host), key=lambda r: (r.order, r.preference))
            named = [(_SERVICES.get(record.service.upper(), ""), record.replacement) for record in offered]
            if usable := [(transport, name) for transport, name in named if transport in transports]:
                return usable
        return [(transport, f"{_SRV_NAMES[transport]}.{wanted.host}") for transport in transports]

    def _allowed(self, wanted: Wanted) -> list[str]:
        """The transports that may be used, the preferred one first."""
        if wanted.secure:
            return ["TLS"]
        if wanted.transport is not None:
            return [wanted.transport]
        return sorted(_PORTS, key=lambda transport: transport != self._default)

    async def _through_srv(self, services: list[tuple[str, str]], records: Records) -> list[Hop]:
        hops: list[Hop] = []
        failure: OSError | None = None
        for transport, name in services:
            for record in in_order(await records.srv(name), self._random):
                if len(hops) >= MAX_HOPS:
                    return hops
                try:
                    hops += await self._addresses(transport, record.host, record.port)
                except PolicyError:
                    raise
                except OSError as error:
                    failure = error
        if failure is not None and not hops:
            raise failure
        return hops

    async def _addresses(self, transport: str, host: str, port: int) -> list[Hop]:
        return [Hop(transport, address, port) for address in await self._policy.resolve(host, port)]


class NameServerError(OSError):
    """The name server could not be asked, or failed."""


class NoRouteError(OSError):
    """The addresses are there, and this server cannot send to any of them."""


def in_order(records: Sequence[Srv], random: Callable[[], float]) -> list[Srv]:
    """By priority, and drawn by weight within one (RFC 2782)."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        left = [record for record in records[:_MAX_RECORDS] if record.priority == priority]
        while left:
            chosen = draw(left, [record.weight for record in left], random)
            left.remove(chosen)
            ordered.append(chosen)
    # A single "." says that the service is not there.
    return [record for record in ordered if record.host not in ("", ".")]


def draw(items: Sequence[T], weights: Sequence[int], random: Callable[[], float]) -> T:
    """One of the items, by weight; a weight of 0 has a small chance among others of 0 only."""
    point = random() * sum(weights)
    for item, weight in zip(items, weights, strict=True):
        if point < weight:
            return item
        point -= weight
    return items[-1]


class DnsRecords:
    """NAPTR, SRV and addresses from name servers; each answer, also a negative one, is kept for its TTL."""

    def __init__(self, section: DnsSection) -> None:
        self._section = section
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def naptr(self, name: str) -> list[Naptr]:
        return [
            Naptr(r.order, r.preference, _text(r.service), _name(r.replacement))
            for r in await self._ask(name, "NAPTR")
            if _text(r.flags).lower() == "s"
        ]

    async def srv(self, name: str) -> list[Srv]:
        found = await self._ask(name, "SRV")
        return [Srv(r.priority, r.weight, r.port, _name(r.target) or ".") for r in found]

    async def addresses(self, host: str, port: int) -> list[str]:
        """For the outbound policy.  Raises OSError when there is none."""
        both = await asyncio.gather(self._ask(host, "AAAA"), self._ask(host, "A"))
        found = [record.address for records in both for record in records]
        if not found:
            raise OSError("Name or service not known")
        return found

    async def _ask(self, name: str, kind: str) -> list[Any]:
        if self._resolver is None:
            self._resolver = _resolver(self._section)
        try:
            answer = await self._resolver.resolve(name, kind, raise_on_no_answer=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
            return []
        except dns.exception.Timeout:
            raise NameServerError(f"no name server answered when asked for {kind} of {name}") from None
        except dns.exception.DNSException as error:
            raise NameServerError(
                f"the name server could not say {kind} of {name}: {_short(error)}"
            ) from None
        return list(answer.rrset or ())[:_MAX_RECORDS]


def _resolver(section: DnsSection) -> dns.asyncresolver.Resolver:
    """Raises `NameServerError` where the system names no name server."""
    try:
        made = dns.asyncresolver.Resolver(configure=not section.servers)
    except dns.exception.DNSException as error:
        raise NameServerError(f"the system's resolver cannot be used: {error}") from None
    if section.servers:
        made.nameservers = [
            dns.nameserver.Do53Nameserver(*split_host(server, 53)) for server in section.servers
        ]
    made.cache = dns.resolver.LRUCache(_CACHED_ANSWERS)
    # Half, so that addresses can still be asked for where nobody answers for the rest.
    made.lifetime = section.timeout / 2
    made.timeout = section.timeout / 4
    return made


def _short(error: Exception) -> str:
    return "it failed" if isinstance(error, dns.resolver.NoNameservers) else str(error)[:200]


def _text(value: bytes | str) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _name(value: Any) -> str:
    return str(value).rstrip(".")


def _key(name: str) -> str:
    return name.lower().rstrip(".")
