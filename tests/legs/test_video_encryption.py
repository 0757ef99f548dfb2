"""Keys of video beside those of audio: each stream has its own, and the policy holds for both."""

from __future__ import annotations

import os

import pytest

from cordboard.call.codec_wish import read_codecs
from cordboard.call.effects import Dial
from cordboard.call.facts import LegAnswered
from cordboard.call.plan import Destination
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import EndpointOpened, SetRemote
from cordboard.sdp import PCMU, Codec, VideoOffer, answer_offer, make_offer, new_keys, parse
from cordboard.sip.events import InviteReceived

from .leg_bench import BOB, CALLED, FAR, OURS, LegBench

VP8 = Codec("VP8", 120, 90_000)
SUITES = ("AES_CM_128_HMAC_SHA1_80",)


def caller_offer() -> bytes:
    return make_offer(
        address=FAR.address,
        port=4000,
        codecs=(PCMU,),
        session_id=9,
        crypto=new_keys(os.urandom, SUITES),
        profile="RTP/SAVP",
        video=VideoOffer(port=4004, codecs=(VP8,), crypto=new_keys(os.urandom, SUITES)),
    )


def opened(bench: LegBench, call_id: str, port: int) -> None:
    made = EndpointOpened(endpoint_id=call_id, address=OURS.address, port=port, video_port=port + 2)
    bench.do(bench.legs.media_opened(made, bench.now))


def seen_by(bench: LegBench) -> str:
    """A caller with video in SRTP is answered; his call."""
    bench.call_in(caller_offer())
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    opened(bench, call_id, 10_000)
    bench.answer(call_id)
    bench.run()
    return call_id


def order(bench: LegBench, call_id: str) -> SetRemote:
    """What the worker was told last."""
    return bench.media_orders(call_id)[-1].command


@pytest.fixture
def bench() -> LegBench:
    codecs = read_codecs("PCMU,VP8").wishes
    return LegBench(rules=LegRules(codecs=codecs, encryption="optional", new_key=os.urandom))


def test_a_caller_gets_keys_for_his_video_that_are_not_those_of_the_audio(bench: LegBench) -> None:
    told = order(bench, seen_by(bench))
    assert told.srtp is not None
    assert told.video is not None
    assert told.video.srtp is not None
    keys = [told.srtp.send.key, told.srtp.receive.key, told.video.srtp.send.key, told.video.srtp.receive.key]
    assert len(set(keys)) == 4


def without_keys_of_video(body: bytes) -> bytes:
    audio, _, video = body.partition(b"m=video")
    kept = [line for line in video.split(b"\r\n") if not line.startswith(b"a=crypto")]
    return audio + b"m=video" + b"\r\n".join(kept).replace(b"RTP/SAVP", b"RTP/AVP")


@pytest.mark.parametrize(
    ("mode", "protocols", "audio", "video"),
    [
        ("mandatory", ["RTP/SAVP", "RTP/SAVP"], "srtp", "srtp"),
        ("optional", ["RTP/AVP", "RTP/AVP"], "srtp", "srtp"),
        ("forbidden", ["RTP/AVP", "RTP/AVP"], "rtp", "rtp"),
        ("mandatory, plain video", ["RTP/SAVP", "RTP/SAVP"], "srtp", "none"),
        ("optional, plain video", ["RTP/AVP", "RTP/AVP"], "srtp", "rtp"),
    ],
)
def test_what_a_callee_is_offered_and_what_becomes_of_its_answer(
    bench: LegBench, mode: str, protocols: list[str], audio: str, video: str
) -> None:
    caller = seen_by(bench)
    encryption, _, plain = mode.partition(", ")
    destination = Destination(kind="sip", to=BOB, encryption=encryption)
    effect = Dial(call_id=CALLED, parent=caller, session_id="s", from_="+15550001", destination=destination)
    bench.do(bench.legs.dial(effect, bench.now))
    bench.resolve()
    opened(bench, CALLED, 10_010)
    bench.run()
    offer = bench.received(InviteReceived).request.body
    sections = parse(offer).media
    assert [section.kind for section in sections] == ["audio", "video"]
    assert [section.protocol for section in sections] == protocols
    keys = [set(section.all("crypto")) for section in sections]
    assert [bool(some) for some in keys] == [encryption != "forbidden"] * 2
    assert keys[0].isdisjoint(keys[1])
    answer = answer_offer(
        parse(offer),
        address=FAR.address,
        port=5000,
        codecs=(PCMU,),
        session_id=9,
        encryption="optional",
        new_key=os.urandom,
        video=VideoOffer(port=5004),
    ).body
    bench.far_accepts(bench.invited(), without_keys_of_video(answer) if plain else answer)
    assert bench.facts(CALLED)[-1] == LegAnswered()
    told = order(bench, CALLED)
    assert ("rtp" if told.srtp is None else "srtp") == audio
    assert ("none" if told.video is None else "rtp" if told.video.srtp is None else "srtp") == video
