"""Simulated phones at both ends over TLS: a `sips:` far end, and whose certificates are believed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
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


class Authority:
    """Who signs the certificates of both phones, and that of the server."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self.certificate, self.server = directory / "ca.pem", directory / "server.pem"
        self._ca.cert_pem.write_to_path(self.certificate)
        self._ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(self.server)

    def phone(self) -> TlsContexts:
        accepting, calling = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        self._ca.issue_cert("127.0.0.1").configure_cert(accepting)
        self._ca.configure_trust(calling)
        return TlsContexts(server=accepting, client=calling)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def ben(authority: Authority) -> AsyncIterator[SimulatedPhone]:
    async with SimulatedPhone(Behaviour(tone_hz=BEN_HZ), name="ben", tls=authority.phone()) as phone:
        yield phone


async def serving(
    start_server: StartServer, ben: SimulatedPhone, authority: Path, certificate: Path
) -> Server:
    secure = ben.uri(transport="tls").replace("sip:", "sips:").replace(";transport=tls", "")
    settings = {"tls_port": 0, "certificate": str(certificate), "server_ca": str(authority)}
    return await start_server(connect("to", secure), sip=settings)


async def test_a_sips_far_end_and_a_caller_over_tls_talk_and_nothing_goes_over_udp(
    start_server: StartServer, ben: SimulatedPhone, authority: Authority
) -> None:
    server = await serving(start_server, ben, authority.certificate, authority.server)
    book = Book(server)
    seen: list[tuple[str, bytes]] = []
    server.exchange.taps.append(lambda _, data, peer: seen.append((peer.transport, data)))
    where = next(one for one in server.transports.local if one.transport == "TLS").host_port
    async with SimulatedPhone(Behaviour(tone_hz=ANN_HZ), name="ann", tls=authority.phone()) as ann:
        call = await ann.call(f"sip:+15551230000@{where};transport=tls")
        assert await call.answered()
        answering = await ben.next_call()
        assert await call.hears(BEN_HZ)
        assert await answering.hears(ANN_HZ)
        answering.hang_up()
        await call.ended()
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert {transport for transport, _ in seen} == {"TLS"}
    (invite,) = (data for _, data in seen if data.startswith(b"INVITE sips:ben@"))
    assert b"\r\nContact: <sips:" in invite


async def test_a_sips_far_end_of_an_unknown_authority_is_not_called(
    start_server: StartServer, ben: SimulatedPhone, authority: Authority, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    server = await serving(start_server, ben, stranger, authority.server)
    book = Book(server)
    async with SimulatedPhone(Behaviour()) as ann:
        call = await ann.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert not await call.answered()
        assert call.report.status == 503
    await book.rest()
    assert not ben.reports
    assert book.connects() == ["connecting", "failed error"]
