"""Before the answer: reliable provisional responses, UPDATE in an early dialog, forks."""

from __future__ import annotations

import pytest

from cordboard.call.facts import LegAnswered, LegRinging
from cordboard.sdp import parse
from cordboard.sip.events import InviteReceived, Provisional, RequestDone
from cordboard.sip.message import Response

from .leg_bench import CALLED, FAR, LegBench, far_answer, far_offer


@pytest.fixture
def bench() -> LegBench:
    return LegBench()


def early_call_out(bench: LegBench) -> str:
    """A dialled call whose far end has sent early media, reliably: its session."""
    session = bench.call_out()
    offer = bench.received(InviteReceived).request.body
    bench.put(bench.far.ring(session, status=183, body=far_answer(offer, port=4100), now=bench.now))
    bench.run()
    return session


def updated(bench: LegBench, session: str, body: bytes) -> Response:
    bench.put(bench.far.request(session, "UPDATE", body=body, now=bench.now))
    bench.run()
    done = [e for _, where, e in bench.wire.events if where == FAR and isinstance(e, RequestDone)]
    response = done[-1].response
    assert response is not None
    return response


def test_early_media_of_a_callee_is_acknowledged_and_heard(bench: LegBench) -> None:
    early_call_out(bench)
    assert "PRACK" in bench.sent()
    assert bench.facts(CALLED) == [LegRinging(early_media=True)]


def test_a_callee_may_move_its_early_media(bench: LegBench) -> None:
    session = early_call_out(bench)
    response = updated(bench, session, far_offer(port=4200, version=2))
    assert response.status == 200
    assert parse(response.body).media[0].port == 10_000
    assert [order.command.port for order in bench.media_orders(CALLED)] == [4100, 4200]
    assert bench.fact_names(CALLED) == ["LegRinging"]
    bench.far_accepts(session, b"")
    assert bench.facts(CALLED)[-1] == LegAnswered()
    bench.end(CALLED)
    bench.comes_to_rest()


def test_an_early_offer_that_cannot_be_taken_leaves_the_early_media(bench: LegBench) -> None:
    session = early_call_out(bench)
    assert updated(bench, session, b"nonsense").status in (400, 488)
    assert [order.command.port for order in bench.media_orders(CALLED)] == [4100]
    bench.far_accepts(session, b"")
    assert bench.facts(CALLED)[-1] == LegAnswered()


def early_update(bench: LegBench, body: bytes) -> bytes:
    """An UPDATE of a caller whose call is not answered: its stack sends none by itself."""
    ringing = bench.received(Provisional).response
    head = (
        "UPDATE sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKupdate\r\n"
        f"From: {ringing.headers.get('From')}\r\nTo: {ringing.headers.get('To')}\r\n"
        f"Call-ID: {ringing.call_id}\r\nCSeq: 77 UPDATE\r\nContact: <sip:127.0.0.2:5060>\r\n"
        f"Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def test_a_caller_may_move_his_media_once_the_offer_is_answered(bench: LegBench) -> None:
    bench.call_in()
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    bench.open_media(call_id)
    bench.ring(call_id, early_media=True)
    bench.run()
    assert bench.received(Provisional).status == 183
    bench.do(bench.legs.receive(early_update(bench, far_offer(port=4300, version=2)), FAR, bench.now))
    assert bench.last_sent("200").cseq.method == "UPDATE"
    assert [order.command.port for order in bench.media_orders(call_id)] == [4000, 4300]
    bench.answer(call_id)
    bench.run()
    assert bench.facts(call_id) == [LegAnswered()]
    bench.end(call_id)
    bench.comes_to_rest()
