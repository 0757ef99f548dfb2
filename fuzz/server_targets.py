"""What the shell reads: connections, configurations, links, answers of name servers; and lint, REFER."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from cordboard.legs.refer import read_refer, read_replaces
from cordboard.server.config import ConfigError, parse
from cordboard.server.recording_links import Judgement, RecordingLinks, is_name
from cordboard.server.resolver import Srv, in_order
from cordboard.server.sip_connection import SipConnection
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.message import MessageError, Request
from cordboard.sip.message import parse as parse_message
from cordboard.swml.lint import lint

_FAR = Endpoint("TCP", "192.0.2.2", 5060)
_NAME = "4f1c0000-0000-4000-8000-000000000000.wav"


class _Owner:
    """Counts, as the streams of the server do."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ends = 0

    def arrived(self, connection: SipConnection, data: bytes) -> None:
        self.messages.append(data)

    def heard(self, connection: SipConnection) -> None:
        return

    def lost(self, connection: SipConnection, error: BaseException | None) -> None:
        self.ends += 1


class _Transport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += len(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        return

    def abort(self) -> None:
        return


def connection(data: bytes) -> None:
    """However bytes come in, the same messages go up, and what is no stream ends the connection."""
    assert _through([data]) == _through([data[at : at + 5] for at in range(0, len(data), 5)])


def _through(pieces: list[bytes]) -> tuple[list[bytes], int, bool]:
    owner, transport = _Owner(), _Transport()
    one = SipConnection(_FAR, owner, is_inbound=True)
    one.connection_made(transport)
    for piece in pieces:
        one.data_received(piece)
    closing = one.closing
    one.connection_lost(None)
    assert owner.ends == 1
    return owner.messages, transport.written, closing


def configuration(data: bytes) -> None:
    """A configuration is read, or refused with its lines."""
    try:
        parse(data.decode("utf-8", "replace"), source="fuzz.toml")
    except ConfigError as error:
        str(error)


def linted(data: bytes) -> None:
    """lint never raises, and names lines that can be shown."""
    for finding in lint(data, source="fuzz.yaml"):
        assert finding.line >= 0
        str(finding)


def link(data: bytes) -> None:
    """Nothing but what was signed is good."""
    name, _, rest = data.decode("utf-8", "surrogateescape").partition("?")
    expires, _, signature = rest.partition("&")
    judgement = RecordingLinks("key", 3600).judge(name, expires, signature, 0.0)
    assert judgement is Judgement.FORGED
    is_name(name)


def refer() -> Callable[[bytes], None]:
    """A Refer-To is a destination or refused."""
    plain = parse_message(_REFER)
    assert isinstance(plain, Request)

    def run(data: bytes) -> None:
        read_replaces(data.decode("utf-8", "surrogateescape"))
        try:
            request = parse_message(_REFER.replace(b"HERE", data))
        except MessageError:
            return
        if isinstance(request, Request):
            read_refer(request, frozenset({"pbx.example.com"}))

    return run


def name_server() -> Callable[[bytes], None]:
    """An answer of a name server is read, or refused by what reads it; SRV records come in some order."""
    import dns.exception
    import dns.message
    import dns.rdtypes.IN.SRV

    def run(data: bytes) -> None:
        try:
            answer = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError):
            return
        records: list[Any] = [record for rrset in answer.answer for record in rrset]
        srv = [
            Srv(one.priority, one.weight, one.port, str(one.target).rstrip("."))
            for one in records
            if isinstance(one, dns.rdtypes.IN.SRV.SRV)
        ]
        ordered = in_order(srv, lambda: 0.5)
        assert len(ordered) <= len(srv)
        assert [one.priority for one in ordered] == sorted(one.priority for one in ordered)

    return run


_REFER = (
    b"REFER sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKr\r\n"
    b"From: <sip:alice@192.0.2.2>;tag=a\r\nTo: <sip:bob@192.0.2.1>;tag=b\r\nCall-ID: fuzz\r\n"
    b"CSeq: 2 REFER\r\nRefer-To: HERE\r\nContact: <sip:alice@192.0.2.2>\r\nContent-Length: 0\r\n\r\n"
)


def configurations() -> Iterator[bytes]:
    """Trunks, routes, hosts."""
    yield (
        b'[sip]\nport = 5060\nallowed_sources = ["10.0.0.0/8"]\n'
        b'[trunks.a]\naddress = "sip.example.com:5061"\n'
        b'transport = "tls"\nallowed_prefixes = ["+1"]\n'
        b'rewrite_to = [["^\\\\+", ""]]\nrates = {"+1" = 0.01}\n'
        b'[routes]\n"+1*" = "a.yaml"\n[hosts]\n"a.example" = "10.0.0.1:5070"\n'
    )


def links() -> Iterator[bytes]:
    """Of a recording."""
    yield f"{_NAME}?1795334203&{'0' * 64}".encode()


def referrals() -> Iterator[bytes]:
    """Values of Refer-To."""
    yield b"<sip:carol@example.com?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>"
    yield b"<tel:+15551234567>"
    yield b"sip:+15551234567@pbx.example.com;method=INVITE"


def name_answers() -> Iterator[bytes]:
    """SRV, NAPTR, A."""
    import dns.message

    for text in (
        "_sip._udp.a. 60 IN SRV 1 2 5060 b.",
        'a. 60 IN NAPTR 1 2 "s" "SIP+D2U" "" _sip._udp.a.',
        "a. 60 IN A 192.0.2.1",
    ):
        answer = dns.message.from_text(f"id 1\nopcode QUERY\nrcode NOERROR\nflags QR RD\n;ANSWER\n{text}\n")
        yield answer.to_wire()
