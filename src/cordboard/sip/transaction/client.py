"""Non-INVITE client transaction: RFC 3261 section 17.1.2."""

from __future__ import annotations

from cordboard.sip.timers import Timer
from cordboard.sip.transaction.table import Action, Input, Rows, State, StateTimers, Step, Table

_ROWS: Rows = {
    (State.TRYING, Timer.E): Step(State.TRYING, (Action.SEND, Action.DOUBLE_UP_TO_T2)),
    (State.TRYING, Timer.F): Step(State.TERMINATED, (Action.REPORT_TIMEOUT,)),
    (State.TRYING, Input.TRANSPORT_ERROR): Step(State.TERMINATED, (Action.REPORT_TRANSPORT_ERROR,)),
    (State.TRYING, Input.PROVISIONAL): Step(State.PROCEEDING, (Action.PASS_UP,)),
    (State.TRYING, Input.SUCCESS): Step(State.COMPLETED, (Action.PASS_UP,)),
    (State.TRYING, Input.FAILURE): Step(State.COMPLETED, (Action.PASS_UP,)),
    (State.PROCEEDING, Timer.E): Step(State.PROCEEDING, (Action.SEND, Action.SLOW_DOWN)),
    (State.PROCEEDING, Timer.F): Step(State.TERMINATED, (Action.REPORT_TIMEOUT,)),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): Step(State.TERMINATED, (Action.REPORT_TRANSPORT_ERROR,)),
    (State.PROCEEDING, Input.PROVISIONAL): Step(State.PROCEEDING, (Action.PASS_UP,)),
    (State.PROCEEDING, Input.SUCCESS): Step(State.COMPLETED, (Action.PASS_UP,)),
    (State.PROCEEDING, Input.FAILURE): Step(State.COMPLETED, (Action.PASS_UP,)),
    (State.COMPLETED, Timer.K): Step(State.TERMINATED),
}

CLIENT = Table(
    name="client non-INVITE",
    initial=State.TRYING,
    rows=_ROWS,
    timers={
        State.TRYING: StateTimers(again=Timer.E, end=Timer.F),
        State.PROCEEDING: StateTimers(again=Timer.E, end=Timer.F),
        State.COMPLETED: StateTimers(end=Timer.K),
    },
)
