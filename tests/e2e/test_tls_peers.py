"""SIP over TLS with other programs: baresip calls and is called with media in SRTP, openssl looks at the
listener from outside and plays far ends that must not be believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordboard.server.server import Server
from cordboard.sip.endpoint import Endpoint
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .baresip import Baresip, Baresips
from .book import Book
from .conftest import StartServer
from .explained import explain_last
from .openssl import Openssls
from .papers import Papers
from .peers import NUMBER, Sipps
from .strategies import NAMES, connect

pytestmark = pytest.mark.real_peer

ANN_HZ, BEN_HZ = 440.0, 620.0
TALK_S = 1.2


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Baresips]:
    running = Baresips(tmp_path)
    try:
        yield running
    finally:
        await running.stop()


@pytest.fixture
async def openssl() -> AsyncIterator[Openssls]:
    running = Openssls()
    try:
        yield running
    finally:
        await running.stop()


def tls_of(server: Server) -> Endpoint:
    return next(one for one in server.transports.local if one.transport == "TLS")


# ---------------------------------------------------------------- baresip


@pytest.mark.parametrize("strategy", NAMES)
async def test_two_phones_talk_with_signalling_in_tls_and_media_in_srtp(
    strategy: str, start_server: StartServer, phones: Baresips, papers: Papers
) -> None:
    ann = await phones.phone("ann", ANN_HZ, "srtp-mand", tls=papers.of_phone())
    ben = await phones.phone("ben", BEN_HZ, "srtp-mand", tls=papers.of_phone())
    document = connect(strategy, ben.uri, options="encryption: mandatory")
    server = await start_server(document, sip=papers.of_server(), media={"encryption": "mandatory"})
    book = Book(server)
    seen: list[tuple[str, bytes]] = []
    server.exchange.taps.append(lambda _, data, peer: seen.append((peer.transport, data)))
    await ann.dial(f"sip:{NUMBER}@{tls_of(server).host_port};transport=tls")
    await ann.until("CALL_ESTABLISHED")
    await ben.until("CALL_ESTABLISHED")
    await asyncio.sleep(TALK_S)  # they talk
    await (ann if strategy == "to" else ben).hang_up()
    await ann.until("CALL_CLOSED")
    await ben.until("CALL_CLOSED")
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    with_phones = [data for transport, data in seen if transport == "TLS"]
    assert sum(b"RTP/SAVP " in data for data in with_phones) == 4
    assert not any(b"RTP/AVP " in data for data in with_phones)
    expect_tone(ann, BEN_HZ)
    expect_tone(ben, ANN_HZ)


def expect_tone(phone: Baresip, tone_hz: float) -> None:
    heard = phone.heard(ANN_HZ, BEN_HZ)
    assert len(heard) >= TALK_S * 10 / 2, heard
    assert set(heard) == {tone_hz}


# ---------------------------------------------------------------- the listener, seen by openssl

ANYBODY = "sections: {main: [answer]}"
OLD = "DEFAULT@SECLEVEL=0"
"""Ciphers with which this openssl speaks TLS 1.1."""


@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
async def test_tls_is_spoken_whatever_name_is_asked_for(
    option: str, version: str, start_server: StartServer, openssl: Openssls, papers: Papers
) -> None:
    server = await start_server(ANYBODY, sip=papers.of_server())
    where = tls_of(server).host_port
    client = await openssl.client(
        *(where, option, "-verify_ip", "127.0.0.1", "-servername", "pbx.example"),
        authority=papers.path("ca.pem"),
    )
    met = await client.said("Verify return code")
    assert f"New, {version}, Cipher is " in met
    assert "Verify return code: 0 (ok)" in met
    assert "SIP/2.0 200 OK" in await client.options(where)


async def test_tls_1_1_is_refused(start_server: StartServer, openssl: Openssls, papers: Papers) -> None:
    server = await start_server(ANYBODY, sip=papers.of_server())
    client = await openssl.client(
        tls_of(server).host_port, "-tls1_1", "-cipher", OLD, authority=papers.path("ca.pem")
    )
    assert "New, (NONE), Cipher is (NONE)" in await client.said("Verify return code")


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
async def test_a_client_certificate_is_demanded_where_the_configuration_says_so(
    option: str, start_server: StartServer, openssl: Openssls, papers: Papers
) -> None:
    server = await start_server(ANYBODY, sip=papers.of_server(client_ca=str(papers.path("ca.pem"))))
    where = tls_of(server).host_port
    shown = {
        "known": ("-cert", str(papers.issue("client.pem", "client.example"))),
        "unknown": ("-cert", str(papers.issue("stranger.pem", "client.example", ca=papers.other_ca))),
        "none": (),
    }
    answers = {}
    for who, arguments in shown.items():
        client = await openssl.client(where, option, *arguments, authority=papers.path("ca.pem"))
        answers[who] = "SIP/2.0 200 OK" in await client.options(where)
    assert answers == {"known": True, "unknown": False, "none": False}


async def test_a_new_certificate_is_shown_without_a_restart(
    start_server: StartServer, openssl: Openssls, papers: Papers
) -> None:
    """Who is connected stays connected."""
    server = await start_server(ANYBODY, sip=papers.of_server())
    where = tls_of(server).host_port
    first = await openssl.client(where, authority=papers.path("ca.pem"))
    assert _leaf(papers.path("server.pem")) in await first.said("-----END CERTIFICATE-----\n")
    papers.issue("server.pem")
    second = await openssl.client(where, authority=papers.path("ca.pem"))
    assert _leaf(papers.path("server.pem")) in await second.said("-----END CERTIFICATE-----\n")
    for client in (first, second):
        await client.said("Verify return code")
        assert "SIP/2.0 200 OK" in await client.options(where)


def _leaf(chain: Path) -> str:
    """The lines of the first certificate of a file."""
    return chain.read_text().split("-----BEGIN CERTIFICATE-----\n")[1].partition("-----END")[0]


# ---------------------------------------------------------------- far ends, played by openssl

CALLED = "far.test"


async def test_a_far_end_is_asked_for_by_its_name(
    start_server: StartServer, openssl: Openssls, papers: Papers
) -> None:
    far = await openssl.server(
        papers.issue("far.pem", CALLED), "-servername", CALLED, "-cert2", str(papers.path("far.pem"))
    )
    uri = f"sip:bob@{CALLED}:{far.port};transport=tls"
    server = await start_server(
        connect("to", uri, timeout=1), sip=papers.of_server(), hosts={CALLED: "127.0.0.1"}
    )
    async with SimulatedPhone(Behaviour()) as caller:
        await caller.call(f"sip:{NUMBER}@{server.socket.local.host_port}")
        said = await far.said("Content-Length")
    assert f'Hostname in TLS extension: "{CALLED}"' in said
    assert f"INVITE {uri} SIP/2.0" in said


class Fault:
    """A far end that must not be believed, or does not believe us."""

    def __init__(self, name: str, sentence: str, *arguments: str, **issued: Any) -> None:
        self.name = name
        self.sentence = sentence
        """The end of what the record of the call says."""
        self.arguments = arguments
        self.issued = issued


FAULTS = (
    Fault(
        "wrong name", f"its certificate is not for {CALLED}: dial the name that it is for.", names=("a.test",)
    ),
    Fault("expired", "its certificate has expired: it must be renewed there.", days=-1),
    Fault(
        "unknown authority",
        "its certificate comes from an unknown authority: name that one in sip.server_ca.",
        unknown=True,
    ),
    Fault("TLS 1.1 only", "it speaks no TLS version from 1.2 on.", "-tls1_1", "-cipher", OLD),
    Fault(
        "demands a certificate of another authority",
        "it does not know the authority of the certificate that it was shown.",
        *("-Verify", "1", "-verify_return_error", "-CAfile", "other.pem"),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_far_end_that_cannot_be_trusted_is_not_called_and_the_record_says_what_to_change(
    fault: Fault, start_server: StartServer, openssl: Openssls, papers: Papers, tmp_path: Path
) -> None:
    papers.other_ca.cert_pem.write_to_path(papers.path("other.pem"))
    arguments = [str(papers.path(one)) if one == "other.pem" else one for one in fault.arguments]
    far = await openssl.server(
        papers.issue(
            "far.pem",
            *fault.issued.get("names", (CALLED,)),
            ca=papers.other_ca if fault.issued.get("unknown") else None,
            days=fault.issued.get("days", 30),
        ),
        *arguments,
    )
    uri = f"sip:bob@{CALLED}:{far.port};transport=tls"
    server = await start_server(connect("to", uri), sip=papers.of_server(), hosts={CALLED: "127.0.0.1"})
    book = Book(server)
    before = time.monotonic()
    async with SimulatedPhone(Behaviour()) as caller:
        call = await caller.call(f"sip:{NUMBER}@{server.socket.local.host_port}")
        assert not await call.answered(within=10.0)
        assert call.report.status == 503
    assert time.monotonic() - before < 5.0
    await book.rest()
    assert book.connects() == ["connecting", "failed error"]
    assert book.ends()[uri] == "connection_failed"
    assert (await book.variables())["connect_failed_reason"] == "error"
    sentence = f"{uri} could not be reached: 127.0.0.1:{far.port} (TLS): {fault.sentence}"
    assert await book.sentence(uri) == sentence
    if fault.name == "wrong name":
        assert f"what      {sentence}\n" in await explain_last(server)


async def test_a_port_where_no_tls_is_spoken_is_given_up_within_the_time_for_a_connection(
    start_server: StartServer, sipps: Sipps, papers: Papers
) -> None:
    """SIPp takes the connection, and does not know what to say to a handshake."""
    far = await sipps.callee("far", transport="t1")
    uri = far.uri.replace("=tcp", "=tls")
    server = await start_server(connect("to", uri), sip=papers.of_server())
    book = Book(server)
    before = time.monotonic()
    async with SimulatedPhone(Behaviour()) as caller:
        call = await caller.call(f"sip:{NUMBER}@{server.socket.local.host_port}")
        assert not await call.answered(within=10.0)
    assert time.monotonic() - before < 8.0
    await book.rest()
    assert book.ends()[uri] == "connection_failed"
    assert (await book.sentence(uri)).endswith(
        "(TLS): it did not finish the TLS handshake in time: check that it speaks TLS on that port."
    )
