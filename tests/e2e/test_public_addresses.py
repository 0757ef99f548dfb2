"""A server behind NAT tells callers its public addresses, over UDP and TCP, from the answer to the BYE."""

from __future__ import annotations

import asyncio
import socket

import pytest

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.framer import StreamFramer
from cordboard.sip.message import Request, Response, parse

from .conftest import StartServer

SIP, MEDIA, PORT = "192.0.2.9", "192.0.2.10", 5999
OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
DOCUMENT = "sections: {main: [{answer: {}}, {play: 'silence:0.2'}, {hangup: {}}]}"


class Caller:
    """A socket that calls and acknowledges at the address that the server really has."""

    def __init__(self, transport: str, server: Endpoint) -> None:
        self._transport = transport
        self._server = (server.address, server.port)
        kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.setblocking(False)
        self._framer = StreamFramer()
        self._waiting: list[bytes] = []

    async def connect(self) -> None:
        await asyncio.get_running_loop().sock_connect(self._socket, self._server)

    async def send(self, method: str, tag: str = "", body: str = "") -> None:
        host, port = self._socket.getsockname()[:2]
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"{method} sip:+15551230000@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/{self._transport} {host}:{port};branch=z9hG4bK{method};rport\r\n"
            "From: <sip:+15550001@127.0.0.1>;tag=a\r\n"
            f"To: <sip:+15551230000@127.0.0.1>{tag}\r\nCall-ID: behind-nat\r\nCSeq: 1 {method}\r\n"
            f"Contact: <sip:a@{host}:{port};transport={self._transport.lower()}>\r\nMax-Forwards: 70\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        await asyncio.get_running_loop().sock_sendall(self._socket, text.encode())

    async def next(self) -> Request | Response:
        """The next message that came."""
        while not self._waiting:
            data = await asyncio.get_running_loop().sock_recv(self._socket, 65_536)
            if self._transport == "UDP":
                self._waiting.append(data)
            else:
                self._waiting += [item for item in self._framer.feed(data) if isinstance(item, bytes)]
        return parse(self._waiting.pop(0))

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_caller_is_told_the_public_addresses(transport: str, start_server: StartServer) -> None:
    server = await start_server(
        DOCUMENT,
        sip={"address": "0.0.0.0", "public_address": SIP, "public_port": PORT},
        media={"address": "0.0.0.0", "public_address": MEDIA},
    )
    port = next(one.port for one in server.transports.local if one.transport == transport)
    caller = Caller(transport, Endpoint(transport, "127.0.0.1", port))
    try:
        async with asyncio.timeout(10.0):
            await caller.connect()
            await caller.send("INVITE", body=OFFER)
            answer = await caller.next()
            while not isinstance(answer, Response) or answer.status < 200:
                answer = await caller.next()
            await caller.send("ACK", f";tag={answer.to.tag}")
            asked = await caller.next()
            while not isinstance(asked, Request):
                asked = await caller.next()
    finally:
        caller.close()
    assert answer.status == 200
    assert answer.contact is not None
    assert (answer.contact.uri.host, answer.contact.uri.port) == (SIP, PORT)
    said = answer.body.decode()
    assert f"c=IN IP4 {MEDIA}\r\n" in said
    assert f"IN IP4 {MEDIA}\r\ns=" in said
    assert asked.method == "BYE"
    assert (asked.vias[0].host, asked.vias[0].port) == (SIP, PORT)
    for text in (answer.to_bytes(), asked.to_bytes()):
        assert b"0.0.0.0" not in text
