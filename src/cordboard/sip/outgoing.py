"""Writing our own requests, and the ACK and CANCEL that belong to them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.headers.fields import check_sendable
from cordboard.sip.headers.grammar import HeaderError, is_token

Fields = Iterable[tuple[str, str]]

MAX_FORWARDS = 70
NO_BODY = "Content-Length: 0\r\n\r\n"
"""The end of a head without a body."""


def header_lines(fields: Fields) -> str:
    """Extra headers as text, each line with its line break.

    Raises HeaderError if a name is no token or a value holds a line break: a value must not be able to
    bring headers, or a second message, of its own.
    """
    if not fields:
        return ""
    lines = []
    for name, value in fields:
        if not is_token(name):
            raise HeaderError("a header name must be a token")
        lines.append(f"{name}: {check_sendable(value)}\r\n")
    return "".join(lines)


def body_lines(body: bytes, extra: str) -> str:
    """The end of the head: the type of the body, unless `extra` names it, its length, and the empty line."""
    if not body:
        return NO_BODY
    kind = "" if _names(extra, "content-type") else "Content-Type: application/sdp\r\n"
    return f"{kind}Content-Length: {len(body)}\r\n\r\n"


@lru_cache(maxsize=1024)
def _names(extra: str, name: str) -> bool:
    """Whether one of these lines is the header `name`; a value may say what it likes."""
    return f"\n{name}:" in f"\n{extra.lower()}"


def encoded(text: str, body: bytes) -> bytes:
    """The bytes of a message.  Bytes of the peer's that were no UTF-8 come out as they came in."""
    try:
        return text.encode("utf-8", "surrogateescape") + body
    except UnicodeEncodeError:  # a lone surrogate from a JSON or JavaScript string
        return text.encode("utf-8", "replace") + body


class OutgoingRequest:
    """One request of ours, with what its ACK or CANCEL has to repeat.

    `from_` and `to` are header values with their tags; `routes` is the text of the Route lines.
    """

    __slots__ = (
        "added",
        "alternative",
        "body",
        "branch",
        "call_id",
        "cseq",
        "data",
        "destination",
        "extra",
        "from_",
        "method",
        "routes",
        "to",
        "uri",
        "via",
    )

    def __init__(
        self,
        method: str,
        uri: str,
        *,
        via: str,
        branch: str,
        from_: str,
        to: str,
        call_id: str,
        cseq: int,
        destination: Endpoint,
        alternative: Endpoint | None = None,
        routes: str = "",
        extra: str = "",
        added: str = "",
        body: bytes = b"",
    ) -> None:
        """`extra` and `added` are header lines; `again` keeps the former only."""
        self.method = method
        self.uri = uri
        self.via = via
        self.branch = branch
        self.from_ = from_
        self.to = to
        self.call_id = call_id
        self.cseq = cseq
        self.destination = destination
        self.alternative = alternative
        """Where to send it if the connection to `destination` is gone."""
        self.routes = routes
        self.extra = extra
        self.added = added
        self.body = body
        forwards = "" if _names(extra, "max-forwards") else f"Max-Forwards: {MAX_FORWARDS}\r\n"
        end = body_lines(body, extra) if body else NO_BODY
        head = (
            f"{method} {uri} SIP/2.0\r\nVia: {via}\r\n{routes}{forwards}From: {from_}\r\nTo: {to}\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{added}{extra}{end}"
        )
        self.data = head.encode() + body if head.isascii() else encoded(head, body)

    def again(self, *, via: str, branch: str, added: str, extra: str | None = None) -> OutgoingRequest:
        """The same outside a dialog once more, as a new transaction (RFC 3261 section 22.2); with other
        `extra` lines if given."""
        return OutgoingRequest(
            self.method,
            self.uri,
            via=via,
            branch=branch,
            from_=self.from_,
            to=self.to,
            call_id=self.call_id,
            cseq=self.cseq + 1,
            destination=self.destination,
            alternative=self.alternative,
            routes=self.routes,
            extra=self.extra if extra is None else extra,
            added=added,
            body=self.body,
        )

    def acknowledgement(self, to: str) -> bytes:
        """The ACK for a final response other than 2xx, whose To was `to` (RFC 3261 section 17.1.1.3)."""
        return self._companion("ACK", to, "")

    def cancellation(self, extra: str) -> OutgoingRequest:
        """The CANCEL for this INVITE (RFC 3261 section 9.1): same branch, same CSeq number, same route."""
        cancel = OutgoingRequest.__new__(OutgoingRequest)
        for name in OutgoingRequest.__slots__:
            if name != "data":
                setattr(cancel, name, getattr(self, name))
        cancel.method = "CANCEL"
        cancel.body = b""
        cancel.data = self._companion("CANCEL", self.to, extra)
        return cancel

    def _companion(self, method: str, to: str, extra: str) -> bytes:
        return encoded(
            f"{method} {self.uri} SIP/2.0\r\nVia: {self.via}\r\n{self.routes}Max-Forwards: {MAX_FORWARDS}\r\n"
            f"From: {self.from_}\r\nTo: {to}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {self.cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n",
            b"",
        )
