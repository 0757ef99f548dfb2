"""Cases that the server survives, by number: where each is tested.

====  ========================================================================================================
21    sip/test_survival, sip/test_session_requests, legs/test_refer (bad REFERs, BYE after one, NOTIFY lost),
      here: a closed country, the callee itself, BYE right behind a REFER
22    sip/test_session_timer (422, both refreshers, refresh lost, four hours), legs/test_session_timer (hold)
23    sip/test_survival, sip/test_reliable, legs/test_outbound_leg, e2e/test_sipp_callees
24    legs/test_attempts, server/test_targets; here: through the whole server
28    sip/test_auth (replay, stale, count, weaker algorithm, uri), sip/test_session_auth
29    sip/test_session_auth, legs/test_attempts (only the configured realm and host)
30    e2e/test_sipp_callers (403); here: no document is asked for, whoever it claims to be
37    media/test_latching; here: every port of the range in the middle of a call
39    here: a DTLS ClientHello from a stranger (there is no DTLS and no ICE in the product yet)
40    here: STUN of every wrong length from a stranger
41    media/test_srtp, media/test_endpoint_srtp, sdp/test_crypto, sdp/test_encryption, e2e/test_encryption
42    sdp/test_offer_answer (bombs); here: through the whole server, which still answers OPTIONS
43    sdp/test_codecs, media/test_transcoding, media/test_transcoding_wire, media/test_paced
44    media/test_jitter, media/test_dtmf, media/test_inband; here: through the whole server
====  ========================================================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import AsyncIterator
from statistics import median

import pytest
import pytest_asyncio

from cordboard.testing.phone_call import PhoneCall

from .cases import (
    ANSWERS,
    CALLER_TONE,
    FAR_TONE,
    Behaviour,
    Case,
    Lab,
    laboratory,
    until,
)
from .soak.bad_network import BadNetwork

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRANGER = "127.0.0.9"
NO_PRIVATE = {"allow_private": False, "allowed_networks": ["127.0.0.1/32"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    directory = tmp_path_factory.mktemp("lab")
    sip = {"port": 0, "allowed_sources": ["127.0.0.1/32"]}
    async with laboratory(directory, sip=sip, outbound=NO_PRIVATE) as made:
        yield made
        assert made.server.exchange.switchboard.defects == 0
        assert made.server.exchange.legs.stack.defects == 0


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


async def bridged(case: Case, far: Behaviour = ANSWERS, **connect: object) -> tuple[PhoneCall, PhoneCall]:
    """The caller and the far end, who hear each other."""
    caller = await case.connect({"to": case.phone("b1", far), **connect})
    b1 = await case.incoming("b1")
    assert await caller.hears(far.tone_hz or 0.0)
    assert await b1.hears(CALLER_TONE)
    return caller, b1


# ---------------------------------------------------------------- 21: transfers


async def test_21_a_transfer_to_a_closed_country_is_refused_and_the_bridge_stays(case: Case) -> None:
    caller, b1 = await bridged(case)
    b1.refer(f"sip:+8821600@{case.lab.server.socket.local.address}")
    await until(lambda: any(" 403 " in f"{notice} " for notice in b1.notices))
    b1.speak(600.0)
    assert await caller.hears(600.0)
    caller.hang_up()
    await b1.ended()


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_21_a_transfer_to_the_sender_itself_ends_when_it_does_not_answer(
    case: Case, hangs_up: bool
) -> None:
    """`hangs_up`: BYE right behind the REFER, so that no NOTIFY can be delivered."""
    caller, b1 = await bridged(case)
    busy = Behaviour(refuse=486)
    uri = case.phone("b1", busy)
    b1.refer(uri)
    if hangs_up:
        b1.hang_up()
        assert (await b1.ended()).ended_by == "us"
    else:
        await until(lambda: any("486" in notice for notice in b1.notices))
        assert await caller.hears(FAR_TONE)
    caller.hang_up()
    await caller.ended()
    await until(lambda: not case.lab.server.exchange.counts()["calls"])


# ---------------------------------------------------------------- 24: redirections


@pytest.mark.parametrize(
    "contact",
    [
        "sip:x@10.0.0.1",
        "sip:x@169.254.169.254:80;transport=tcp",
        "sip:x@[::1]",
        "sip:x@2130706434",
        "sip:x@127.0.0.1;maddr=10.0.0.1",
        "tel:+19005551234",
        "http://127.0.0.1/",
    ],
)
async def test_24_a_redirection_to_where_nobody_may_go_is_not_followed(case: Case, contact: str) -> None:
    moved = Behaviour(refuse=302, contacts=(contact,))
    packets = len(case.lab.packets)
    assert (await case.outcome({"to": case.phone("b1", moved)}))[0] == "failed"
    sent = [packet for packet in case.lab.packets[packets:] if packet.label == "> INVITE"]
    assert {packet.peer.address for packet in sent} == {"127.0.0.1"}
    assert {packet.peer.port for packet in sent} == {case.lab.phones.port}


async def test_24_a_redirection_to_where_one_may_go_is_followed(case: Case) -> None:
    moved = Behaviour(refuse=302, contacts=("sip:x@10.0.0.1", case.phone("b2", ANSWERS)))
    caller = await case.connect({"to": case.phone("b1", moved)})
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


# ---------------------------------------------------------------- 30: who may call

INVITE = (
    "INVITE sip:{to}@{server} SIP/2.0\r\nVia: SIP/2.0/{transport} {own};branch=z9hG4bK{mark};rport\r\n"
    "From: <sip:{from_}>;tag={mark}\r\nTo: <sip:{to}@{server}>\r\nCall-ID: {mark}\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:x@{own}>\r\nMax-Forwards: 70\r\n{more}Content-Type: application/sdp\r\n"
    "Content-Length: {length}\r\n\r\n"
)
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


def invite(lab: Lab, to: str, own: str, body: bytes, **fields: str) -> bytes:
    words = {"from_": f"x@{own}", "more": "", "transport": "UDP", **fields}
    server = lab.server.socket.local.host_port
    mark = os.urandom(6).hex()
    head = INVITE.format(to=to, own=own, mark=mark, server=server, length=len(body), **words)
    return head.encode() + body


def acknowledgement(sent: bytes, refusal: bytes) -> bytes:
    """The ACK of an INVITE that was refused."""
    to = next(line for line in refusal.split(b"\r\n") if line.lower().startswith(b"to:"))
    kept = (b"Via:", b"From:", b"Call-ID:", b"Max-Forwards:")
    lines = [line for line in sent.split(b"\r\n") if line.startswith(kept)]
    first = b"ACK " + sent.partition(b"\r\n")[0].removeprefix(b"INVITE ")
    return b"\r\n".join([first, *lines, to, b"CSeq: 1 ACK", b"Content-Length: 0", b"", b""])


async def answer(peer: socket.socket) -> bytes:
    """The next datagram or bytes."""
    async with asyncio.timeout(5.0):
        return await asyncio.get_running_loop().sock_recv(peer, 65_535)


@pytest.mark.parametrize(
    ("from_", "more"),
    [
        ("+15557770001@127.0.0.1", ""),
        ("trusted@10.0.0.1", "P-Asserted-Identity: <sip:+15557770001@127.0.0.1>\r\n"),
        ("x@127.0.0.9", 'Authorization: Digest username="a", realm="b", nonce="c"\r\n'),
    ],
)
async def test_30_a_stranger_gets_403_whoever_he_claims_to_be_and_nothing_happens(
    case: Case, from_: str, more: str
) -> None:
    asked = len(case.lab.site.hits)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER, 0))
        stranger.setblocking(False)
        own = f"{STRANGER}:{stranger.getsockname()[1]}"
        data = invite(case.lab, "+19005551234", own, SDP, from_=from_, more=more)
        server = case.lab.server.socket.local
        stranger.sendto(data, (server.address, server.port))
        replies = [await answer(stranger)]
        while replies[-1].startswith(b"SIP/2.0 100"):
            replies.append(await answer(stranger))
        stranger.sendto(acknowledgement(data, replies[-1]), (server.address, server.port))
        await asyncio.sleep(0.1)
    assert replies[-1].startswith(b"SIP/2.0 403 ")
    assert len(case.lab.site.hits) == asked
    assert not case.lab.server.exchange.counts()["calls"]


# ---------------------------------------------------------------- 37, 39, 40: strangers at the RTP ports


def stun(length: int, attributes: bytes) -> bytes:
    """A binding request."""
    return struct.pack("!HHI12s", 1, length, 0x2112A442, b"a" * 12) + attributes


HELLO = bytes.fromhex("16feff0000000000000000003a0100002e000000000000002efefd") + bytes(46)
"""A DTLS 1.2 ClientHello with nothing in it."""
PROBES = {
    "37 nothing": b"",
    "37 one byte": b"\x80",
    "37 RTP": struct.pack("!BBHII", 0x80, 0, 1, 160, 9) + b"\xff" * 160,
    "37 RTCP": struct.pack("!BBHI", 0x80, 203, 0, 9),
    "39 DTLS": HELLO,
    "40 STUN": stun(0, b""),
    "40 STUN that claims more": stun(400, b""),
    "40 STUN of an odd length": stun(3, b"abc"),
    "40 STUN with a long user name": stun(4100, struct.pack("!HH", 6, 4096) + b"u" * 4096),
    "40 STUN with a short address": stun(8, struct.pack("!HHHH", 0x20, 4, 2, 1)),
}


def replies_to(stranger: socket.socket) -> list[tuple[bytes, tuple[str, int]]]:
    """What waits to be read, and from where."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(stranger.recvfrom(2048))
    return found


@pytest.mark.parametrize("encryption", ["forbidden", "mandatory"])
async def test_37_39_40_strangers_at_every_port_get_no_reply_and_no_audio(
    case: Case, encryption: str
) -> None:
    far = Behaviour(tone_hz=FAR_TONE, encryption=encryption)
    caller, b1 = await bridged(case, far, encryption=encryption)
    media = case.lab.server.config.media
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER, 0))
        stranger.setblocking(False)
        for probe in PROBES.values():
            for port in range(media.port_min, media.port_max + 1):
                stranger.sendto(probe, (media.address, port))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        assert replies_to(stranger) == []
    caller.speak(500.0)
    b1.speak(600.0)
    assert await b1.hears(500.0)
    assert await caller.hears(600.0)
    caller.hang_up()
    await b1.ended()


# ---------------------------------------------------------------- 42: descriptions


def description(*lines: str) -> bytes:
    head = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0")
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


AUDIO = "m=audio 40000 RTP/AVP 0"
BOMBS = {
    "500 media": description(*[AUDIO] * 500),
    "3,000 rtpmaps": description(AUDIO, *(f"a=rtpmap:{n} X/8000" for n in range(3000))),
    "no packet time": description(AUDIO, "a=ptime:0"),
    "a huge packet time": description(AUDIO, f"a=maxptime:{'9' * 40}", f"a=ptime:{'9' * 40}"),
    "a rate of nothing": description(AUDIO, "a=rtpmap:0 PCMU/0"),
    "port 0": description("m=audio 0 RTP/AVP 0"),
    "port 1": description("m=audio 1 RTP/AVP 0"),
    "the address of nobody": description("c=IN IP4 0.0.0.0", AUDIO),
    "multicast": description(AUDIO, "c=IN IP4 224.2.1.1/127/3"),
    "an IPv6 zone": description(AUDIO, "c=IN IP6 fe80::1%eth0"),
    "an unknown suite": description("m=audio 40000 RTP/SAVP 0", "a=crypto:1 X inline:AAAA"),
    "a line without end": description(AUDIO, "a=" + "x" * 50_000),
    "nothing but noise": bytes(range(256)) * 100,
}


@pytest.mark.parametrize("name", BOMBS)
async def test_42_a_bomb_is_refused_or_ignored_and_the_server_goes_on_answering(
    case: Case, name: str
) -> None:
    """Over TCP, where it may be large; the document declines whoever is not refused before."""
    lab, loop = case.lab, asyncio.get_running_loop()
    lab.documents[case.number] = {"sections": {"main": [{"hangup": {"reason": "decline"}}]}}
    server = (lab.server.socket.local.address, lab.server.socket.local.port)
    with socket.socket() as peer:
        peer.setblocking(False)
        await loop.sock_connect(peer, server)
        own = "{}:{}".format(*peer.getsockname())
        bomb = invite(lab, case.number, own, BOMBS[name], transport="TCP")
        begun = time.perf_counter()
        await loop.sock_sendall(peer, bomb)
        said = b""
        while b"SIP/2.0 4" not in said and b"SIP/2.0 6" not in said:
            said += await answer(peer)
        assert any(f"SIP/2.0 {status} ".encode() in said for status in (400, 488, 603, 413)), said
        assert time.perf_counter() - begun < 3.0
        assert await fastest_answer(peer, own) < 0.020


async def fastest_answer(peer: socket.socket, own: str) -> float:
    """Seconds that OPTIONS takes, the best of three."""
    taken = []
    for _ in range(3):
        mark = os.urandom(6).hex()
        lines = [
            "OPTIONS sip:x@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/TCP {own};branch=z9hG4bK{mark}",
            f"From: <sip:x@{own}>;tag={mark}",
            "To: <sip:x@127.0.0.1>",
            f"Call-ID: {mark}",
            "CSeq: 1 OPTIONS",
            "Content-Length: 0",
        ]
        begun = time.perf_counter()
        await asyncio.get_running_loop().sock_sendall(peer, ("\r\n".join(lines) + "\r\n\r\n").encode())
        said = b""
        while mark.encode() not in said or b"OPTIONS" not in said:
            said += await answer(peer)
        taken.append(time.perf_counter() - begun)
    return min(taken)


# ---------------------------------------------------------------- 44: the network

KEYS, LATER_KEYS = "0123456789*#ABCD", "42#"
_PULSES = 8


async def test_44_keys_and_speech_survive_loss_jitter_disorder_an_outage_and_a_new_binding(
    case: Case,
) -> None:
    """5 % loss, 100 ms of jitter with packets out of order, 1 s of nothing, another port: through a jitter
    buffer, because the far end speaks Opus."""
    far = Behaviour(tone_hz=FAR_TONE, codecs=("OPUS",))
    case.phone("b1", far)
    caller, b1 = await bridged(case, far, codecs="OPUS")
    way = BadNetwork(caller, "127.0.0.1", seed=44)
    way.loss, way.delay = 0.05, (0.0, 0.1)
    await asyncio.sleep(1.0)
    caller.press(KEYS)
    assert await b1.hears_digits(KEYS, within=20.0), b1.digits_heard
    way.loss = 1.0
    await asyncio.sleep(1.0)
    way.loss = 0.05
    await asyncio.sleep(1.0)
    way.loss, way.delay = 0.0, (0.0, 0.0)
    assert way.lost > 50
    await asyncio.sleep(2.0)
    # What a busy machine adds is not the buffer's: it may be measured again.
    assert await delay(caller, b1) < 0.1 or await delay(caller, b1) < 0.1
    way.rebind()
    b1.speak(700.0)
    assert await caller.hears(700.0)
    caller.speak(880.0)
    assert await b1.hears(880.0)
    caller.press(LATER_KEYS)
    assert await b1.hears_digits(KEYS + LATER_KEYS), b1.digits_heard
    caller.hang_up()
    await b1.ended()


async def delay(caller: PhoneCall, callee: PhoneCall) -> float:
    """Seconds from mouth to ear: half of the pulses take no longer."""
    loop = asyncio.get_running_loop()
    caller.speak(None)
    await asyncio.sleep(0.3)
    taken = []
    for _ in range(_PULSES):
        caller.speak(1000.0)
        begun = loop.time()
        assert await callee.hears(1000.0)
        # A phone says that it hears a tone when it has 100 ms of it.
        taken.append(loop.time() - begun - 0.1)
        caller.speak(None)
        await asyncio.sleep(0.3)
    return median(taken)
