"""Simulated phones: real SIP and RTP user agents on loopback UDP sockets.

    async with SimulatedPhone(Behaviour(answer_after=1.0)) as bob, SimulatedPhone(name="alice") as alice:
        call = await alice.call(bob.uri())
        assert await call.answered()
        assert await call.hears(440.0)
        call.hang_up()
        report = await call.ended()

A `SimulatedPhone` treats all its calls alike, several at once if need be.  A `PhoneBank` is one socket that
plays many phones: the user part of the Request-URI says which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phones import behaviour_for
from cordboard.testing.user_agent import UserAgent

MANUAL = Behaviour(description="does what the test says", answer_after=None, ring=False)
"""For tests that play the user themselves: `call = await phone.next_call()`, then `call.ring()` and so on."""


class SimulatedPhone(UserAgent):
    """One phone.  The keyword arguments are those of `UserAgent`; `behaviour` may be replaced at any time."""

    def __init__(self, behaviour: Behaviour | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.behaviour = behaviour or Behaviour()

    def behaviour_of(self, user: str) -> Behaviour:
        """The same for everybody."""
        return self.behaviour


class PhoneBank(UserAgent):
    """Many phones behind one socket; by default those of `cordboard.testing.phones`."""

    def __init__(self, choose: Callable[[str], Behaviour] = behaviour_for, **options: Any) -> None:
        super().__init__(**options)
        self._choose = choose

    def behaviour_of(self, user: str) -> Behaviour:
        """By the user part of the Request-URI (calls in) or of the caller (calls out)."""
        return self._choose(user)
