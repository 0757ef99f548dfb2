"""What is offered and answered: codecs, packet length, video, encryption, towards callers and callees."""

from __future__ import annotations

import pytest

from cordboard.call.effects import AnswerLeg, Dial
from cordboard.call.plan import Destination
from cordboard.legs.outputs import OpenMedia, Terms
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import (
    G722,
    G729,
    PCMA,
    PCMU,
    Codec,
    VideoOffer,
    make_offer,
    parse,
)
from cordboard.sip.events import InviteReceived, SessionEnded

from .leg_bench import BOB, CALLED, FAR, OURS, LegBench, far_offer
from .offering import OPUS, VP8, called_by, keyed, names, offer_to, offered, remote, sip, wishes

# ---------------------------------------------------------------- codecs of a destination


@pytest.mark.parametrize(
    ("codecs", "expected"),
    [
        ("PCMA,PCMU", ["PCMA", "PCMU", "telephone-event"]),
        ("PCMU", ["PCMU", "telephone-event"]),
        ("G722,PCMU", ["G722", "PCMU", "telephone-event"]),
        ("OPUS", ["OPUS", "telephone-event", "telephone-event"]),
        ("PCMU,G729", ["PCMU", "telephone-event"]),
        ("", ["PCMU", "PCMA", "telephone-event"]),
    ],
)
def test_a_destination_is_offered_its_codecs_in_their_order(codecs: str, expected: list[str]) -> None:
    assert names(offer_to(sip(codecs=wishes(codecs)))) == expected


def test_the_codecs_of_the_uri_win() -> None:
    assert names(offer_to(sip(to=f"{BOB};codecs=PCMA", codecs=wishes("PCMU"))))[0] == "PCMA"


def test_opus_at_a_lower_rate_says_so_and_has_events_for_each_clock() -> None:
    audio = offer_to(sip(codecs=wishes("OPUS@16000H@40I"))).media[0]
    [opus] = [codec for codec in audio.codecs() if codec.name == "OPUS"]
    assert "maxplaybackrate=16000" in opus.fmtp
    assert audio.attribute("ptime") == "40"
    assert sorted(codec.clock_rate for codec in audio.codecs() if codec.name != "OPUS") == [8000, 48000]


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (PCMA, ["PCMA", "PCMU", "telephone-event"]),
        (G722, ["G722", "PCMU", "PCMA", "telephone-event"]),
        (OPUS, ["OPUS", "PCMU", "PCMA", "telephone-event", "telephone-event"]),
    ],
)
def test_the_codec_of_the_caller_comes_first(spoken: Codec, expected: list[str]) -> None:
    bench = LegBench()
    caller = called_by(bench, far_offer(spoken))
    bench.dial_from(caller)
    bench.open_media(CALLED)
    bench.resolve()
    bench.run()
    assert names(parse(bench.received(InviteReceived).request.body)) == expected


def test_a_caller_who_is_not_answered_yet_counts_too() -> None:
    bench = LegBench()
    bench.call_in(far_offer(PCMA))
    caller = bench.offered().call_id
    bench.do(bench.legs.accept_offer(caller))
    bench.open_media(caller)
    bench.dial_from(caller)
    bench.open_media(CALLED)
    bench.resolve()
    bench.run()
    assert names(parse(bench.received(InviteReceived).request.body))[0] == "PCMA"


def test_the_codecs_of_the_configuration_are_offered_after_it() -> None:
    rules = LegRules(codecs=wishes("G722,PCMU"))
    assert names(offer_to(sip(), rules)) == ["G722", "PCMU", "telephone-event"]


def test_a_phone_is_offered_telephone_codecs_and_no_keys_whatever_the_script_says() -> None:
    phone = Destination(
        kind="phone", to="+15551234567", codecs=wishes("OPUS"), encryption="mandatory", session_timeout=300
    )
    bench = LegBench(rules=keyed())
    description = offered(bench, phone, terms=Terms(trunk="t"))
    assert names(description) == ["PCMU", "PCMA", "telephone-event"]
    assert (description.media[0].protocol, description.media[0].attribute("crypto")) == ("RTP/AVP", None)
    assert bench.last_sent("INVITE").headers.get("Session-Expires") is None


def test_a_trunk_may_have_its_own_codecs_and_encryption() -> None:
    terms = Terms(trunk="t", codecs=wishes("PCMA"), encryption="mandatory")
    description = offer_to(Destination(kind="phone", to="+15551234567"), keyed(), terms=terms)
    assert names(description)[0] == "PCMA"
    assert description.media[0].protocol == "RTP/SAVP"


# ---------------------------------------------------------------- passed on


def test_g729_is_offered_where_the_caller_speaks_it_and_then_alone() -> None:
    bench = LegBench(rules=LegRules(codecs=wishes("PCMU,G729")))
    caller = called_by(bench, far_offer(G729))
    assert remote(bench, caller).send.name == "G729"
    bench.dial_from(caller)
    bench.open_media(CALLED)
    bench.resolve()
    bench.run()
    assert names(parse(bench.received(InviteReceived).request.body)) == ["G729", "telephone-event"]


def test_a_caller_who_speaks_more_than_g729_is_answered_with_what_can_be_translated() -> None:
    bench = LegBench(rules=LegRules(codecs=wishes("PCMU,G729")))
    caller = called_by(bench, far_offer(G729, PCMA))
    assert remote(bench, caller).send.name == "PCMA"


def test_a_destination_that_cannot_have_g729_fails_where_the_caller_speaks_nothing_else() -> None:
    bench = LegBench(rules=LegRules(codecs=wishes("PCMU,G729")))
    caller = called_by(bench, far_offer(G729))
    destination = sip(codecs=wishes("PCMU"))
    dial = Dial(call_id=CALLED, parent=caller, session_id="s", from_="+1", destination=destination)
    bench.do(bench.legs.dial(dial, bench.now))
    bench.open_media(CALLED)
    bench.resolve()
    assert bench.ending(CALLED).cause == "codec_mismatch"
    assert "G729" in bench.ending(CALLED).sentence


def video_offer() -> bytes:
    return make_offer(
        address=FAR.address,
        port=4000,
        codecs=(PCMU,),
        session_id=9,
        video=VideoOffer(port=4002, codecs=(VP8,), feedback=("nack pli",)),
    )


def open_both(bench: LegBench, call_id: str, port: int) -> None:
    opened = EndpointOpened(endpoint_id=call_id, address=OURS.address, port=port, video_port=port + 2)
    bench.do(bench.legs.media_opened(opened, bench.now))


def test_video_is_taken_where_the_configuration_names_it_and_offered_to_the_callee() -> None:
    bench = LegBench(rules=LegRules(codecs=wishes("PCMU,VP8")))
    bench.call_in(video_offer())
    caller = bench.offered().call_id
    bench.do(bench.legs.accept_offer(caller))
    assert bench.all_told(OpenMedia) == [OpenMedia(call_id=caller, video=True)]
    open_both(bench, caller, 10_000)
    bench.answer(caller)
    bench.run()
    video = remote(bench, caller).video
    assert video is not None
    assert (video.port, video.accepted) == (4002, ((98, "VP8"),))
    bench.dial_from(caller)
    assert bench.all_told(OpenMedia)[-1] == OpenMedia(call_id=CALLED, near=caller, video=True)
    open_both(bench, CALLED, 10_010)
    bench.resolve()
    bench.run()
    sections = parse(bench.received(InviteReceived).request.body).media
    assert [(section.kind, section.port) for section in sections] == [("audio", 10_010), ("video", 10_012)]


def test_video_is_offered_also_where_the_call_dials_before_the_callers_endpoint_is_open() -> None:
    bench = LegBench(rules=LegRules(codecs=wishes("PCMU,VP8")))
    bench.call_in(video_offer())
    caller = bench.offered().call_id
    bench.do(bench.legs.accept_offer(caller))
    bench.dial_from(caller)
    assert bench.all_told(OpenMedia)[-1] == OpenMedia(call_id=CALLED, near=caller, video=True)
    bench.resolve()
    open_both(bench, caller, 10_000)
    open_both(bench, CALLED, 10_010)
    bench.run()
    sections = parse(bench.received(InviteReceived).request.body).media
    assert [(section.kind, section.port) for section in sections] == [("audio", 10_010), ("video", 10_012)]


def test_video_is_turned_down_where_nobody_asks_for_it() -> None:
    bench = LegBench()
    bench.call_in(video_offer())
    caller = bench.offered().call_id
    bench.do(bench.legs.accept_offer(caller))
    open_both(bench, caller, 10_000)
    bench.answer(caller)
    bench.run()
    assert remote(bench, caller).video is None
    answer = parse(bench.last_sent("200").body)
    assert [(section.kind, section.port) for section in answer.media] == [("audio", 10_000), ("video", 0)]


# ---------------------------------------------------------------- what callers are answered


@pytest.mark.parametrize("first", [PCMU, PCMA, G722, OPUS])
def test_the_callers_order_decides_within_what_the_server_speaks(first: Codec) -> None:
    bench = LegBench()
    others = [codec for codec in (G729, PCMU, PCMA, G722, OPUS) if codec != first]
    call_id = called_by(bench, far_offer(first, *others))
    assert remote(bench, call_id).send.name == first.name


def test_the_script_can_restrict_and_order_what_a_caller_is_answered() -> None:
    bench = LegBench()
    bench.call_in(far_offer(OPUS, PCMU, PCMA))
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    bench.open_media(call_id)
    bench.do(bench.legs.answer(call_id, AnswerLeg(codecs=wishes("PCMA,PCMU")), bench.now))
    bench.run()
    answer = parse(bench.last_sent("200").body)
    assert names(answer)[:2] == ["PCMA", "PCMU"]
    assert answer.origin is not None
    assert answer.origin.version == "1"


def test_a_caller_without_any_of_the_scripts_codecs_gets_488() -> None:
    bench = LegBench()
    bench.call_in(far_offer(PCMU))
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    bench.open_media(call_id)
    bench.do(bench.legs.answer(call_id, AnswerLeg(codecs=wishes("OPUS")), bench.now))
    bench.run()
    assert bench.ending(call_id).cause == "codec_mismatch"
    assert bench.received(SessionEnded).status == 488


def test_the_worker_learns_clock_rates_that_are_not_those_of_telephones() -> None:
    bench = LegBench()
    order = remote(bench, called_by(bench, far_offer(OPUS, PCMU)))
    assert (order.send.clock_rate, order.send.channels, order.dtmf_clock_rate) == (48000, 2, 48000)
    assert {(one.name, one.clock_rate) for one in order.receive} == {("OPUS", 48000), ("PCMU", 8000)}
    assert {name for _, name in order.accepted} == {"OPUS", "PCMU"}


@pytest.mark.parametrize(("wish", "ports"), [("", (10_000, 0)), ("PCMA", (0, 10_000)), ("PCMU", (10_000, 0))])
def test_of_two_sections_the_one_is_taken_that_the_answer_has_codecs_for(
    wish: str, ports: tuple[int, int]
) -> None:
    body = far_offer(PCMU) + far_offer(PCMA, port=4002).partition(b"t=0 0\r\n")[2]
    bench = LegBench()
    bench.call_in(body)
    call_id = bench.offered().call_id
    bench.do(bench.legs.answer(call_id, AnswerLeg(codecs=wishes(wish)), bench.now))
    bench.open_media(call_id)
    answer = parse(bench.last_sent("200").body)
    assert tuple(section.port for section in answer.media) == ports


def test_an_offer_that_the_media_cannot_reach_is_refused() -> None:
    """The worker has addresses of the other IP version."""
    bench = LegBench()
    bench.call_in(far_offer())
    call_id = bench.offered().call_id
    bench.do(bench.legs.answer(call_id, AnswerLeg(), bench.now))
    opened = EndpointOpened(endpoint_id=call_id, address="::1", port=10_000)
    bench.do(bench.legs.media_opened(opened, bench.now))
    assert bench.sent()[-1] == "488"
    assert bench.ending(call_id).cause == "codec_mismatch"
