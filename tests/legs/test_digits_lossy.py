"""Ten thousand keys by SIP INFO over a wire that loses, delays and doubles datagrams."""

from __future__ import annotations

from random import Random

from cordboard.call.facts import DigitReceived
from cordboard.sip.events import RequestDone
from cordboard.testing.wire import Conditions

from .leg_bench import LegBench

KEYS = 10_000
_AT_ONCE = 8
_BAD = Conditions(loss=0.05, duplication=0.02, shortest_delay=0.005, longest_delay=0.05)


def test_no_key_is_lost_or_doubled_by_a_bad_wire() -> None:
    """Pressed faster than anybody can, in virtual time; repeats of a key among them."""
    random = Random(4733)
    pressed = "".join(random.choice("0123456789*#ABCD") * random.choice((1, 1, 1, 2, 3)) for _ in range(KEYS))
    pressed = pressed[:KEYS]
    bench = LegBench()
    call_id, session = bench.answered_call_in()
    bench.wire.conditions = _BAD
    for start in range(0, KEYS, _AT_ONCE):
        for digit in pressed[start : start + _AT_ONCE]:
            body = f"Signal={digit}\r\nDuration=100\r\n".encode()
            headers = [("Content-Type", "application/dtmf-relay")]
            bench.put(bench.far.request(session, "INFO", body=body, headers=headers, now=bench.now))
        while sum(isinstance(event, RequestDone) for _, _, event in bench.wire.events) < _AT_ONCE:
            bench.run(0.5)
        bench.wire.events.clear()
        bench.wire.sent.clear()
    heard = [fact for fact in bench.facts(call_id) if isinstance(fact, DigitReceived)]
    assert "".join(fact.digit for fact in heard) == pressed
    assert all(fact.by_info for fact in heard)
