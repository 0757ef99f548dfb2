"""Where an outbound leg goes: trunk or SIP URI to a checked address.

Phone numbers leave only through a trunk that allows their prefix; every address passes the outbound policy,
and the address that was checked is the one that the INVITE goes to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending, ending
from cordboard.legs.outputs import Target
from cordboard.server.config import Trunk, split_host
from cordboard.server.outbound_policy import OutboundPolicy, PolicyError
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.uri import Uri, UriError

_DEFAULT_PORT = 5060


class Targets:
    """Finds the target of a destination: at once where no name has to be looked up."""

    def __init__(self, policy: OutboundPolicy, trunks: Mapping[str, Trunk], ports: Mapping[str, int]) -> None:
        """`ports`: of host names that have a fixed one; they hold where a URI names none."""
        self._policy = policy
        self._trunks = trunks
        self._ports = ports

    def find_at_once(self, destination: Destination) -> Target | Ending | None:
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
        return plan.target(plan.host)

    async def find(self, destination: Destination) -> Target | Ending:
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
        if not addresses:
            return ending("dns_failed", who=destination.to)
        return plan.target(addresses[0])

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
        # URI headers would become header fields of the INVITE: only the plan's own headers may.
        return _Plan(host, uri.port or self._ports.get(host.lower(), _DEFAULT_PORT), text.split("?", 1)[0])


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
