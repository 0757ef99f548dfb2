"""INVITE server transaction: RFC 3261 section 17.2.1, with the Accepted state of RFC 6026 section 7.1.

The responses that the user of the transaction sends are inputs too.  Deviation: RFC 6026 absorbs a
retransmitted INVITE after the 2xx in silence; here the 2xx is sent again at once, which shortens the call
set-up when the first copy was lost and does no harm otherwise.
"""

from __future__ import annotations

from cordboard.sip.timers import Timer
from cordboard.sip.transaction.table import Action, Input, Rows, State, StateTimers, Step, Table

_ROWS: Rows = {
    (State.PROCEEDING, Input.REQUEST): Step(State.PROCEEDING, (Action.SEND,)),
    (State.PROCEEDING, Timer.REMINDER): Step(State.PROCEEDING, (Action.SEND, Action.AGAIN)),
    (State.PROCEEDING, Input.PROVISIONAL): Step(State.PROCEEDING, (Action.SEND,)),
    (State.PROCEEDING, Input.SUCCESS): Step(State.ACCEPTED, (Action.SEND,)),
    (State.PROCEEDING, Input.FAILURE): Step(State.COMPLETED, (Action.SEND,)),
    (State.COMPLETED, Input.REQUEST): Step(State.COMPLETED, (Action.SEND,)),
    (State.COMPLETED, Timer.G): Step(State.COMPLETED, (Action.SEND, Action.DOUBLE_UP_TO_T2)),
    (State.COMPLETED, Timer.H): Step(State.TERMINATED),
    (State.COMPLETED, Input.ACK): Step(State.CONFIRMED),
    (State.CONFIRMED, Timer.I): Step(State.TERMINATED),
    (State.ACCEPTED, Input.REQUEST): Step(State.ACCEPTED, (Action.SEND,)),
    (State.ACCEPTED, Timer.L): Step(State.TERMINATED),
}

SERVER_INVITE = Table(
    name="server INVITE",
    initial=State.PROCEEDING,
    rows=_ROWS,
    timers={
        State.PROCEEDING: StateTimers(again=Timer.REMINDER),
        State.COMPLETED: StateTimers(again=Timer.G, end=Timer.H),
        State.CONFIRMED: StateTimers(end=Timer.I),
        State.ACCEPTED: StateTimers(end=Timer.L),
    },
)
