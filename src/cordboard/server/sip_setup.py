"""From the configuration to what SIP needs: what far ends are told, and how destinations are found."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping

from cordboard.server.config import Config, SipSection, Trunk
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.registrations import Send, TrunkWatch
from cordboard.server.resolver import DnsRecords, Resolver
from cordboard.server.targets import Targets
from cordboard.server.trunk_requests import TrunkRequests
from cordboard.server.trunks import Trunks
from cordboard.sip.endpoint import Endpoint


def told(section: SipSection, local: Iterable[Endpoint]) -> list[Endpoint]:
    """Our endpoints as they stand in Via and Contact."""
    return [_told(section, endpoint) for endpoint in local]


def _told(section: SipSection, endpoint: Endpoint) -> Endpoint:
    is_first = (":" in endpoint.address) is (":" in section.address)
    public = section.public_address if is_first else section.public_address_v6
    port = section.public_port if section.public_port and endpoint.transport != "TLS" else endpoint.port
    return endpoint._replace(address=public or endpoint.address, port=port)


def make_watch(
    config: Config,
    trunks: Trunks,
    resolver: Resolver,
    requests: TrunkRequests,
    local: Iterable[Endpoint],
    send: Send | None = None,
) -> TrunkWatch:
    """Not started yet.  `send`: for keep-alives; None: none are sent."""
    return TrunkWatch(
        config.trunks,
        trunks,
        resolver,
        requests,
        told=told(config.sip, local),
        random=random.random,
        send=send,
        keep_alive=config.sip.keep_alive,
    )


def make_targets(
    config: Config,
    policy: OutboundPolicy,
    *,
    trunks: Mapping[str, Trunk],
    ports: Mapping[str, int],
    local: Iterable[Endpoint],
) -> tuple[Targets, Trunks, Resolver]:
    """`ports`: of the configuration's `hosts` that name one."""
    records = DnsRecords(config.dns)
    resolver = Resolver(
        policy.with_lookup(records.addresses) if config.dns.servers else policy,
        records=records,
        fixed_ports=ports,
        default_transport=config.sip.default_transport.upper(),
        versions={6 if ":" in endpoint.address else 4 for endpoint in local},
        timeout=config.dns.timeout,
        random=random.random,
    )
    chooser = Trunks(trunks, numbers=config.server.numbers, random=random.random, clock=time.monotonic)
    return Targets(resolver, chooser), chooser, resolver
