"""Timers of the usual durations wait in lanes, the others in a heap; all come in the order of their time."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from cordboard.sip.timers import STEP, Timer, TimerQueue


class Target:
    def fire(self, timer: Timer) -> None:
        raise AssertionError("the queue hands timers out, it does not fire them")


STARTS = st.lists(
    st.tuples(st.floats(0, 100), st.sampled_from([0.5, 4.0, 32.0]) | st.floats(0, 90), st.booleans()),
    max_size=60,
)


@given(STARTS, st.data())
def test_timers_come_in_their_order_and_those_that_were_stopped_do_not_come(
    starts: list[tuple[float, float, bool]], data: st.DataObject
) -> None:
    queue, expected = TimerQueue(), []
    for now, seconds, in_lane in sorted(starts):
        target = Target()
        start = queue.start if in_lane and seconds in (0.5, 4.0, 32.0) else queue.start_apart
        started = start(now, seconds, target, Timer.RETRY)
        if data.draw(st.booleans()):
            queue.stop(started)
        else:
            is_long = start == queue.start and seconds == 32.0
            expected.append((_stepped(now + seconds) if is_long else now + seconds, target))
    expected.sort(key=lambda pair: pair[0])
    assert len(queue) == len(expected)
    for when, target in expected:
        due = queue.next_timeout()
        assert due == when
        (taken, _), *others = queue.take_due(when)
        if not others:
            assert taken is target
        else:  # several at the very same time
            break
    else:
        assert queue.next_timeout() is None
        assert len(queue) == 0


def _stepped(when: float) -> float:
    return math.ceil(when / STEP) * STEP


def test_long_timers_of_one_step_are_due_at_once_and_none_is_early() -> None:
    queue = TimerQueue()
    for number in range(10):
        queue.start(0.001 + number / 100, 32.0, Target(), Timer.J)
    assert queue.next_timeout() == 32.125
    assert len(list(queue.take_due(32.125))) == 10


def test_many_different_durations_leave_nothing_behind() -> None:
    queue = TimerQueue()
    for number in range(10_000):
        queue.stop(queue.start_apart(0.0, 90 + number / 7, Target(), Timer.EXPIRY))
    assert len(queue) == 0
    assert queue.next_timeout() is None
    assert len(queue._apart) < 200
    assert len(queue._lanes) == 0
