"""A far end that calls us: every order of what the call asks for and what its media and its caller do."""

from __future__ import annotations

from itertools import permutations

import pytest

from cordboard.call.facts import LegAnswered
from cordboard.legs.outputs import CallRefused, CloseMedia, DialogSaved, OpenMedia
from cordboard.media.protocol import EndpointRefused
from cordboard.sdp import PCMA, parse
from cordboard.sip.events import Answered, Provisional, Refused, SessionEnded
from cordboard.sip.message import Response
from cordboard.sip.message import parse as parse_message

from .leg_bench import FAR, G729, OURS, LegBench, far_answer, far_offer


@pytest.fixture
def bench() -> LegBench:
    return LegBench()


def offered(bench: LegBench) -> str:
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    return call_id


# ---------------------------------------------------------------- ringing and answering


def test_an_offered_call_opens_its_media_and_rings_when_told(bench: LegBench) -> None:
    bench.call_in()
    call_id = offered(bench)
    assert bench.all_told(OpenMedia) == [OpenMedia(call_id=call_id)]
    bench.ring(call_id)
    bench.run()
    assert bench.sent() == ["100", "180"]
    assert not bench.received(Provisional).body


def test_an_answer_carries_sdp_and_tells_the_worker_where_to_send(bench: LegBench) -> None:
    call_id, _ = bench.answered_call_in(far_offer(port=4444))
    assert bench.fact_names(call_id) == ["LegAnswered"]
    [order] = bench.media_orders(call_id)
    assert (order.command.address, order.command.port, order.command.send.name) == (FAR.address, 4444, "PCMU")
    assert parse(bench.received(Answered).body).media[0].port == 10_000
    bench.end(call_id)
    bench.comes_to_rest()


def test_the_callers_order_of_codecs_is_kept(bench: LegBench) -> None:
    call_id, _ = bench.answered_call_in(far_offer(G729, PCMA))
    [order] = bench.media_orders(call_id)
    assert order.command.send.name == "PCMA"


def to_the_invite(bench: LegBench) -> list[str]:
    """Our responses to the INVITE: a reliable 183 brings a PRACK, which has a 200 of its own."""
    ours = [parse_message(d.data) for d in bench.wire.sent if d.source == OURS]
    return [str(m.status) for m in ours if isinstance(m, Response) and m.cseq.method == "INVITE"]


@pytest.mark.parametrize("order", list(permutations(["media", "early", "answer", "ring"])))
def test_whatever_comes_first_the_answer_is_sent_once_with_the_sdp_of_the_183(
    bench: LegBench, order: tuple[str, ...]
) -> None:
    bench.call_in()
    call_id = offered(bench)
    for what in order:
        if what == "media":
            bench.open_media(call_id)
        elif what == "answer":
            bench.answer(call_id)
        else:
            bench.ring(call_id, early_media=what == "early")
        bench.run()
    sent = to_the_invite(bench)
    assert sent[-1] == "200"
    assert sent.count("200") == 1
    assert bench.fact_names(call_id) == ["LegAnswered"]
    bodies = {bench.last_sent(status).body for status in ("183", "200") if status in sent}
    assert len(bodies) == 1


def test_early_media_waits_for_the_endpoint(bench: LegBench) -> None:
    bench.call_in()
    call_id = offered(bench)
    bench.ring(call_id, early_media=True)
    assert "183" not in bench.sent()
    bench.open_media(call_id)
    bench.run()
    assert to_the_invite(bench) == ["100", "183"]
    assert bench.received(Provisional).body
    assert len(bench.media_orders(call_id)) == 1


def test_answering_twice_sends_one_200(bench: LegBench) -> None:
    call_id, _ = bench.answered_call_in()
    bench.answer(call_id)
    bench.ring(call_id)
    bench.run()
    assert bench.sent() == ["100", "200"]
    assert bench.facts(call_id) == [LegAnswered()]


# ---------------------------------------------------------------- late offer


def test_without_an_offer_ours_goes_with_the_200_and_the_answer_comes_with_the_ack(bench: LegBench) -> None:
    session = bench.call_in(b"")
    call_id = offered(bench)
    bench.ring(call_id, early_media=True)
    bench.open_media(call_id)
    bench.answer(call_id)
    assert bench.sent() == ["100", "180", "200"]
    assert bench.media_orders(call_id) == []
    ack_with(bench, far_answer(bench.last_sent("200").body, port=4321))
    [order] = bench.media_orders(call_id)
    assert order.command.port == 4321
    bench.put(bench.far.bye(session, now=bench.now))
    bench.run()
    assert bench.ending(call_id).cause == "hangup_far_end"


@pytest.mark.parametrize(
    ("body", "cause"), [(b"", "no_sdp"), (b"nonsense", "bad_sdp"), (far_offer(G729), "codec_mismatch")]
)
def test_an_ack_without_a_usable_answer_ends_the_call_with_the_reason(
    bench: LegBench, body: bytes, cause: str
) -> None:
    bench.call_in(b"")
    call_id = offered(bench)
    bench.open_media(call_id)
    bench.answer(call_id)
    ack_with(bench, body)
    bench.run()
    assert bench.ending(call_id).cause == cause
    assert bench.sent()[-1] == "BYE"
    bench.comes_to_rest()


def ack_with(bench: LegBench, body: bytes) -> None:
    """Deliver the 200, and in place of the far end's own ACK one with this body."""
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"ACK")
    bench.run()
    bench.wire.drop = lambda datagram: False
    [ack] = [d.data for d in bench.wire.sent if d.data.startswith(b"ACK")]
    kind = b"Content-Type: application/sdp\r\n" if body else b""
    length = kind + b"Content-Length: %d\r\n\r\n" % len(body)
    bench.do(bench.legs.receive(ack.replace(b"Content-Length: 0\r\n\r\n", length) + body, FAR, bench.now))


# ---------------------------------------------------------------- the end, in each state


def test_a_call_that_is_ended_before_its_media_opened_gets_the_final_response(bench: LegBench) -> None:
    bench.call_in()
    call_id = offered(bench)
    bench.answer(call_id)
    bench.end(call_id, "script_busy", sip_code=486)
    bench.open_media(call_id)
    bench.run()
    assert bench.sent() == ["100", "486"]
    assert bench.received(Refused).status == 486
    assert bench.fact_names(call_id) == ["LegEnded"]
    assert bench.all_told(CloseMedia) == [CloseMedia(call_id=call_id)]
    bench.comes_to_rest()


def test_an_answered_call_is_ended_with_bye_and_its_cause(bench: LegBench) -> None:
    call_id, _ = bench.answered_call_in()
    bench.end(call_id, q850=16)
    bench.run()
    assert bench.last_sent("BYE").headers.get("Reason") == "Q.850;cause=16"
    assert bench.ending(call_id).cause == "hangup_script"
    bench.comes_to_rest()


def test_a_call_that_is_ended_before_its_ack_gets_bye_after_it(bench: LegBench) -> None:
    bench.call_in()
    call_id = offered(bench)
    bench.open_media(call_id)
    bench.answer(call_id)
    bench.end(call_id)
    assert "BYE" not in bench.sent()
    assert bench.fact_names(call_id) == ["LegAnswered", "LegEnded"]
    bench.run()
    assert bench.sent()[-1] == "BYE"
    bench.comes_to_rest()


def test_ending_twice_ends_once(bench: LegBench) -> None:
    call_id, _ = bench.answered_call_in()
    bench.end(call_id)
    bench.end(call_id, "max_duration")
    assert bench.ending(call_id).cause == "hangup_script"
    assert len(bench.all_told(CloseMedia)) == 1


@pytest.mark.parametrize("media_first", [True, False])
def test_a_caller_who_cancels_is_told_of_once(bench: LegBench, media_first: bool) -> None:
    session = bench.call_in()
    call_id = offered(bench)
    if media_first:
        bench.open_media(call_id)
    bench.put(bench.far.cancel(session, now=bench.now))
    bench.run()
    bench.open_media(call_id)
    bench.answer(call_id)
    bench.run()
    assert bench.ending(call_id).cause == "caller_cancelled"
    assert sorted(bench.sent()[1:]) == ["200", "487"]  # 200 is for the CANCEL
    bench.comes_to_rest()


def test_a_cancel_that_crosses_our_200_leaves_the_call_up_until_the_callers_bye(bench: LegBench) -> None:
    session = bench.call_in()
    call_id = offered(bench)
    bench.open_media(call_id)
    bench.answer(call_id)
    bench.put(bench.far.cancel(session, now=bench.now))
    bench.run()
    # The caller's stack acknowledges the 200 and hangs up: the call was there, but never both.
    assert bench.ending(call_id).cause == "hangup_far_end"
    assert "487" not in bench.sent()
    bench.comes_to_rest()


def test_a_bye_before_the_answer_takes_the_call_back(bench: LegBench) -> None:
    bench.call_in()
    call_id = offered(bench)
    bench.ring(call_id)
    bench.run()
    [invite] = [d.data for d in bench.wire.sent if d.data.startswith(b"INVITE")]
    tag = bench.received(Provisional).dialog_tag.encode()
    head = invite.split(b"\r\n\r\n")[0].split(b"\r\nContent-Type")[0]
    bye = (
        head.replace(b"INVITE", b"BYE")
        .replace(b"CSeq: 1", b"CSeq: 2")
        .replace(b";branch=z9hG4bK", b";branch=z9hG4bKb")
    )
    lines = [line + b";tag=" + tag if line.startswith(b"To:") else line for line in bye.split(b"\r\n")]
    lines = [line for line in lines if not line.startswith(b"Content-Length")]
    data = b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])
    bench.do(bench.legs.receive(data, FAR, bench.now))
    bench.run()
    assert bench.ending(call_id).cause == "caller_cancelled"
    assert bench.received(Refused).status == 487


def test_an_answer_that_nobody_acknowledges_ends_the_call(bench: LegBench) -> None:
    bench.call_in()
    call_id = offered(bench)
    bench.open_media(call_id)
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"ACK")
    bench.answer(call_id)
    bench.run(31.0)
    assert bench.fact_names(call_id) == ["LegAnswered"]
    bench.run(2.0)
    assert bench.ending(call_id).cause == "no_ack"
    assert bench.sent()[-1] == "BYE"
    bench.comes_to_rest()


def test_a_hangup_of_the_far_end_ends_the_leg(bench: LegBench) -> None:
    call_id, session = bench.answered_call_in()
    bench.put(bench.far.bye(session, now=bench.now))
    bench.run()
    assert bench.ending(call_id).cause == "hangup_far_end"
    assert bench.received(SessionEnded).cause == "bye_sent"
    bench.comes_to_rest()


def test_the_dialog_is_saved_when_it_is_acknowledged(bench: LegBench) -> None:
    call_id, _ = bench.answered_call_in()
    [saved] = bench.all_told(DialogSaved)
    assert saved.call_id == call_id
    assert saved.saved


# ---------------------------------------------------------------- what cannot be taken


@pytest.mark.parametrize("body", [far_offer(G729), far_offer(port=0), b"v=0\r\nm=video 4000 RTP/AVP 96\r\n"])
def test_an_offer_without_a_common_codec_gets_488_and_no_call(bench: LegBench, body: bytes) -> None:
    bench.call_in(body)
    [refused] = bench.told
    assert isinstance(refused, CallRefused)
    assert refused.ending.cause == "codec_mismatch"
    assert bench.received(Refused).status == 488
    bench.comes_to_rest()


def test_a_description_that_is_none_gets_400_and_no_call(bench: LegBench) -> None:
    bench.call_in(b"\x00\xff nonsense")
    assert bench.told == []
    assert bench.received(Refused).status == 400
    bench.comes_to_rest()


def test_without_a_free_port_the_caller_gets_503(bench: LegBench) -> None:
    bench.call_in()
    call_id = offered(bench)
    refused = EndpointRefused(endpoint_id=call_id, sentence="no port is free")
    bench.do(bench.legs.media_refused(refused, bench.now))
    bench.run()
    assert bench.received(Refused).status == 503
    assert "no port is free" in bench.ending(call_id).sentence
    bench.comes_to_rest()


def test_a_stranger_gets_403_and_nothing_is_kept_of_him() -> None:
    bench = LegBench(may_call=lambda address: address != FAR.address)
    bench.call_in()
    [refused] = bench.told
    assert isinstance(refused, CallRefused)
    assert (refused.source, refused.status, refused.ending.cause) == (FAR, 403, "source_refused")
    assert bench.received(Refused).status == 403
    bench.comes_to_rest()


def test_over_the_limit_callers_are_told_when_to_try_again() -> None:
    bench = LegBench(max_legs=1)
    bench.answered_call_in()
    bench.call_in()
    response = bench.received(Refused).response
    assert isinstance(response, Response)
    assert (response.status, response.headers.get("Retry-After")) == (503, "5")
    assert [told.ending.cause for told in bench.all_told(CallRefused)] == ["overloaded"]
    assert len(bench.legs) == 1


def test_a_dialled_call_is_not_rung_or_answered_by_mistake(bench: LegBench) -> None:
    bench.dial()
    before = bench.sent()
    bench.ring("call-b")
    bench.answer("call-b")
    bench.answer("unknown")
    assert bench.sent() == before
