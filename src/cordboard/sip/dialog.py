"""Dialogs (RFC 3261 section 12): the identity, the route and the sequence numbers two ends share."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import msgspec

from cordboard.sip.endpoint import RELIABLE_TRANSPORTS, Endpoint
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.name_addr import parse_name_addr
from cordboard.sip.message import Request, Response
from cordboard.sip.outgoing import OutgoingRequest
from cordboard.sip.reach import is_behind_nat
from cordboard.sip.replies import default_port
from cordboard.sip.uri import Uri, UriError

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""

_SAVED_CSEQ_STEP = 1000
_ORDINARY_LENGTH = 256
"""Characters of a URI; what is longer is not remembered."""


class SavedDialog(msgspec.Struct, frozen=True, array_like=True):
    """What is needed to end a dialog later, from another process."""

    call_id: bytes
    local: bytes
    remote: bytes
    remote_target: bytes
    routes: list[bytes]
    cseq: int
    peer: tuple[str, str, int]
    server_name: str = ""


class Dialog:
    """One end's view of a dialog, early or confirmed.

    `local` and `remote` are the header values with their tags, as the other end knows them.
    """

    __slots__ = (
        "_route_lines",
        "alternative",
        "call_id",
        "cseq",
        "destination",
        "key",
        "local",
        "local_tag",
        "peer",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "routes",
        "target",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        remote_target: str,
        routes: list[str],
        cseq: int,
        remote_cseq: int | None,
        peer: Endpoint,
    ) -> None:
        self.key: DialogKey = (call_id, local_tag, remote_tag)
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = remote_tag
        self.remote_target = remote_target
        self.routes = routes
        self.cseq = cseq
        """Of our last request."""
        self.remote_cseq = remote_cseq
        self.peer = peer
        """Where the dialog was set up with; used when the next hop is a name, not an address."""
        self._find_route()

    @classmethod
    def of_request(cls, request: Request, *, local: str, local_tag: str, peer: Endpoint) -> Dialog:
        """The server's side, from an INVITE (RFC 3261 section 12.1.1).  `local` is To with our tag."""
        return cls(
            call_id=request.call_id,
            local=local,
            local_tag=local_tag,
            remote=request.headers.get("From") or "",
            remote_tag=request.from_tag or "",
            remote_target=contact_uri(request) or "",
            routes=request.record_routes,
            cseq=0,
            remote_cseq=request.cseq.number,
            peer=peer,
        )

    @classmethod
    def of_response(cls, sent: OutgoingRequest, local_tag: str, response: Response) -> Dialog:
        """The client's side, from a response to our INVITE (RFC 3261 section 12.1.2)."""
        return cls(
            call_id=sent.call_id,
            local=sent.from_,
            local_tag=local_tag,
            remote=response.headers.get("To") or "",
            remote_tag=response.to_tag or "",
            remote_target=contact_uri(response) or sent.uri,
            routes=response.record_routes[::-1],
            cseq=sent.cseq,
            remote_cseq=None,
            peer=sent.destination,
        )

    # ------------------------------------------------------------ the route

    def confirm(self, response: Response) -> None:
        """The 2xx has the last word about route set and target (RFC 3261 section 13.2.2.4)."""
        routes = response.record_routes[::-1]
        target = contact_uri(response) or self.remote_target
        if routes != self.routes or target != self.remote_target:
            self.routes, self.remote_target = routes, target
            self._find_route()

    def refresh_target(self, message: Request | Response) -> None:
        """A re-INVITE or UPDATE, or its 2xx, may move the far end (RFC 3261 section 12.2)."""
        target = contact_uri(message)
        if target is not None and target != self.remote_target:
            self.remote_target = target
            self._find_route()

    def _find_route(self) -> None:
        """Request-URI, Route and next hop of our requests (RFC 3261 section 12.2.1.1)."""
        routes, target = self.routes, self.remote_target
        hop = target
        if routes:
            first = _route_uri(routes[0])
            hop = str(first)
            if "lr" not in first.params:  # a strict router takes the Request-URI and hands on the last Route
                routes, target = [*routes[1:], f"<{target}>"], _without_headers(first)
        self.target = target
        self._route_lines = "".join([f"Route: {route}\r\n" for route in routes]) if routes else ""
        self.destination = next_hop(hop, self.peer)
        self.alternative: Endpoint | None = None
        if self.peer.transport != "UDP":
            self._keep_connection(bool(routes))

    def _keep_connection(self, is_routed: bool) -> None:
        """Over TCP and TLS requests go where the dialog was made, the same connection: a Contact behind a NAT
        cannot be reached, and most clients listen nowhere.  What the route says is for when that is gone.

        Deviation from section 12.2.1.1 where a Contact names another host; a Route to another is followed.
        """
        hop, peer = self.destination, self.peer
        if hop.transport == peer.transport and (not is_routed or hop.address == peer.address):
            self.destination = peer
            self.alternative = None if hop[:3] == peer[:3] else hop

    def lose_connection(self) -> None:
        """Nothing can be sent to the destination."""
        if self.alternative is not None:
            self.destination, self.alternative = self.alternative, None

    def accepts(self, cseq: int) -> bool:
        """Whether a request of theirs is in order; remembers its number (RFC 3261 section 12.2.2)."""
        if self.remote_cseq is not None and cseq < self.remote_cseq:
            return False
        self.remote_cseq = cseq
        return True

    # ------------------------------------------------------------ our requests

    def request(
        self,
        method: str,
        *,
        via: str,
        branch: str,
        extra: str,
        added: str = "",
        body: bytes = b"",
        cseq: int | None = None,
    ) -> OutgoingRequest:
        """The next request of ours; with `cseq` the ACK for the INVITE of that number."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        return OutgoingRequest(
            method,
            self.target,
            via=via,
            branch=branch,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            cseq=cseq,
            destination=self.destination,
            alternative=self.alternative,
            routes=self._route_lines,
            extra=extra,
            added=added,
            body=body,
        )

    # ------------------------------------------------------------ across a restart

    def save(self) -> bytes:
        """For `restore`."""
        texts = [self.call_id, self.local, self.remote, self.remote_target]
        call_id, local, remote, remote_target = [text.encode("utf-8", "surrogateescape") for text in texts]
        saved = SavedDialog(
            call_id=call_id,
            local=local,
            remote=remote,
            remote_target=remote_target,
            routes=[_octets(route) for route in self.routes] if self.routes else [],
            cseq=self.cseq,
            peer=self.peer[:3],
            server_name=self.peer.server_name,
        )
        return msgspec.msgpack.encode(saved)

    @classmethod
    def restore(cls, saved: bytes) -> Dialog:
        """Raises msgspec.DecodeError on what `save` did not write.

        CSeq goes on well above what may have been used since.
        """
        it = msgspec.msgpack.decode(saved, type=SavedDialog)
        return cls(
            call_id=_text(it.call_id),
            local=_text(it.local),
            local_tag="",
            remote=_text(it.remote),
            remote_tag="",
            remote_target=_text(it.remote_target),
            routes=[_text(route) for route in it.routes],
            cseq=it.cseq + _SAVED_CSEQ_STEP,
            remote_cseq=None,
            peer=Endpoint(*it.peer, it.server_name),
        )


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def contact_uri(message: Request | Response) -> str | None:
    """The Contact as a Request-URI, or None.  Its headers must not be sent (RFC 3261 section 19.1.1)."""
    raw = message.headers.get("Contact")
    if raw is None:
        return None
    return _remembered_target(raw) if len(raw) <= _ORDINARY_LENGTH else _target(raw)


def _target(raw: str) -> str | None:
    try:
        uri = parse_name_addr(split_list(raw)[0]).uri
    except (HeaderError, IndexError):
        return None
    return _without_headers(uri) if uri.is_sip else None


_remembered_target = lru_cache(maxsize=4096)(_target)


def _without_headers(uri: Uri) -> str:
    return str(msgspec.structs.replace(uri, headers={}) if uri.headers else uri)


def _route_uri(route: str) -> Uri:
    try:
        return parse_name_addr(route).uri
    except HeaderError:  # cannot be in a parsed message; a saved dialog may be from anywhere
        return Uri()


def next_hop(uri: str, peer: Endpoint) -> Endpoint:
    """Where a request for `uri` goes: there if it says an IP address that `peer` can have, else to `peer`.

    `maddr` counts as the host if it is an address too (RFC 3261 section 19.1.1).
    """
    return _remembered_hop(uri, peer) if len(uri) <= _ORDINARY_LENGTH else _next_hop(uri, peer)


def _next_hop(uri: str, peer: Endpoint) -> Endpoint:
    try:
        parsed = Uri.parse(uri)
        address = ipaddress.ip_address((parsed.params.get("maddr") or parsed.host).strip("[]"))
    except (UriError, ValueError):
        return peer
    transport = _transport(parsed, peer)
    port = default_port(transport) if parsed.port is None else parsed.port
    if port == 0 or address.is_unspecified or address.is_multicast or is_behind_nat(address, peer.address):
        return peer
    name = peer.server_name if transport == peer.transport and str(address) == peer.address else ""
    return Endpoint(transport, str(address), port, name)


_remembered_hop = lru_cache(maxsize=4096)(_next_hop)


def _transport(uri: Uri, peer: Endpoint) -> str:
    """What `uri` asks for if it is one that we know, else that of `peer`; for sips never less than TLS."""
    wanted = (uri.params.get("transport") or peer.transport).upper()
    known = wanted if wanted == "UDP" or wanted in RELIABLE_TRANSPORTS else peer.transport
    if uri.scheme != "sips":
        return known
    return "WSS" if known in ("WS", "WSS") else "TLS"
