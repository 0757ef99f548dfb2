"""SIPps over TLS, as callers and as callees, each behind a stunnel: TLS 1.2 and 1.3, one connection for
several calls, certificates at either end that fit and that do not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone

from .book import Book
from .capture import Capture, capturing
from .conftest import StartServer
from .explained import explain_last
from .papers import Papers
from .peers import NUMBER, Sipp, Sipps, free_ports
from .scenario import (
    ANSWERED,
    SDP,
    ack,
    ack_refusal,
    answer_bye,
    bye,
    callee,
    caller,
    hang_up,
    invite,
    invited,
    over_tls,
    pause,
    provisionals,
    receive,
    reply,
    response,
)
from .strategies import NAMES, connect
from .stunnel import TLS_1_2, TLS_1_3, Stunnel, Stunnels

pytestmark = pytest.mark.real_peer

every_version = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])

ANSWERS = callee(invited(), reply(180), reply(200, SDP), *ANSWERED)
HANGS_UP = callee(invited(), reply(180), reply(200, SDP), receive("ACK"), hang_up())
CALLS = caller(invite(), provisionals(), response(200), ack(), pause(), bye())
STAYS = caller(invite(), provisionals(), response(200), ack(), answer_bye())
REFUSED = caller(invite(), provisionals(), response(503), ack_refusal())
NAME = "far.test"
"""A host that the server knows."""
TALKED = ["connecting", "connected", "disconnected"]


class Stage:
    """A server that speaks TLS, and SIPps behind tunnels."""

    def __init__(self, start_server: StartServer, sipps: Sipps, tunnels: Stunnels, papers: Papers) -> None:
        self._start_server = start_server
        self._sipps = sipps
        self._tunnels = tunnels
        self.papers = papers
        self.authority = papers.path("ca.pem")
        self.server: Server

    async def callee(
        self, scenario: str, *names: str, calls: int = 1, extra: tuple[str, ...] = (), **tunnel: Any
    ) -> tuple[Sipp, Stunnel]:
        """A SIPp whose certificate is for `names`; `tunnel`: as `Stunnels.before`."""
        port = free_ports(8)
        certificate = tunnel.pop("certificate", None) or self.papers.issue("far.pem", *names)
        before = await self._tunnels.before(port, certificate, **tunnel)
        behind = await self._sipps.callee(
            "far",
            over_tls(scenario, port=before.port),
            calls=calls,
            extra=extra,
            transport="t1",
            port=port,
        )
        return behind, before

    async def serve(self, document: str, **sip: Any) -> Book:
        self.server = await self._start_server(
            document, sip=self.papers.of_server(**sip), hosts={NAME: "127.0.0.1"}
        )
        return Book(self.server)

    async def caller(
        self, scenario: str, *, calls: int = 1, transport: str = "t1", **tunnel: Any
    ) -> tuple[Sipp, Stunnel]:
        """`tunnel`: as `Stunnels.towards`."""
        onward = await self._tunnels.towards(self.address, self.authority, **tunnel)
        behind = await self._sipps.caller(
            onward.host_port,
            over_tls(scenario, server=self.address),
            calls=calls,
            rate=20,
            talk_ms=400,
            transport=transport,
        )
        return behind, onward

    @property
    def address(self) -> str:
        """Where the server listens for TLS."""
        return next(one for one in self.server.transports.local if one.transport == "TLS").host_port


def uri_of(tunnel: Stunnel, host: str = "127.0.0.1") -> str:
    return f"sip:far@{host}:{tunnel.port};transport=tls"


@pytest.fixture
async def stage(
    start_server: StartServer, sipps: Sipps, papers: Papers, tmp_path: Path
) -> AsyncIterator[Stage]:
    tunnels = Stunnels(tmp_path)
    try:
        yield Stage(start_server, sipps, tunnels, papers)
    finally:
        await tunnels.stop()


# ---------------------------------------------------------------- calls


@every_version
@pytest.mark.parametrize("strategy", NAMES)
async def test_a_call_goes_by_tls_on_both_sides(strategy: str, version: str, stage: Stage) -> None:
    far, before = await stage.callee(ANSWERS, version=version)
    book = await stage.serve(connect(strategy, uri_of(before)))
    near, onward = await stage.caller(CALLS, version=version)
    await near.finished()
    await far.finished()
    await book.rest()
    assert book.connects() == TALKED
    assert book.peers() == [uri_of(before)]
    assert book.ends()[uri_of(before)] == "hangup_peer"
    assert before.spoken() == onward.spoken() == [version]
    asked = far.messages("INVITE")[0]
    assert asked.startswith(f"INVITE {uri_of(before)} SIP/2.0")
    assert "Via: SIP/2.0/TLS " in asked
    assert ";transport=tls>" in asked.partition("Contact: <sip:")[2].partition("\n")[0].lower()


@every_version
async def test_the_side_that_was_called_by_tls_hangs_up(version: str, stage: Stage) -> None:
    """The caller listens nowhere: its BYE comes on the connection that it made."""
    far, before = await stage.callee(HANGS_UP, version=version)
    book = await stage.serve(connect("to", uri_of(before)))
    near, onward = await stage.caller(STAYS, version=version)
    await near.finished()
    await far.finished()
    await book.rest()
    assert book.connects() == TALKED
    assert book.ends()[uri_of(before)] == "hangup_far_end"
    assert before.spoken() == onward.spoken() == [version]


async def test_audio_goes_to_the_ports_that_were_agreed_on_over_tls(stage: Stage) -> None:
    """The SIPp says what it hears."""
    far, before = await stage.callee(ANSWERS, extra=("-rtp_echo",))
    book = await stage.serve(connect("to", uri_of(before)))
    async with SimulatedPhone(Behaviour(tone_hz=440.0)) as near:
        call = await near.call(f"sip:{NUMBER}@{stage.server.socket.local.host_port}")
        assert await call.hears(440.0)
        call.hang_up()
        await far.finished()
        await book.rest()
    (offer,) = far.messages("INVITE")
    media = stage.server.config.media
    assert media.port_min <= int(offer.partition("m=audio ")[2].partition(" ")[0]) <= media.port_max


@pytest.mark.parametrize("transport", ["t1", "tn"])
async def test_several_calls_to_a_far_end_share_one_tls_connection(transport: str, stage: Stage) -> None:
    """Callers come over one connection (t1) or over one each (tn)."""
    count = 4
    far, before = await stage.callee(ANSWERS, calls=count)
    book = await stage.serve(connect("to", uri_of(before)))
    near, onward = await stage.caller(CALLS, calls=count, transport=transport)
    await near.finished(count)
    await far.finished(count)
    await book.rest()
    assert book.connects().count("connected") == count
    assert len(before.spoken()) == 1
    assert len(onward.spoken()) == (1 if transport == "t1" else count)


# ---------------------------------------------------------------- certificates


@every_version
async def test_both_sides_show_certificates_and_the_callee_is_asked_for_by_its_name(
    version: str, stage: Stage
) -> None:
    far, before = await stage.callee(ANSWERS, NAME, version=version, clients_of=stage.authority)
    uri = uri_of(before, NAME)
    book = await stage.serve(connect("to", uri), client_ca=str(stage.authority))
    near, onward = await stage.caller(
        CALLS, version=version, certificate=stage.papers.issue("near.pem", "near.test")
    )
    await near.finished()
    await far.finished()
    await book.rest()
    assert book.connects() == TALKED
    assert before.spoken() == onward.spoken() == [version]


class Misfit:
    """A callee whose certificate does not fit, or that does not take ours."""

    def __init__(self, case: str, sentence: str, *names: str, stranger: bool = False, strict: bool = False):
        self.case = case
        self.sentence = sentence
        """The end of what the record of the call says."""
        self.names = names or (NAME,)
        self.stranger = stranger
        """Its certificate is of an authority that the server does not know."""
        self.strict = strict
        """It demands a certificate of that authority."""


MISFITS = (
    Misfit(
        "for another name",
        f"its certificate is not for {NAME}: dial the name that it is for.",
        "other.test",
    ),
    Misfit(
        "of an unknown authority",
        "its certificate comes from an unknown authority: name that one in sip.server_ca.",
        stranger=True,
    ),
    Misfit(
        "ours is of an authority that it does not know",
        "it does not know the authority of the certificate that it was shown.",
        strict=True,
    ),
)


@every_version
@pytest.mark.parametrize("misfit", MISFITS, ids=lambda misfit: misfit.case)
async def test_a_certificate_that_does_not_fit_fails_the_call_with_its_sentence(
    misfit: Misfit, version: str, stage: Stage
) -> None:
    papers = stage.papers
    papers.other_ca.cert_pem.write_to_path(papers.path("other.pem"))
    far, before = await stage.callee(
        ANSWERS,
        version=version,
        certificate=papers.issue("far.pem", *misfit.names, ca=papers.other_ca if misfit.stranger else None),
        clients_of=papers.path("other.pem") if misfit.strict else None,
    )
    uri = uri_of(before, NAME)
    book = await stage.serve(connect("to", uri))
    near, _ = await stage.caller(REFUSED, version=version)
    await near.finished()
    await book.rest()
    assert book.connects() == ["connecting", "failed error"]
    assert book.ends()[uri] == "connection_failed"
    sentence = f"{uri} could not be reached: {before.host_port} (TLS): {misfit.sentence}"
    assert await book.sentence(uri) == sentence
    assert f"what      {sentence}\n" in await explain_last(stage.server)
    assert far.received() == []


@every_version
@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ("none", "it shows no client certificate, and sip.client_ca demands one"),
        ("stranger", "its certificate comes from an unknown authority"),
    ],
)
async def test_a_caller_whose_certificate_does_not_fit_makes_no_call_and_the_log_says_why(
    shown: str, sentence: str, version: str, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    papers = stage.papers
    book = await stage.serve("sections: {main: [answer]}", client_ca=str(stage.authority))
    stranger = papers.issue("near.pem", "near.test", ca=papers.other_ca)
    caplog.set_level(logging.INFO)
    near, _ = await stage.caller(
        CALLS, version=version, certificate=stranger if shown == "stranger" else None
    )
    assert await near.process.wait() != 0
    await book.rest()
    assert book.events == []
    assert any(sentence in record.getMessage() for record in caplog.records), caplog.text


# ---------------------------------------------------------------- on the wire

SERVER_HELLO = "2"


async def seen_by_others(caught: Capture, port: int) -> tuple[set[str], bytes]:
    """The versions that the answers of the handshakes chose, and all bytes of both directions."""
    rows = await caught.rows(
        *("tls.handshake.type", "tls.handshake.version", "tls.handshake.extensions.supported_version"),
        "tcp.payload",
        only=f"tcp.port=={port} && tcp.len>0",
        options=("-d", f"tcp.port=={port},tls"),
    )
    hellos = [row for row in rows if row[0].split(",")[0] == SERVER_HELLO]
    chosen = {row[2] or row[1].split(",")[0] for row in hellos}
    return chosen, b"".join(bytes.fromhex(row[3]) for row in rows)


@pytest.mark.parametrize(("version", "number"), [(TLS_1_2, "0x0303"), (TLS_1_3, "0x0304")])
async def test_nobody_on_the_wire_reads_a_word_of_a_call_over_tls(
    version: str, number: str, stage: Stage, tmp_path: Path
) -> None:
    far, before = await stage.callee(ANSWERS, version=version)
    book = await stage.serve(connect("to", uri_of(before)))
    port = stage.address.rpartition(":")[2]
    async with capturing(tmp_path / "caught.pcapng", f"tcp port {port} or tcp port {before.port}") as caught:
        near, _ = await stage.caller(CALLS, version=version)
        await near.finished()
        await far.finished()
        await book.rest()
    assert "INVITE" in near.sent()
    for tunnel_port in (int(port), before.port):
        chosen, data = await seen_by_others(caught, tunnel_port)
        assert chosen == {number}
        assert len(data) > 2_000
        assert b"SIP/2.0" not in data
        assert NUMBER.encode() not in data
