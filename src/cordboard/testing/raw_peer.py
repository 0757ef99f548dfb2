"""A SIP peer without a will of its own: it records what it receives, and sends what it is told to.

For tests of what no well-behaved stack would do: forks that answer twice, responses that never come.
"""

from __future__ import annotations

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Output
from cordboard.sip.message import Request, Response, parse
from cordboard.testing.wire import Wire

Fields = tuple[tuple[str, str], ...]


class RawPeer:
    """A node on a `Wire`."""

    def __init__(self, wire: Wire, address: Endpoint) -> None:
        self.address = address
        self.received: list[tuple[float, Request | Response]] = []
        """With the times of their arrival."""
        self._wire = wire
        wire.attach(self, address)

    def receive(self, data: bytes, source: Endpoint, now: float) -> list[Output]:
        self.received.append((now, parse(data)))
        return []

    def next_timeout(self) -> float | None:
        return None

    def handle_timeout(self, now: float) -> list[Output]:
        return []

    # ------------------------------------------------------------ what has arrived

    @property
    def requests(self) -> list[Request]:
        return [message for _, message in self.received if isinstance(message, Request)]

    @property
    def responses(self) -> list[Response]:
        return [message for _, message in self.received if isinstance(message, Response)]

    @property
    def methods(self) -> list[str]:
        """The methods of the requests, in order."""
        return [request.method for request in self.requests]

    @property
    def statuses(self) -> list[int]:
        """The status codes of the responses, in order."""
        return [response.status for response in self.responses]

    def last(self, method: str) -> Request:
        """The last request of that method."""
        return [request for request in self.requests if request.method == method][-1]

    # ------------------------------------------------------------ what is sent

    def send(self, destination: Endpoint, data: bytes) -> None:
        self._wire.send(self.address, destination, data)

    def answer(
        self,
        request: Request,
        destination: Endpoint,
        status: int,
        *,
        tag: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
    ) -> None:
        """A response; `tag` is the To tag, which tells one fork from another."""
        contact = (("Contact", f"<sip:{self.address.host_port}>"),)
        response = request.response(status, to_tag=tag, headers=contact + headers, body=body)
        self.send(destination, response.to_bytes())

    def request(
        self,
        method: str,
        destination: Endpoint,
        *,
        branch: str,
        to: str = "<sip:bob@127.0.0.2>",
        from_: str = "<sip:alice@127.0.0.1>;tag=alice",
        call_id: str = "raw",
        cseq: int = 1,
        uri: str = "sip:bob@127.0.0.2:5060",
        headers: Fields = (),
        body: bytes = b"",
        contact: bool = True,
    ) -> None:
        """A request with these headers, right or wrong."""
        fields = [
            ("Via", f"SIP/2.0/UDP {self.address.host_port};branch={branch};rport"),
            ("From", from_),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
            *([("Contact", f"<sip:{self.address.host_port}>")] if contact else []),
            *([("Content-Type", "application/sdp")] if body else []),
            *headers,
        ]
        self.send(destination, Request(method, uri, fields, body).to_bytes())
