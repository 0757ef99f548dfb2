"""INVITE client transaction: RFC 3261 section 17.1.1, with the Accepted state of RFC 6026 section 7.2."""

from __future__ import annotations

from cordboard.sip.timers import Timer
from cordboard.sip.transaction.table import Action, Input, Rows, State, StateTimers, Step, Table

_ROWS: Rows = {
    (State.CALLING, Timer.A): Step(State.CALLING, (Action.SEND, Action.DOUBLE)),
    (State.CALLING, Timer.B): Step(State.TERMINATED, (Action.REPORT_TIMEOUT,)),
    (State.CALLING, Input.TRANSPORT_ERROR): Step(State.TERMINATED, (Action.REPORT_TRANSPORT_ERROR,)),
    (State.CALLING, Input.PROVISIONAL): Step(State.PROCEEDING, (Action.PASS_UP,)),
    (State.CALLING, Input.SUCCESS): Step(State.ACCEPTED, (Action.PASS_UP,)),
    (State.CALLING, Input.FAILURE): Step(State.COMPLETED, (Action.ACKNOWLEDGE, Action.PASS_UP)),
    (State.PROCEEDING, Input.PROVISIONAL): Step(State.PROCEEDING, (Action.PASS_UP,)),
    (State.PROCEEDING, Input.SUCCESS): Step(State.ACCEPTED, (Action.PASS_UP,)),
    (State.PROCEEDING, Input.FAILURE): Step(State.COMPLETED, (Action.ACKNOWLEDGE, Action.PASS_UP)),
    (State.COMPLETED, Input.FAILURE): Step(State.COMPLETED, (Action.ACKNOWLEDGE,)),
    (State.COMPLETED, Timer.D): Step(State.TERMINATED),
    # Each 2xx goes up: retransmitted ones want their ACK again, those of other forks an ACK and a BYE.
    (State.ACCEPTED, Input.SUCCESS): Step(State.ACCEPTED, (Action.PASS_UP,)),
    (State.ACCEPTED, Timer.M): Step(State.TERMINATED),
}

CLIENT_INVITE = Table(
    name="client INVITE",
    initial=State.CALLING,
    rows=_ROWS,
    timers={
        State.CALLING: StateTimers(again=Timer.A, end=Timer.B),
        State.COMPLETED: StateTimers(end=Timer.D),
        State.ACCEPTED: StateTimers(end=Timer.M),
    },
)
