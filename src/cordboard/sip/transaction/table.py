"""What the four transaction tables are written in.

A table maps (state, input) to a step: what to do, in this order, and the state to be in while doing it.
An input without a row is ignored.  A timer belongs to states: it is started on entering the first state
that names it, goes on where the next state names it too, and is stopped on leaving the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from cordboard.sip.timers import Timer


class State(StrEnum):
    """The states of RFC 3261 section 17 and RFC 6026 section 7."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Input(StrEnum):
    """What a transaction hears of, besides its timers."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    REQUEST = "request again"
    ACK = "ACK"
    TRANSPORT_ERROR = "transport error"


class Action(StrEnum):
    """What a step does."""

    SEND = "send"
    """Put the last message (the request, or the last response) on the wire again."""
    ACKNOWLEDGE = "send ACK"
    """Send the ACK for a final response other than 2xx (RFC 3261 section 17.1.1.3)."""
    PASS_UP = "pass up"
    """Hand the response to the user of the transaction."""
    REPORT_TIMEOUT = "report timeout"
    REPORT_TRANSPORT_ERROR = "report transport error"
    DOUBLE = "double"
    """Start the retransmission timer again with twice the interval."""
    DOUBLE_UP_TO_T2 = "double up to T2"
    SLOW_DOWN = "wait T2"
    """Start the retransmission timer again with T2."""
    AGAIN = "same interval"


# Python 3.11 looks an enumeration's members up ten times slower than a module's names, and these are
# looked up for each message.
TRYING, PROCEEDING, TERMINATED = State.TRYING, State.PROCEEDING, State.TERMINATED
ACCEPTED = State.ACCEPTED
PROVISIONAL, SUCCESS, FAILURE = Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE
SEND, PASS_UP, ACKNOWLEDGE = Action.SEND, Action.PASS_UP, Action.ACKNOWLEDGE


class Step(NamedTuple):
    """The consequence of one input in one state."""

    state: State
    actions: tuple[Action, ...] = ()


Rows = dict[tuple[State, Timer | Input], Step]


class StateTimers(NamedTuple):
    """The timers that a state names: one that repeats something, one that ends the state."""

    again: Timer | None = None
    end: Timer | None = None


class Timing(NamedTuple):
    """The timers of a state, and how long they run at first, in seconds; None: the transport needs none."""

    again: Timer | None
    interval: float | None
    end: Timer | None
    duration: float | None


NO_TIMERS = StateTimers()


class Table(NamedTuple):
    """One transaction machine."""

    name: str
    initial: State
    rows: Rows
    timers: dict[State, StateTimers]

    def timings(self, durations: Mapping[Timer, float]) -> dict[State, Timing]:
        """What each state starts, with timers of these durations."""
        timings = {}
        for state in State:
            again, end = self.timers.get(state, NO_TIMERS)
            timings[state] = Timing(
                again=again,
                interval=None if again is None else durations.get(again),
                end=end,
                duration=None if end is None else durations.get(end),
            )
        return timings

    def diagram(self) -> str:
        """The table as a Mermaid state diagram."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        for (state, cause), step in self.rows.items():
            label = "timer " + cause if isinstance(cause, Timer) else cause
            done = f" / {', '.join(step.actions)}" if step.actions else ""
            target = "[*]" if step.state is State.TERMINATED else step.state
            lines.append(f"    {state} --> {target}: {label}{done}")
        return "\n".join(lines) + "\n"
