"""Writing responses: where they go, and the headers that they repeat (RFC 3261 section 8.2.6)."""

from __future__ import annotations

from cordboard.sip.endpoint import RELIABLE_TRANSPORTS, SECURE_TRANSPORTS, Endpoint
from cordboard.sip.message import Request
from cordboard.sip.outgoing import NO_BODY, body_lines, encoded
from cordboard.sip.status import REASON_PHRASES, reason_phrase

DEFAULT_PORT = 5060
DEFAULT_SECURE_PORT = 5061
_REPEATED = ("Via", "From", "Call-ID", "CSeq", "To", "Record-Route")


def default_port(transport: str) -> int:
    """RFC 3261 section 19.1.2."""
    return DEFAULT_SECURE_PORT if transport in SECURE_TRANSPORTS else DEFAULT_PORT


def second_destination(request: Request, source: Endpoint) -> Endpoint | None:
    """Where a response goes when the connection of its request is gone: to the source's address, at the port
    of the Via (section 18.2.2)."""
    if not source.reliable:
        return None
    port = request.via.port or default_port(source.transport)
    return None if port == source.port else Endpoint(source.transport, source.address, port)


def _stamped_vias(request: Request, source: Endpoint, top: str) -> str:
    """All Vias, the topmost (whose line is `top`) with where the request came from."""
    via = request.via
    if (
        request.headers.count("Via") == 1
        and "," not in top
        and '"' not in top
        and "received" not in via.params
    ):
        before, asked, after = f"{top};".partition(";rport;")
        if asked:
            return f"{before};rport={source.port};received={source.address};{after}"[:-1]
        if via.host == source.address and "rport" not in via.params:
            return top
    request.stamp_source(source.address, source.port)
    return "\r\nVia: ".join(request.headers.get_all("Via"))


class ReplyWriter:
    """Writes all responses to one request; the repeated headers are put together once."""

    __slots__ = ("_from_on", "_has_tag", "_record_routes", "_to", "_vias", "destination", "to_tag")

    def __init__(self, request: Request, source: Endpoint, to_tag: str) -> None:
        """`to_tag` is added to To in all responses but 100, if the request has none.

        They go where RFC 3261 section 18.2.2 with RFC 3581 says: to the source's address, and its port if
        `rport` asks for that; over TCP and TLS, back over the connection that the request came on.
        Deviation: `maddr` is not followed, it would let a stranger choose who gets our responses.
        """
        headers, via = request.headers, request.via
        port = source.port
        if "rport" not in via.params and source.transport not in RELIABLE_TRANSPORTS:
            port = via.port or DEFAULT_PORT
        self.destination = source if port == source.port else Endpoint(source.transport, source.address, port)
        top, from_, call_id, cseq, to, route = headers.first_of(_REPEATED)
        self._vias = _stamped_vias(request, source, top or "")
        self._from_on = f"\r\nFrom: {from_}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n"
        self._to = to or ""
        tag = request.to_tag
        self._has_tag = tag is not None
        self.to_tag = to_tag if tag is None else tag
        self._record_routes = ""
        if route is not None:
            routes = headers.get_all("Record-Route")
            self._record_routes = "".join([f"Record-Route: {route}\r\n" for route in routes])

    def write(self, status: int, reason: str | None = None, extra: str = "", body: bytes = b"") -> bytes:
        """One response.  `extra` is text of whole header lines.  Record-Route is repeated where a dialog may
        be made (RFC 3261 section 12.1.1)."""
        tag = "" if status == 100 or self._has_tag else f";tag={self.to_tag}"
        routes = self._record_routes if 100 < status < 300 else ""
        if reason is None:
            reason = REASON_PHRASES.get(status) or reason_phrase(status)
        end = body_lines(body, extra) if body else NO_BODY
        head = (
            f"SIP/2.0 {status} {reason}\r\nVia: {self._vias}\r\n{routes}To: {self._to}{tag}"
            f"{self._from_on}{extra}{end}"
        )
        return head.encode() + body if head.isascii() else encoded(head, body)
