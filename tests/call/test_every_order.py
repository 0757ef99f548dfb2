"""Whatever the order of answers, refusals, cancels, hang-ups and timers: six things always hold.

1. at most one leg is bridged at a time;
2. every other leg is ended by CANCEL, or by ACK and BYE;
3. every leg has exactly one terminal event, and so has every recording;
4. nothing is left 64*T1 after the last transaction began;
5. nothing is left playing, recording or tapped;
6. a connect says `connecting`, then `failed`, or `connected` (again after a transfer) and `disconnected`.

Here every reachable order of one and two branches is walked through, down to the delivery of each single
message between the calls, also with a confirm script, a hold and a transfer; `test_random_calls` runs 10,000
seeded calls of one to four branches, in which all of that may happen.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from types import NoneType
from typing import Any

import msgspec
import pytest

from cordboard.call.actions import (
    Answer,
    CallInfo,
    Connect,
    ConnectDone,
    Hangup,
    Play,
    PlayItem,
)
from cordboard.call.call import Call
from cordboard.call.effects import (
    AnswerLeg,
    CallOver,
    Dial,
    Effect,
    EndLeg,
    Join,
    PlayTo,
    StopPlay,
    TellCall,
    Unjoin,
)
from cordboard.call.facts import (
    Fact,
    LegAnswered,
    LegEnded,
    LegHeld,
    LegRinging,
    PlayFinished,
    TransferRequested,
)
from cordboard.call.peer import Peer
from cordboard.call.plan import Confirm, ConnectPlan, Destination
from cordboard.call.reasons import Ending, ending, ending_of_status
from cordboard.call.ties import Ties
from cordboard.call.workshop import Workshop
from cordboard.testing.virtual import (
    ListDriver,
    caller_info,
    dialled_info,
)

from .promises import bridged, check_connect_reports, check_plays, is_terminal

# ------------------------------------------------------------------ every order, walked through

Step = tuple[str, str]
"""(call id, what happens to it); ("", "deliver") hands the next message between calls over."""


class LegModel:
    """The few facts about a leg that decide what can happen to it next."""

    def __init__(self, *, may_ring: bool = False) -> None:
        self.may_ring = may_ring
        self.rang = False
        self.answered = False
        self.asked: Ending | None = None
        self.over = False
        self.playing: str | None = None
        """What a script plays to it, until its end."""
        self.holds_left = 0
        self.refers_left = 0

    def signature(self) -> tuple[Any, ...]:
        """All that decides what it can do."""
        left = (self.holds_left, self.refers_left)
        return (self.rang, self.answered, self.asked is None, self.over, self.playing, *left)

    def can(self, *, outbound: bool) -> Iterator[str]:
        """What the far end or the stack may do next."""
        if self.over:
            return
        if self.asked is not None:
            yield "ends"
        elif not outbound or self.answered:
            yield "hangs up"
        if outbound and not self.answered:
            yield "answers"
            yield "refuses"
            if not self.rang and self.may_ring:
                yield "rings"
        if self.answered and self.asked is None:
            yield from self._may_do()

    def _may_do(self) -> Iterator[str]:
        if self.playing is not None:
            yield "played"
        if self.holds_left:
            yield "holds"
        if self.refers_left:
            yield "refers"


class World:
    """One call and what it dials, with every choice of order left to the test."""

    def __init__(
        self, plan: ConnectPlan, *, answered: bool, ringing: int = 0, holds: int = 0, refers: int = 0
    ) -> None:
        self.now = 0.0
        self.holds, self.refers = holds, refers
        """How often the first dialled leg may hold, and ask for a transfer."""
        self.ringing = ringing
        """How many of the dialled legs may ring; the orders of ringing multiply all others."""
        self.calls: dict[str, Call] = {}
        self.legs: dict[str, LegModel] = {}
        self.queue: deque[tuple[str, Fact]] = deque()
        self.effects: list[tuple[str, Effect]] = []
        self._ids = itertools.count(1)
        self.drivers: list[ListDriver] = []
        self.driver = ListDriver([Answer(), Connect(plan=plan)] if answered else [Connect(plan=plan)])
        self.drivers.append(self.driver)
        self._begin()

    def _begin(self) -> None:
        self.calls["a"] = Call(info=caller_info("a"), driver=self.driver, new_id=self._new_id)
        self.legs["a"] = LegModel()
        self._do("a", self.calls["a"].start(0.0))

    def leaders(self) -> Iterable[str]:
        """Those whose connect reports are in good order: all."""
        return self.calls

    def choices(self) -> list[Step]:
        steps = [
            (call_id, what) for call_id, leg in self.legs.items() for what in leg.can(outbound=call_id != "a")
        ]
        if self.queue:
            steps.append(("", "deliver"))
        for call_id, call in self.calls.items():
            due = call.next_timeout()
            if due is not None and due < 1000.0:
                steps.append((call_id, "timer"))
        return steps

    def take(self, step: Step) -> None:
        call_id, what = step
        if what == "deliver":
            to, fact = self.queue.popleft()
            self._handle(to, fact)
        elif what == "timer":
            self.now = max(self.now, self.calls[call_id].next_timeout() or 0.0)
            self._do(call_id, self.calls[call_id].handle_timeout(self.now))
        else:
            self._handle(call_id, self._fact(self.legs[call_id], what))

    def signature(self) -> tuple[Any, ...]:
        """All that decides the future."""
        legs = tuple(leg.signature() for leg in self.legs.values())
        calls = tuple(_dump(call) for call in self.calls.values())
        queue = tuple((to, type(fact), _kind(fact)) for to, fact in self.queue)
        return legs, calls, queue, tuple(len(driver.results) for driver in self.drivers)

    def _fact(self, leg: LegModel, what: str) -> Fact:
        if what == "rings":
            leg.rang = True
            return LegRinging()
        if what == "answers":
            leg.answered = True
            return LegAnswered()
        if what in ("played", "holds", "refers"):
            return self._deed(leg, what)
        leg.over = True
        if what == "ends":
            assert leg.asked is not None
            return LegEnded(ending=leg.asked)
        return LegEnded(ending=ending_of_status(486) if what == "refuses" else ending("hangup_far_end"))

    def _deed(self, leg: LegModel, what: str) -> Fact:
        if what == "played":
            played, leg.playing = leg.playing, None
            return PlayFinished(control_id=played or "")
        if what == "holds":
            leg.holds_left -= 1
            return LegHeld()
        leg.refers_left -= 1
        return TransferRequested(destination=Destination(kind="sip", to="c", timeout=10.0))

    def _handle(self, call_id: str, fact: Fact) -> None:
        call = self.calls.get(call_id)
        if call is not None:
            self._do(call_id, call.handle(fact, self.now))

    def _do(self, call_id: str, effects: list[Effect]) -> None:
        for effect in effects:
            self.effects.append((call_id, effect))
            if isinstance(effect, TellCall):
                self.queue.append((effect.call_id, effect.fact))
            elif isinstance(effect, EndLeg):
                self.legs[call_id].asked = self.legs[call_id].asked or effect.ending
            elif isinstance(effect, AnswerLeg):
                self.legs[call_id].answered = True
                self.queue.append((call_id, LegAnswered()))
            elif isinstance(effect, Dial):
                self._dial(effect)
            elif isinstance(effect, PlayTo) and effect.loop:
                self.legs[call_id].playing = effect.control_id
            elif isinstance(effect, StopPlay) and self.legs[call_id].playing == effect.control_id:
                self.legs[call_id].playing = None

    def _dial(self, dial: Dial) -> None:
        confirm = dial.destination.confirm
        driver = ListDriver(confirm.document) if confirm is not None else None
        call = Call(
            info=dialled_info(dial),
            driver=driver,
            parent=dial.parent,
            confirm_timeout=confirm.timeout if confirm is not None else None,
            new_id=self._new_id,
        )
        if driver is not None:
            self.drivers.append(driver)
        leg = LegModel(may_ring=len(self.legs) <= self.ringing)
        if len(self.legs) == 1:
            leg.holds_left, leg.refers_left = self.holds, self.refers
        self.calls[dial.call_id] = call
        self.legs[dial.call_id] = leg
        self._do(dial.call_id, call.start(self.now))

    def _new_id(self) -> str:
        return f"id{next(self._ids)}"


def _kind(fact: Fact) -> Any:
    """What two facts of one type may differ in."""
    why = getattr(fact, "ending", None)
    return why.cause if why is not None else getattr(fact, "status", getattr(fact, "held", None))


def _dump(value: Any) -> Any:
    """A hashable picture of a machine, through its slots; what never changes counts by its type."""
    kind: Any = type(value)
    if kind in (str, int, float, bool, NoneType):
        return value
    if kind is list:
        return tuple([_dump(item) for item in value])
    if kind is Ending:
        return value.cause
    if kind is Peer:
        return value.call_id
    return (kind.__name__, *[_dump(getattr(value, name)) for name in _changing(kind)])


@cache
def _changing(kind: Any) -> tuple[str, ...]:
    if kind is CallInfo:
        return ("call_state", "peer_call_id", "owner")
    if kind is Workshop:
        return ()
    if kind is Ties:
        return ("parent",)
    if not kind.__module__.startswith("cordboard.call"):
        return ()
    if issubclass(kind, msgspec.Struct):
        return () if kind.__struct_config__.frozen else kind.__struct_fields__
    return tuple(getattr(kind, "__slots__", ()))


def walk(plan: ConnectPlan, world_of: type[World] = World, **choices_given: Any) -> tuple[int, int]:
    """Visit every reachable state once; (states, ends)."""
    seen: set[tuple[Any, ...]] = set()
    todo: list[tuple[Step, ...]] = [()]
    ends = 0
    while todo:
        path = todo.pop()
        world = world_of(plan, **choices_given)
        for step in path:
            world.take(step)
        while (signature := world.signature()) not in seen:
            seen.add(signature)
            _check_so_far(world, path)
            choices = world.choices()
            if not choices:
                ends += 1
                _check_at_the_end(world, path)
                break
            # one of the choices is taken on the spot, the others from the start again
            todo += [(*path, choice) for choice in choices[1:]]
            path = (*path, choices[0])
            world.take(choices[0])
    return len(seen), ends


def _check_so_far(world: World, path: tuple[Step, ...]) -> None:
    joined: set[frozenset[str]] = set()
    terminal: set[str] = set()
    over: set[str] = set()
    for call_id, effect in world.effects:
        assert call_id not in over, path
        if isinstance(effect, Join):
            pair = frozenset((effect.a, effect.b))
            joined = {other for other in joined if not other & pair} | {pair}
            assert len(joined) == 1, path
        elif isinstance(effect, Unjoin):
            joined.discard(frozenset((effect.a, effect.b)))
        elif isinstance(effect, CallOver):
            over.add(call_id)
        elif is_terminal(effect):
            assert call_id not in terminal, path
            terminal.add(call_id)
    assert len(bridged(world.effects)) <= 1 + world.refers, path


def _check_at_the_end(world: World, path: tuple[Step, ...]) -> None:
    assert all(call.is_over for call in world.calls.values()), path
    assert all(call.next_timeout() is None for call in world.calls.values()), path
    terminal = [call_id for call_id, effect in world.effects if is_terminal(effect)]
    assert sorted(terminal) == sorted(world.calls), path
    check_connect_reports(world.effects, world.leaders(), path)
    assert len([r for r in world.driver.results if isinstance(r, ConnectDone)]) <= 1, path
    check_plays(world.effects)


def plan_of(*sizes: int, answer_on_bridge: bool = False) -> ConnectPlan:
    numbers = itertools.count(1)
    groups = tuple(
        tuple(Destination(kind="sip", to=f"b{next(numbers)}", timeout=10.0) for _ in range(size))
        for size in sizes
    )
    return ConnectPlan(groups=groups, answer_on_bridge=answer_on_bridge)


@pytest.mark.parametrize(("answer_on_bridge", "answered"), [(False, True), (True, False), (False, False)])
def test_every_reachable_order_of_one_branch_ends_well(answer_on_bridge: bool, answered: bool) -> None:
    states, ends = walk(plan_of(1, answer_on_bridge=answer_on_bridge), answered=answered, ringing=1)
    assert states > 200
    assert ends > 10


@pytest.mark.parametrize(
    ("sizes", "answer_on_bridge", "ringing"), [((2,), True, 0), ((1, 1), True, 0), ((2,), False, 1)]
)
def test_every_reachable_order_of_two_branches_ends_well(
    sizes: tuple[int, ...], answer_on_bridge: bool, ringing: int
) -> None:
    plan = plan_of(*sizes, answer_on_bridge=answer_on_bridge)
    states, ends = walk(plan, answered=not answer_on_bridge, ringing=ringing)
    assert states > 2000
    assert ends > 50


SCRIPT = Play(items=(PlayItem(kind="say", text="hi"),))


@pytest.mark.parametrize("steps", [[SCRIPT], [SCRIPT, Hangup()]], ids=["accepts", "declines"])
@pytest.mark.parametrize("sizes", [(1,), (1, 1), (2,)])
def test_every_reachable_order_with_a_confirm_script_ends_well(
    sizes: tuple[int, ...], steps: list[Any]
) -> None:
    plan = plan_of(*sizes, answer_on_bridge=True)
    first, *others = [destination for group in plan.groups for destination in group]
    confirming = msgspec.structs.replace(first, confirm=Confirm(document=steps, timeout=7.0))
    groups = ((confirming, *others),) if len(sizes) == 1 else ((confirming,), tuple(others))
    plan = msgspec.structs.replace(plan, groups=groups)
    states, ends = walk(plan, answered=True)
    assert states > 100
    assert ends > 10


def test_every_reachable_order_of_a_hold_ends_well() -> None:
    states, _ = walk(plan_of(1), answered=True, holds=1)
    assert states > 200


def test_every_reachable_order_of_a_transfer_ends_well() -> None:
    states, ends = walk(plan_of(1), answered=True, refers=1)
    assert states > 500
    assert ends > 20


def test_every_reachable_order_of_a_longest_duration_ends_well() -> None:
    plan = msgspec.structs.replace(plan_of(1), max_duration=5.0)
    states, _ = walk(plan, answered=True, refers=1)
    assert states > 500
