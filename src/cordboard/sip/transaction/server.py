"""Non-INVITE server transaction: RFC 3261 section 17.2.2.

Deviation: a request that nobody above answers is forgotten after 64*T1, when its client has given up.
"""

from __future__ import annotations

from cordboard.sip.timers import Timer
from cordboard.sip.transaction.table import Action, Input, Rows, State, StateTimers, Step, Table

_ROWS: Rows = {
    (State.TRYING, Input.PROVISIONAL): Step(State.PROCEEDING, (Action.SEND,)),
    (State.TRYING, Input.SUCCESS): Step(State.COMPLETED, (Action.SEND,)),
    (State.TRYING, Input.FAILURE): Step(State.COMPLETED, (Action.SEND,)),
    (State.TRYING, Timer.UNANSWERED): Step(State.TERMINATED),
    (State.PROCEEDING, Input.REQUEST): Step(State.PROCEEDING, (Action.SEND,)),
    (State.PROCEEDING, Input.PROVISIONAL): Step(State.PROCEEDING, (Action.SEND,)),
    (State.PROCEEDING, Input.SUCCESS): Step(State.COMPLETED, (Action.SEND,)),
    (State.PROCEEDING, Input.FAILURE): Step(State.COMPLETED, (Action.SEND,)),
    (State.PROCEEDING, Timer.UNANSWERED): Step(State.TERMINATED),
    (State.COMPLETED, Input.REQUEST): Step(State.COMPLETED, (Action.SEND,)),
    (State.COMPLETED, Timer.J): Step(State.TERMINATED),
}

SERVER = Table(
    name="server non-INVITE",
    initial=State.TRYING,
    rows=_ROWS,
    timers={
        State.TRYING: StateTimers(end=Timer.UNANSWERED),
        State.PROCEEDING: StateTimers(end=Timer.UNANSWERED),
        State.COMPLETED: StateTimers(end=Timer.J),
    },
)
