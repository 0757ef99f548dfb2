"""Whole calls over IPv6: signalling over UDP, TCP and TLS, and the media too."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_streams import TlsContexts

from .book import Book
from .conftest import StartServer
from .strategies import connect

ANN_HZ, BEN_HZ = 440.0, 620.0
SIX = "::1"


class Authority:
    """Signs for the address of everybody here."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self.certificate, self.server = directory / "ca.pem", directory / "server.pem"
        self._ca.cert_pem.write_to_path(self.certificate)
        self._ca.issue_cert(SIX).private_key_and_cert_chain_pem.write_to_path(self.server)

    def phone(self) -> TlsContexts:
        accepting, calling = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        self._ca.issue_cert(SIX).configure_cert(accepting)
        self._ca.configure_trust(calling)
        return TlsContexts(server=accepting, client=calling)

    def of_server(self) -> dict[str, object]:
        return {"tls_port": 0, "certificate": str(self.server), "server_ca": str(self.certificate)}


def port_of(server: Server, transport: str) -> int:
    return next(one.port for one in server.transports.local if one.transport == transport)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_call_goes_over_ipv6_from_the_invite_to_the_last_packet(
    transport: str, start_server: StartServer, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    both = {"address": SIX, "tcp": True, "tls": authority.phone()}
    async with (
        SimulatedPhone(Behaviour(tone_hz=BEN_HZ), name="ben", **both) as ben,
        SimulatedPhone(Behaviour(tone_hz=ANN_HZ), name="ann", **both) as ann,
    ):
        server = await start_server(
            connect("to", ben.uri(transport=transport)),
            sip={"address": SIX, **authority.of_server()},
            media={"address": SIX},
            phones={"enabled": False},
        )
        book = Book(server)
        seen: list[tuple[str, bytes]] = []
        server.exchange.taps.append(lambda _, data, peer: seen.append((peer.transport, data)))
        port = port_of(server, transport.upper())
        call = await ann.call(f"sip:+15551230000@[{SIX}]:{port};transport={transport}")
        assert await call.answered()
        answering = await ben.next_call()
        assert await call.hears(BEN_HZ)
        assert await answering.hears(ANN_HZ)
        call.press("42")
        assert await answering.hears_digits("42")
        answering.hang_up()
        await call.ended()
        await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert {used for used, _ in seen} == {transport.upper()}
    descriptions = [data for _, data in seen if b"\r\nm=audio" in data]
    assert len(descriptions) == 4
    assert all(b"\r\nc=IN IP6 ::1\r\n" in data for data in descriptions)
    assert not any(b"127.0.0.1" in data for _, data in seen)
