"""Every reachable order of what a client asks of two calls and of what happens to them meanwhile.

The promises are those of `test_every_order`.  Here a call has no script but a client, which connects it, and
may then disconnect either side, hang either up, and be lost, each once and at any moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from cordboard.call.actions import Answer, Connect, Hangup
from cordboard.call.call import Call
from cordboard.call.commands import Command, Disconnect
from cordboard.call.effects import CommandAnswered
from cordboard.call.facts import Commanded, ControlLost, ControlTaken, Fact
from cordboard.call.plan import ConnectPlan
from cordboard.call.reasons import ending
from cordboard.testing.virtual import caller_info

from .test_every_order import LegModel, Step, World, plan_of, walk

WISHES: dict[str, Command] = {"disconnects": Disconnect(), "is hung up": Hangup()}


class ClientWorld(World):
    """A client connects `a`, and has some wishes left, each about one of the calls."""

    def __init__(self, plan: ConnectPlan, *, answered: bool, wishes: tuple[Step, ...], **more: Any) -> None:
        self._plan = plan
        self._answered = answered
        self._wishes = list(wishes)
        self._asked = 0
        super().__init__(plan, answered=answered, **more)

    def _begin(self) -> None:
        self.calls["a"] = Call(info=caller_info("a"), driver=None, new_id=self._new_id)
        self.legs["a"] = LegModel()
        self._do("a", self.calls["a"].start(0.0))
        self._handle("a", ControlTaken(owner="client"))
        if self._answered:
            self._handle("a", self._command(Answer()))
            self.take(("", "deliver"))
        self._handle("a", self._command(Connect(plan=self._plan)))

    def leaders(self) -> Iterable[str]:
        """A peer that asked to leave is told of that alone."""
        return ["a"]

    def choices(self) -> list[Step]:
        steps = super().choices()
        return steps + [wish for wish in self._wishes if not self._is_over(wish[0])]

    def take(self, step: Step) -> None:
        if step not in self._wishes:
            super().take(step)
            return
        self._wishes.remove(step)
        call_id, what = step
        lost = ControlLost(ending=ending("client_gone"))
        self._handle(call_id, lost if what == "is lost" else self._command(WISHES[what]))

    def signature(self) -> tuple[Any, ...]:
        return (*super().signature(), tuple(self._wishes))

    def answered_once(self) -> bool:
        """Each command has one answer."""
        return sum(isinstance(effect, CommandAnswered) for _, effect in self.effects) == self._asked

    def _is_over(self, call_id: str) -> bool:
        call = self.calls.get(call_id)
        return call is None or call.is_over

    def _command(self, command: Command) -> Fact:
        self._asked += 1
        return Commanded(ticket=f"t{self._asked}", command=command)

    def _handle(self, call_id: str, fact: Fact) -> None:
        super()._handle(call_id, fact)
        assert self.answered_once(), fact


BOTH = (("a", "disconnects"), ("id1", "disconnects"))


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize(
    "wishes",
    [
        BOTH,
        (("a", "disconnects"), ("id1", "is hung up")),
        (("a", "is hung up"), ("id1", "disconnects")),
        (("a", "is lost"), ("id1", "is lost")),
        (("a", "is lost"), ("id1", "disconnects")),
        (*BOTH, ("id1", "is lost")),
    ],
)
def test_every_reachable_order_of_a_clients_wishes_ends_well(
    wishes: tuple[Step, ...], answered: bool
) -> None:
    states, ends = walk(plan_of(1), ClientWorld, answered=answered, wishes=wishes)
    assert states > 150
    assert ends > 10


@pytest.mark.parametrize("wishes", [(("a", "disconnects"),), (("a", "is lost"),), (("a", "is hung up"),)])
def test_every_reachable_order_of_a_transfer_of_a_clients_call_ends_well(wishes: tuple[Step, ...]) -> None:
    states, ends = walk(plan_of(1), ClientWorld, answered=True, wishes=wishes, refers=1)
    assert states > 500
    assert ends > 20
