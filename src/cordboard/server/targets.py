"""Where an outbound leg goes: a trunk, a SIP URI or a redirection, to checked addresses.

Phone numbers leave only through a trunk that allows their prefix; every address passes the outbound policy,
and the address that was checked is the one that the INVITE goes to.
"""

from __future__ import annotations

import re

import msgspec

from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending, ending
from cordboard.legs.outputs import ResolveTarget, Route, Target, Terms
from cordboard.server.config import split_host
from cordboard.server.outbound_policy import PolicyError
from cordboard.server.resolver import MAX_HOPS, Hop, NoRouteError, Resolver, Wanted
from cordboard.server.trunks import Chosen, Trunks
from cordboard.sip.credentials import Credentials
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.uri import Uri, UriError

_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_TRANSPORTS = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}
MAX_CONTACTS = 5


class Targets:
    """Finds the targets of a destination: at once where no name has to be looked up."""

    def __init__(self, resolver: Resolver, trunks: Trunks) -> None:
        self._resolver = resolver
        self._trunks = trunks

    def find_at_once(self, order: ResolveTarget, caller: str = "") -> Route | Ending | Way:
        """The targets or the reason against them; a `Way` for `find` when a name must be resolved first.

        `caller`: the number or URI that the call is to present.
        """
        way = self._way(order, caller)
        if isinstance(way, Ending):
            return way
        located: list[tuple[_Plan, list[Hop]]] = []
        for plan in way.plans:
            try:
                hops = self._resolver.locate_at_once(plan.wanted)
            except OSError as error:
                return self._by_another(way, _refused(error, way, plan))
            if hops is None:
                return way
            located.append((plan, hops))
        return _route(way, located)

    async def find(self, way: Way) -> Route | Ending:
        """The same, with the names looked up."""
        located: list[tuple[_Plan, list[Hop]]] = []
        failure: Ending | None = None
        for plan in way.plans:
            try:
                located.append((plan, await self._resolver.locate(plan.wanted)))
            except OSError as error:
                failure = failure or _refused(error, way, plan)
        if located or failure is None:
            return _route(way, located)
        other = self._by_another(way, failure)
        return await self.find(other) if isinstance(other, Way) else other

    def _by_another(self, way: Way, failure: Ending) -> Route | Ending | Way:
        """By the trunk after one whose address cannot be used; without any the failure stays."""
        if way.order is None or way.terms is None:
            return failure
        failed = (*way.order.failed_trunks, way.terms.trunk)
        found = self.find_at_once(msgspec.structs.replace(way.order, failed_trunks=failed), way.caller)
        # What is wrong with a trunk tells more than that there is no other.
        return failure if isinstance(found, Ending) else found

    def came_in(self, call_id: str, address: str) -> str | None:
        """If the call comes from a trunk, it takes a place there; the trunk's name."""
        return self._trunks.came_in(call_id, address)

    def release(self, call_id: str) -> None:
        """The call is over: its place on a trunk is free."""
        self._trunks.release(call_id)

    # ------------------------------------------------------------ the way

    def _way(self, order: ResolveTarget, caller: str) -> Way | Ending:
        destination = order.destination
        if destination.problem:
            return ending("bad_destination", who=destination.to, detail=destination.problem)
        if order.redirects:
            return self._redirected(order)
        if destination.kind == "phone":
            return self._through_trunk(order, caller)
        plan = _to_uri(destination.to, destination.to)
        return plan if isinstance(plan, Ending) else Way(who=destination.to, plans=(plan,))

    def _redirected(self, order: ResolveTarget) -> Way | Ending:
        """Contacts of a 3xx: SIP URIs like any other, and no credentials for hosts that they name."""
        who = order.destination.to
        found = [self._contact(contact, order.destination) for contact in order.redirects[:MAX_CONTACTS]]
        plans = tuple(plan for plan in found if isinstance(plan, _Plan))
        if plans:
            return Way(who=who, plans=plans)
        return next((end for end in found if isinstance(end, Ending)), None) or ending("redirected", who=who)

    def _contact(self, contact: str, destination: Destination) -> _Plan | Ending:
        plan = _to_uri(contact, destination.to, is_phone=destination.kind == "phone")
        if isinstance(plan, Ending):
            return plan
        return self._trunks.redirection_refused(Uri.parse(plan.uri), destination) or plan

    def _through_trunk(self, order: ResolveTarget, caller: str) -> Way | Ending:
        number = order.destination.to
        chosen = self._trunks.choose(order.call_id, order.destination, caller, order.failed_trunks)
        if isinstance(chosen, Ending):
            return chosen
        return Way(who=number, plans=(_trunk_plan(chosen),), terms=chosen.terms, order=order, caller=caller)


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A host to reach, and what goes into the INVITE for it."""

    wanted: Wanted
    uri: str
    is_phone: bool = False
    credentials: Credentials | None = None
    """Of a trunk; those of a destination the leg knows itself."""

    def target(self, hop: Hop) -> Target:
        name = self.wanted.host if hop.transport == "TLS" else ""
        # RFC 3261 section 18.1.1: over 1,300 bytes by TCP, unless the URI insists on UDP.
        by_tcp = hop.transport == "UDP" and self.wanted.transport is None
        return Target(
            request_uri=self.uri,
            endpoint=Endpoint(hop.transport, hop.address, hop.port, name),
            is_phone=self.is_phone,
            credentials=self.credentials,
            large=Endpoint("TCP", hop.address, hop.port) if by_tcp else None,
        )


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """What has been decided before any name is looked up."""

    who: str
    plans: tuple[_Plan, ...]
    terms: Terms | None = None
    order: ResolveTarget | None = None
    """Of a trunk: what to ask again for another one."""
    caller: str = ""


def _route(way: Way, located: list[tuple[_Plan, list[Hop]]]) -> Route:
    targets = [plan.target(hop) for plan, hops in located for hop in hops]
    return Route(targets=tuple(targets[:MAX_HOPS]), terms=way.terms)


def _to_uri(text: str, who: str, *, is_phone: bool = False) -> _Plan | Ending:
    try:
        uri = Uri.parse(text)
    except UriError as error:
        return ending("bad_destination", who=who, detail=str(error))
    named = uri.params.get("transport")
    transport = _TRANSPORTS.get((named or "udp").lower())
    secure = uri.scheme == "sips"
    if not uri.is_sip or transport is None or (secure and named and transport == "UDP"):
        wanted = f"transport={(named or '').lower()}" if uri.is_sip else uri.scheme
        return ending("transport_unsupported", who=who, detail=wanted)
    host = (uri.params.get("maddr") or uri.host).strip("[]")
    if not _HOST.fullmatch(host):
        return ending("bad_destination", who=who, detail=f"{host[:64]!r} is neither a name nor an address.")
    return _Plan(
        wanted=Wanted(host=host, port=uri.port, transport=transport if named else None, secure=secure),
        # URI headers would become header fields of the INVITE: only the plan's own headers may.
        uri=str(msgspec.structs.replace(uri, headers={})),
        is_phone=is_phone,
    )


def _trunk_plan(chosen: Chosen) -> _Plan:
    host, port = split_host(chosen.trunk.address, 0)
    transport = chosen.trunk.transport
    params = {"transport": transport} if transport in ("tcp", "tls") else {}
    uri = Uri(user=chosen.number, host=host, port=port if port not in (0, 5060) else None, params=params)
    return _Plan(
        wanted=Wanted(host=host, port=port or None, transport=_TRANSPORTS.get(transport or "")),
        uri=str(uri),
        is_phone=True,
        credentials=chosen.credentials,
    )


def _refused(error: OSError, way: Way, plan: _Plan) -> Ending:
    who, detail = way.who, error.strerror or str(error)
    if way.terms is not None:
        detail = f"{plan.wanted.host} of the trunk {way.terms.trunk}: {detail}"
    if isinstance(error, PolicyError):
        return ending("policy_refused", who=who, detail=detail)
    if isinstance(error, NoRouteError):
        return ending("bad_destination", who=who, detail=detail)
    return ending("dns_failed", who=who, detail=detail)
