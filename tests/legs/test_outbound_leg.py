"""A far end that we call: resolving, media, answers, refusals and cancellations in every order."""

from __future__ import annotations

from itertools import permutations

import pytest

from cordboard.call.facts import LegAnswered, LegRinging
from cordboard.call.plan import Destination
from cordboard.call.reasons import ending
from cordboard.legs.outputs import CloseMedia, DialogSaved, OpenMedia, ResolveTarget
from cordboard.media.protocol import EndpointRefused
from cordboard.sdp import PCMA, PCMU, parse
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import CancelReceived, InviteReceived, SessionEnded
from cordboard.sip.message import Request

from .leg_bench import BOB, CALLED, FAR, G729, PARENT, LegBench, far_answer, far_offer


@pytest.fixture
def bench() -> LegBench:
    return LegBench()


def offer_of(bench: LegBench) -> bytes:
    return bench.received(InviteReceived).request.body


# ---------------------------------------------------------------- the INVITE


def test_dialling_resolves_the_target_and_opens_media_side_by_side(bench: LegBench) -> None:
    bench.dial()
    assert bench.told == [
        OpenMedia(call_id=CALLED),
        ResolveTarget(call_id=CALLED, destination=Destination(kind="sip", to=BOB)),
    ]
    assert bench.sent() == []


def test_the_media_go_to_the_worker_of_the_connecting_call(bench: LegBench) -> None:
    call_id, _ = bench.answered_call_in()
    bench.told.clear()
    bench.dial_from(call_id)
    assert bench.all_told(OpenMedia) == [OpenMedia(call_id=CALLED, near=call_id)]


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_the_codec_of_the_connecting_call_is_offered_first(bench: LegBench, codec: object) -> None:
    call_id, _ = bench.answered_call_in(far_offer(PCMA) if codec is PCMA else far_offer(PCMU))
    bench.dial_from(call_id)
    bench.resolve()
    bench.open_media(CALLED)
    bench.run()
    assert parse(offer_of(bench)).media[0].codecs()[0] == codec


def test_it_is_said_once_that_the_invite_has_left_and_not_before(bench: LegBench) -> None:
    bench.dial()
    bench.open_media(CALLED)
    assert bench.dialled(CALLED) == 0
    bench.resolve()
    assert bench.dialled(CALLED) == 1
    bench.run()
    assert bench.dialled(CALLED) == 1


@pytest.mark.parametrize("order", [("resolve", "media"), ("media", "resolve")])
def test_the_invite_leaves_when_both_are_known(bench: LegBench, order: tuple[str, str]) -> None:
    bench.dial()
    for what in order:
        assert bench.sent() == []
        bench.resolve() if what == "resolve" else bench.open_media(CALLED)
    assert bench.sent() == ["INVITE"]


@pytest.mark.parametrize("order", list(permutations(["resolve", "media", "end"])))
def test_a_call_that_is_ended_at_any_moment_before_ringing_ends_once(
    bench: LegBench, order: tuple[str, ...]
) -> None:
    bench.dial()
    for what in order:
        if what == "resolve":
            bench.resolve()
        elif what == "media":
            bench.open_media(CALLED)
        else:
            bench.end(CALLED, "caller_gone")
    assert bench.ending(CALLED).cause == "caller_gone"
    assert bench.all_told(CloseMedia) == [CloseMedia(call_id=CALLED)]
    assert ("INVITE" in bench.sent()) is (order[2] == "end")
    bench.comes_to_rest()


def test_a_target_that_is_not_found_ends_the_leg_with_the_reason(bench: LegBench) -> None:
    bench.dial()
    bench.do(bench.legs.unresolved(CALLED, ending("dns_failed", who=BOB), bench.now))
    bench.open_media(CALLED)
    assert bench.ending(CALLED).cause == "dns_failed"
    assert bench.sent() == []
    bench.comes_to_rest()


def test_without_a_free_port_nothing_is_dialled(bench: LegBench) -> None:
    bench.dial()
    bench.do(bench.legs.media_refused(EndpointRefused(endpoint_id=CALLED, sentence="none left"), bench.now))
    bench.resolve()
    assert bench.ending(CALLED).cause == "no_port"
    assert bench.sent() == []


def test_over_the_limit_nothing_is_dialled() -> None:
    bench = LegBench(max_legs=1)
    bench.answered_call_in()
    bench.dial()
    assert bench.ending(CALLED).cause == "overloaded"
    assert len(bench.legs) == 1


# ---------------------------------------------------------------- hops


def test_each_call_on_a_chain_has_one_hop_less(bench: LegBench) -> None:
    bench.call_in(headers=[("Max-Forwards", "5")])
    bench.dial_from(bench.offered().call_id)
    bench.resolve()
    bench.open_media(CALLED)
    bench.run()
    assert bench.received(InviteReceived).request.max_forwards == 4


def test_a_call_that_dials_itself_comes_to_an_end(bench: LegBench) -> None:
    bench.call_in(headers=[("Max-Forwards", "1")])
    bench.dial_from(bench.offered().call_id)
    bench.resolve()
    bench.open_media(CALLED)
    bench.run()
    assert (bench.ending(CALLED).cause, bench.ending(CALLED).sip_code) == ("routing_loop", 483)


def test_a_call_without_a_caller_has_all_hops(bench: LegBench) -> None:
    bench.call_out()
    invite = bench.last_sent("INVITE")
    assert invite.headers.get_all("Max-Forwards") == ["70"]


# ---------------------------------------------------------------- ringing


def test_180_rings_without_early_media(bench: LegBench) -> None:
    session = bench.call_out()
    bench.put(bench.far.ring(session, now=bench.now))
    bench.run()
    assert bench.facts(CALLED) == [LegRinging(early_media=False)]
    assert bench.media_orders(CALLED) == []


@pytest.mark.parametrize("status", [180, 183])
def test_a_ringing_response_with_sdp_brings_early_media(bench: LegBench, status: int) -> None:
    session = bench.call_out()
    body = far_answer(offer_of(bench), port=4100)
    bench.put(bench.far.ring(session, status=status, body=body, now=bench.now))
    bench.run()
    assert bench.facts(CALLED) == [LegRinging(early_media=True)]
    assert [order.command.port for order in bench.media_orders(CALLED)] == [4100]


def test_183_without_sdp_rings(bench: LegBench) -> None:
    session = bench.call_out()
    bench.put(bench.far.ring(session, status=183, now=bench.now))
    bench.run()
    assert bench.facts(CALLED) == [LegRinging(early_media=False)]


@pytest.mark.parametrize("body", [b"nonsense", far_offer(G729)])
def test_183_with_sdp_that_cannot_be_used_rings(bench: LegBench, body: bytes) -> None:
    session = bench.call_out()
    bench.put(bench.far.ring(session, status=183, body=body, now=bench.now))
    bench.run()
    assert bench.facts(CALLED) == [LegRinging(early_media=False)]
    bench.far_accepts(session)
    assert bench.facts(CALLED)[1:] == [LegAnswered()]


@pytest.mark.parametrize("status", [181, 182, 199])
def test_other_provisional_responses_are_no_ringing(bench: LegBench, status: int) -> None:
    session = bench.call_out()
    bench.put(bench.far.ring(session, status=status, now=bench.now))
    bench.run()
    assert bench.facts(CALLED) == []


def test_of_several_forks_the_first_with_early_media_is_heard_until_one_answers(bench: LegBench) -> None:
    bench.call_out()
    first, second = far_answer(offer_of(bench), port=4100), far_answer(offer_of(bench), port=4200)
    for status, tag, body in (
        (183, "one", first),
        (183, "two", second),
        (183, "one", first),
        (200, "two", second),
    ):
        respond(bench, status, tag, body)
    assert [order.command.port for order in bench.media_orders(CALLED)] == [4100, 4200]
    assert bench.facts(CALLED)[-1] == LegAnswered()


def test_a_200_without_sdp_stands_by_the_183_of_the_same_fork(bench: LegBench) -> None:
    session = bench.call_out()
    bench.put(bench.far.ring(session, status=183, body=far_answer(offer_of(bench)), now=bench.now))
    bench.run()
    bench.far_accepts(session, b"")
    assert bench.facts(CALLED)[-1] == LegAnswered()


def test_a_200_without_sdp_of_another_fork_is_none(bench: LegBench) -> None:
    bench.call_out()
    respond(bench, 183, "one", far_answer(offer_of(bench)))
    respond(bench, 200, "two", b"")
    assert bench.ending(CALLED).cause == "no_sdp"


def respond(bench: LegBench, status: int, tag: str, body: bytes) -> None:
    """A response of a fork behind a proxy."""
    invite = bench.last_sent("INVITE")
    kept = "".join(f"{name}: {invite.headers.get(name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
    to = f"To: {invite.headers.get('To')};tag={tag}\r\nContact: <sip:{tag}@127.0.0.2>\r\n"
    kind = "Content-Type: application/sdp\r\n" if body else ""
    head = f"SIP/2.0 {status} X\r\n{kept}{to}{kind}Content-Length: {len(body)}\r\n\r\n"
    bench.do(bench.legs.receive(head.encode() + body, FAR, bench.now))


# ---------------------------------------------------------------- the answer


def test_an_answer_is_acknowledged_and_its_media_are_set(bench: LegBench) -> None:
    bench.answered_call_out()
    assert bench.facts(CALLED) == [LegAnswered()]
    [order] = bench.media_orders(CALLED)
    assert (order.command.address, order.command.port, order.command.sending) == (FAR.address, 4000, True)
    assert bench.sent() == ["INVITE", "ACK"]
    assert [told.call_id for told in bench.all_told(DialogSaved)] == [CALLED]


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "no_sdp"),
        (b"nonsense", "bad_sdp"),
        (far_offer(G729), "codec_mismatch"),
        (far_offer(port=0), "codec_mismatch"),
    ],
)
def test_an_answer_that_cannot_be_spoken_is_acknowledged_and_hung_up(
    bench: LegBench, body: bytes, cause: str
) -> None:
    session = bench.call_out()
    bench.far_accepts(session, body)
    assert bench.sent() == ["INVITE", "ACK", "BYE"]
    assert bench.ending(CALLED).cause == cause
    assert bench.fact_names(CALLED) == ["LegEnded"]
    bench.comes_to_rest()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "cause"),
    [(486, "user_busy"), (603, "call_rejected"), (404, "not_found"), (302, "redirected"), (699, "refused")],
)
def test_a_refusal_ends_the_leg_with_its_cause(bench: LegBench, status: int, cause: str) -> None:
    session = bench.call_out()
    bench.put(bench.far.reject(session, status=status, now=bench.now))
    bench.run()
    why = bench.ending(CALLED)
    assert (why.cause, why.sip_code) == (cause, status)
    assert bench.sent() == ["INVITE", "ACK"]
    bench.comes_to_rest()


def test_a_far_end_that_says_nothing_is_given_up_after_32_seconds(bench: LegBench) -> None:
    bench.wire.drop = lambda datagram: datagram.destination == FAR
    bench.dial()
    bench.resolve()
    bench.open_media(CALLED)
    bench.run(31.9)
    assert bench.facts(CALLED) == []
    bench.run(0.2)
    assert bench.ending(CALLED).cause == "invite_timeout"
    bench.comes_to_rest()


def test_a_far_end_that_cannot_be_reached_fails_at_once(bench: LegBench) -> None:
    bench.dial()
    bench.open_media(CALLED)
    bench.resolve()
    bench.do(bench.legs.transport_failed(FAR, bench.now))
    assert bench.ending(CALLED).cause == "transport_failed"
    assert bench.now == 0.0
    bench.run(0.0)


def test_why_a_connection_failed_is_told_in_the_words_of_the_transport(bench: LegBench) -> None:
    bench.dial()
    bench.open_media(CALLED)
    bench.resolve()
    bench.do(bench.legs.transport_failed(FAR, bench.now, "its certificate has expired: it must be renewed."))
    end = bench.ending(CALLED)
    assert end.cause == "connection_failed"
    assert end.sentence.endswith(" could not be reached: its certificate has expired: it must be renewed.")


def test_the_failure_of_another_address_does_not_concern_the_leg(bench: LegBench) -> None:
    bench.call_out()
    bench.do(bench.legs.transport_failed(Endpoint("UDP", "127.0.0.9", 5060), bench.now))
    assert bench.facts(CALLED) == []


# ---------------------------------------------------------------- cancelling


def test_a_cancel_waits_for_the_first_provisional_response(bench: LegBench) -> None:
    bench.dial()
    bench.open_media(CALLED)
    bench.resolve()
    bench.end(CALLED, "lost_race", answered_elsewhere=True)
    assert bench.sent() == ["INVITE"]
    assert bench.ending(CALLED).cause == "lost_race"
    bench.run()
    assert bench.sent() == ["INVITE", "CANCEL", "ACK"]
    cancel = bench.received(CancelReceived).request
    assert cancel.headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    bench.comes_to_rest()


def test_a_cancel_for_any_other_reason_says_nothing_of_an_answer(bench: LegBench) -> None:
    session = bench.call_out()
    bench.put(bench.far.ring(session, now=bench.now))
    bench.end(CALLED, "caller_gone")
    bench.run()
    assert bench.received(CancelReceived).request.headers.get("Reason") is None
    assert bench.received(SessionEnded).status == 487
    bench.comes_to_rest()


def test_a_200_that_crosses_our_cancel_is_acknowledged_and_ended_unseen(bench: LegBench) -> None:
    session = bench.call_out()
    bench.end(CALLED, "lost_race")
    bench.far_accepts(session)
    bench.run()
    assert bench.sent()[-2:] == ["ACK", "BYE"]
    assert bench.fact_names(CALLED) == ["LegEnded"]
    bench.comes_to_rest()


def test_a_far_end_that_takes_the_cancel_and_never_ends_the_invite_is_forgotten(bench: LegBench) -> None:
    session = bench.call_out()
    bench.put(bench.far.ring(session, now=bench.now))
    bench.run()
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"SIP/2.0 487")
    bench.end(CALLED, "ring_timeout")
    bench.comes_to_rest()
    assert bench.ending(CALLED).cause == "ring_timeout"


def test_what_a_cancelled_far_end_still_asks_gets_481(bench: LegBench) -> None:
    session = bench.answered_call_out()
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"BYE")
    bench.end(CALLED)
    assert bench.far_requests(session, "INFO").status == 481


# ---------------------------------------------------------------- hang-up, in both directions


def test_our_bye_says_why(bench: LegBench) -> None:
    bench.answered_call_out()
    bench.end(CALLED, "hangup_peer", q850=16)
    bench.run()
    bye = bench.last_sent("BYE")
    assert isinstance(bye, Request)
    assert bye.headers.get("Reason") == "Q.850;cause=16"
    assert bench.received(SessionEnded).cause == "bye_received"
    bench.comes_to_rest()


def test_their_bye_ends_the_leg(bench: LegBench) -> None:
    session = bench.answered_call_out()
    bench.put(bench.far.bye(session, now=bench.now))
    bench.run()
    assert bench.ending(CALLED).cause == "hangup_far_end"
    bench.comes_to_rest()


def test_byes_that_cross_end_the_leg_once(bench: LegBench) -> None:
    session = bench.answered_call_out()
    bench.end(CALLED)
    bench.put(bench.far.bye(session, now=bench.now))
    bench.run()
    assert bench.ending(CALLED).cause == "hangup_script"
    bench.comes_to_rest()


def test_a_dialog_that_another_process_left_is_hung_up(bench: LegBench) -> None:
    bench.answered_call_out()
    [saved] = bench.all_told(DialogSaved)
    heir = LegBench()
    outputs = heir.legs.hang_up_saved(saved.saved, 0.0)
    assert [type(output).__name__ for output in outputs] == ["SendMessage"]
    assert heir.legs.hang_up_saved(b"nonsense", 0.0) == []


def test_unknown_calls_are_ignored(bench: LegBench) -> None:
    bench.end("unknown")
    bench.open_media("unknown")
    bench.do(bench.legs.unresolved("unknown", ending("dns_failed"), 0.0))
    assert bench.told == []
    assert PARENT not in bench.legs
