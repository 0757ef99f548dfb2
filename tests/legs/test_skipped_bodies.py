"""Bodies that are no SDP and may be skipped: the request counts as one without (RFC 3261 section 20.11)."""

from __future__ import annotations

from cordboard.sdp import parse
from cordboard.sip.events import Answered, RequestDone

from .leg_bench import OURS, LegBench

FIELDS = [
    ("Content-Type", "application/pidf+xml"),
    ("Content-Disposition", "render; handling=optional"),
]
BODY = b"<presence/>"


def test_an_invite_with_such_a_body_gets_our_offer() -> None:
    bench = LegBench()
    uri = "sip:+15559999@127.0.0.1"
    _, outputs = bench.far.invite(
        uri=uri,
        to=f"<{uri}>",
        from_="<sip:+15550001@127.0.0.2>",
        destination=OURS,
        body=BODY,
        headers=FIELDS,
        now=bench.now,
    )
    bench.put(outputs)
    bench.run()
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    bench.open_media(call_id)
    bench.answer(call_id)
    bench.run()
    assert parse(bench.received(Answered).body).media[0].port == 10_000


def test_an_update_with_such_a_body_is_a_refresh() -> None:
    bench = LegBench()
    call_id, session = bench.answered_call_in()
    orders = len(bench.media_orders(call_id))
    bench.put(bench.far.request(session, "UPDATE", body=BODY, headers=FIELDS, now=bench.now))
    bench.run()
    done = bench.received(RequestDone)
    assert done.status == 200
    assert done.response is not None
    assert not done.response.body
    assert len(bench.media_orders(call_id)) == orders


def test_a_body_that_may_not_be_skipped_is_refused() -> None:
    bench = LegBench()
    _, session = bench.answered_call_in()
    bench.put(bench.far.request(session, "UPDATE", body=BODY, headers=FIELDS[:1], now=bench.now))
    bench.run()
    assert bench.received(RequestDone).status == 415
