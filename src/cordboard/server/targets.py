"""Where an outbound leg goes: trunk or SIP URI to a checked address.

Phone numbers leave only through a trunk that allows their prefix; every address passes the outbound policy,
and the address that was checked is the one that the INVITE goes to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

import msgspec

from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending, ending
from cordboard.legs.outputs import Route, Target
from cordboard.server.config import Trunk, split_host
from cordboard.server.outbound_policy import OutboundPolicy, PolicyError
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.uri import Uri, UriError

_DEFAULT_PORT = 5060
_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}|[0-9A-Fa-f:.]{2,45}")


class Targets:
    """Finds the target of a destination: at once where no name has to be looked up."""

    def __init__(
        self,
        policy: OutboundPolicy,
        trunks: Mapping[str, Trunk],
        ports: Mapping[str, int],
        *,
        local_address: str = "127.0.0.1",
    ) -> None:
        """`ports`: of host names that have a fixed one; they hold where a URI names none.

        `local_address`: of the SIP socket, which reaches only addresses of its own IP version.
        """
        self._policy = policy
        self._trunks = trunks
        self._ports = ports
        self._is_v6 = ":" in local_address

    def find_at_once(self, destination: Destination) -> Route | Ending | None:
        """The target or the reason against it; None when a host name must be resolved first."""
        plan = self._plan(destination)
        if isinstance(plan, Ending):
            return plan
        try:
            ipaddress.ip_address(plan.host)
        except ValueError:
            return None
        verdict = self._policy.check_address(plan.host)
        if not verdict.allowed:
            return ending("policy_refused", who=destination.to, detail=verdict.sentence)
        return self._target(plan, [plan.host], destination)

    async def find(self, destination: Destination) -> Route | Ending:
        """The same, with the name looked up."""
        plan = self._plan(destination)
        if isinstance(plan, Ending):
            return plan
        try:
            addresses = await self._policy.resolve(plan.host, plan.port)
        except PolicyError as error:
            return ending("policy_refused", who=destination.to, detail=str(error))
        except OSError as error:
            return ending("dns_failed", who=destination.to, detail=error.strerror or str(error))
        return self._target(plan, addresses, destination)

    def _target(self, plan: _Plan, addresses: list[str], destination: Destination) -> Route | Ending:
        """The first address that the SIP socket can send to."""
        for address in addresses:
            if (":" in address) is self._is_v6:
                return Route(targets=(plan.target(address),))
        ours, theirs = ("IPv6", "IPv4") if self._is_v6 else ("IPv4", "IPv6")
        detail = f"{plan.host} has only {theirs} addresses, and this server's SIP address is {ours}."
        return ending("bad_destination", who=destination.to, detail=detail)

    # ------------------------------------------------------------ inside

    def _plan(self, destination: Destination) -> _Plan | Ending:
        if destination.problem:
            return ending("bad_destination", who=destination.to, detail=destination.problem)
        if destination.kind == "phone":
            return self._through_trunk(destination.to)
        return self._to_uri(destination.to)

    def _through_trunk(self, number: str) -> _Plan | Ending:
        if not self._trunks:
            return ending("no_trunk", who=number)
        for trunk in self._trunks.values():
            if any(number.startswith(prefix) for prefix in trunk.allowed_prefixes):
                host, port = split_host(trunk.address, _DEFAULT_PORT)
                uri = f"sip:{number}@{_bracketed(host)}"
                return _Plan(host, port, f"{uri}:{port}" if port != _DEFAULT_PORT else uri, is_phone=True)
        return ending("prefix_not_allowed", who=number)

    def _to_uri(self, text: str) -> _Plan | Ending:
        try:
            uri = Uri.parse(text)
        except UriError as error:
            return ending("bad_destination", who=text, detail=str(error))
        transport = (uri.params.get("transport") or "udp").lower()
        if uri.scheme != "sip" or transport != "udp":
            wanted = uri.scheme if uri.scheme != "sip" else f"transport={transport}"
            return ending("transport_unsupported", who=text, detail=wanted)
        host = (uri.params.get("maddr") or uri.host).strip("[]")
        if not _HOST.fullmatch(host):
            return ending(
                "bad_destination", who=text, detail=f"{host[:64]!r} is neither a name nor an address."
            )
        # URI headers would become header fields of the INVITE: only the plan's own headers may.
        dialled = str(msgspec.structs.replace(uri, headers={}))
        return _Plan(host, uri.port or self._ports.get(host.lower().rstrip("."), _DEFAULT_PORT), dialled)


class _Plan:
    """A host to reach, and the Request-URI for it."""

    __slots__ = ("_is_phone", "_uri", "host", "port")

    def __init__(self, host: str, port: int, uri: str, *, is_phone: bool = False) -> None:
        self.host = host
        self.port = port
        self._uri = uri
        self._is_phone = is_phone

    def target(self, address: str) -> Target:
        endpoint = Endpoint("UDP", address, self.port)
        return Target(request_uri=self._uri, endpoint=endpoint, is_phone=self._is_phone)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
