"""Writing responses: where they go, and the headers that they repeat (RFC 3261 section 8.2.6)."""

from __future__ import annotations

from cordboard.sip.endpoint import SECURE_TRANSPORTS, Endpoint
from cordboard.sip.message import Request
from cordboard.sip.outgoing import body_lines, encoded
from cordboard.sip.status import reason_phrase

DEFAULT_PORT = 5060
DEFAULT_SECURE_PORT = 5061


def default_port(transport: str) -> int:
    """RFC 3261 section 19.1.2."""
    return DEFAULT_SECURE_PORT if transport in SECURE_TRANSPORTS else DEFAULT_PORT


def reply_destination(request: Request, source: Endpoint) -> Endpoint:
    """RFC 3261 section 18.2.2 with RFC 3581: to the source's address, and its port if `rport` asks for that;
    over TCP and TLS, back over the connection that the request came on.

    Deviation: `maddr` is not followed, it would let a stranger choose who gets our responses.
    """
    via = request.via
    if via.wants_rport or source.reliable:
        return source
    port = via.port or DEFAULT_PORT
    return source if port == source.port else Endpoint(source.transport, source.address, port)


def second_destination(request: Request, source: Endpoint) -> Endpoint | None:
    """Where a response goes when the connection of its request is gone: to the source's address, at the port
    of the Via (section 18.2.2)."""
    if not source.reliable:
        return None
    port = request.via.port or default_port(source.transport)
    return None if port == source.port else Endpoint(source.transport, source.address, port)


def _stamped_vias(request: Request, source: Endpoint) -> str:
    """All Vias, the topmost with where the request came from."""
    top = request.headers.get("Via") or ""
    vias = request.vias
    if len(vias) == 1 and '"' not in top and "received" not in vias[0].params:  # nearly always
        before, asked, after = f"{top};".partition(";rport;")
        if asked:
            return f"Via: {before};rport={source.port};received={source.address};{after}"[:-1] + "\r\n"
        if vias[0].host == source.address and not vias[0].wants_rport:
            return f"Via: {top}\r\n"
    request.stamp_source(source.address, source.port)
    return "".join([f"Via: {via}\r\n" for via in request.headers.get_all("Via")])


class ReplyWriter:
    """Writes all responses to one request; the repeated headers are put together once."""

    __slots__ = ("_from_on", "_has_tag", "_record_routes", "_to", "_vias", "destination", "to_tag")

    def __init__(self, request: Request, source: Endpoint, to_tag: str) -> None:
        """`to_tag` is added to To in all responses but 100, if the request has none."""
        self.destination = reply_destination(request, source)
        headers = request.headers
        self._vias = _stamped_vias(request, source)
        self._from_on = (
            f"\r\nFrom: {headers.get('From')}\r\nCall-ID: {headers.get('Call-ID')}\r\n"
            f"CSeq: {headers.get('CSeq')}\r\n"
        )
        self._to = headers.get("To") or ""
        tag = request.to.tag
        self._has_tag = tag is not None
        self.to_tag = to_tag if tag is None else tag
        routes = headers.get_all("Record-Route")
        self._record_routes = "".join([f"Record-Route: {route}\r\n" for route in routes]) if routes else ""

    def write(self, status: int, reason: str | None = None, extra: str = "", body: bytes = b"") -> bytes:
        """One response.  `extra` is text of whole header lines.  Record-Route is repeated where a dialog may
        be made (RFC 3261 section 12.1.1)."""
        tag = "" if status == 100 or self._has_tag else f";tag={self.to_tag}"
        routes = self._record_routes if 100 < status < 300 else ""
        return encoded(
            f"SIP/2.0 {status} {reason or reason_phrase(status)}\r\n{self._vias}{routes}To: {self._to}{tag}"
            f"{self._from_on}{extra}{body_lines(body, extra)}",
            body,
        )
