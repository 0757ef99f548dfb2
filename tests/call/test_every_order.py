"""Whatever the order of answers, refusals, cancels, hang-ups and timers: four things always hold.

1. at most one leg is bridged;
2. every other leg is ended by CANCEL, or by ACK and BYE;
3. every leg has exactly one terminal event;
4. nothing is left 64*T1 after the last transaction began.

First every reachable order of one and two branches is walked through, down to the delivery of each single
message between the calls; then 10,000 seeded calls of one to four branches run in virtual time.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator
from functools import cache
from types import NoneType
from typing import Any

import msgspec
import pytest

from cordboard.call.actions import Answer, CallInfo, Connect, ConnectDone, Play, PlayItem
from cordboard.call.call import Call
from cordboard.call.effects import (
    AnswerLeg,
    CallOver,
    CallStateChanged,
    ConnectStateChanged,
    Dial,
    Effect,
    EndLeg,
    Join,
    PlayTo,
    Report,
    StopPlay,
    TellCall,
    Unjoin,
)
from cordboard.call.facts import Bridged, Fact, LegAnswered, LegEnded, LegRinging
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import Ending, ending, ending_of_status
from cordboard.testing.recording_legs import GIVE_UP, DialledLeg
from cordboard.testing.virtual import (
    Caller,
    FarEnd,
    ListDriver,
    RecordingLegs,
    VirtualShell,
    VirtualTime,
    caller_info,
    dialled_info,
)

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


class World:
    """One call and what it dials, with every choice of order left to the test."""

    def __init__(self, plan: ConnectPlan, *, answered: bool, ringing: int) -> None:
        self.now = 0.0
        self.ringing = ringing
        """How many of the dialled legs may ring; the orders of ringing multiply all others."""
        self.calls: dict[str, Call] = {}
        self.legs: dict[str, LegModel] = {}
        self.queue: deque[tuple[str, Fact]] = deque()
        self.effects: list[tuple[str, Effect]] = []
        self._ids = itertools.count(1)
        self.driver = ListDriver([Answer(), Connect(plan=plan)] if answered else [Connect(plan=plan)])
        self.calls["a"] = Call(info=caller_info("a"), driver=self.driver, new_id=self._new_id)
        self.legs["a"] = LegModel()
        self._do("a", self.calls["a"].start(0.0))

    def choices(self) -> list[Step]:
        steps = [
            (call_id, what) for call_id, leg in self.legs.items() for what in leg.can(outbound=call_id != "a")
        ]
        if self.queue:
            steps.append(("", "deliver"))
        due = self.calls["a"].next_timeout()
        if due is not None and due < 1000.0:
            steps.append(("a", "timer"))
        return steps

    def take(self, step: Step) -> None:
        call_id, what = step
        if what == "deliver":
            to, fact = self.queue.popleft()
            self._handle(to, fact)
        elif what == "timer":
            self.now = max(self.now, self.calls["a"].next_timeout() or 0.0)
            self._do("a", self.calls["a"].handle_timeout(self.now))
        else:
            self._handle(call_id, self._fact(self.legs[call_id], what))

    def signature(self) -> tuple[Any, ...]:
        """All that decides the future."""
        legs = tuple((leg.rang, leg.answered, leg.asked is None, leg.over) for leg in self.legs.values())
        calls = tuple(_dump(call) for call in self.calls.values())
        return legs, calls, tuple((to, type(fact)) for to, fact in self.queue), len(self.driver.results)

    def _fact(self, leg: LegModel, what: str) -> Fact:
        if what == "rings":
            leg.rang = True
            return LegRinging()
        if what == "answers":
            leg.answered = True
            return LegAnswered()
        leg.over = True
        if what == "ends":
            assert leg.asked is not None
            return LegEnded(ending=leg.asked)
        return LegEnded(ending=ending_of_status(486) if what == "refuses" else ending("hangup_far_end"))

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

    def _dial(self, dial: Dial) -> None:
        call = Call(info=dialled_info(dial), driver=None, parent=dial.parent, new_id=self._new_id)
        self.calls[dial.call_id] = call
        self.legs[dial.call_id] = LegModel(may_ring=len(self.legs) <= self.ringing)
        self._do(dial.call_id, call.start(self.now))

    def _new_id(self) -> str:
        return f"id{next(self._ids)}"


def _dump(value: Any) -> Any:
    """A hashable picture of a machine, through its slots; what never changes counts by its type."""
    kind: Any = type(value)
    if kind in (str, int, float, bool, NoneType):
        return value
    if kind is list:
        return tuple([_dump(item) for item in value])
    if kind is Ending:
        return value.cause
    return (kind.__name__, *[_dump(getattr(value, name)) for name in _changing(kind)])


@cache
def _changing(kind: Any) -> tuple[str, ...]:
    if kind is CallInfo:
        return ("call_state", "peer_call_id")
    if not kind.__module__.startswith("cordboard.call"):
        return ()
    if issubclass(kind, msgspec.Struct):
        return () if kind.__struct_config__.frozen else kind.__struct_fields__
    return tuple(getattr(kind, "__slots__", ()))


def _walk(plan: ConnectPlan, *, answered: bool, ringing: int) -> tuple[int, int]:
    """Visit every reachable state once; (states, ends)."""
    seen: set[tuple[Any, ...]] = set()
    todo: list[tuple[Step, ...]] = [()]
    ends = 0
    while todo:
        path = todo.pop()
        world = World(plan, answered=answered, ringing=ringing)
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
            joined.add(frozenset((effect.a, effect.b)))
            assert len(joined) == 1, path
        elif isinstance(effect, Unjoin):
            joined.discard(frozenset((effect.a, effect.b)))
        elif isinstance(effect, CallOver):
            over.add(call_id)
        elif _is_terminal(effect):
            assert call_id not in terminal, path
            terminal.add(call_id)
    assert len(_bridged(world.effects)) <= 1, path


def _check_at_the_end(world: World, path: tuple[Step, ...]) -> None:
    assert all(call.is_over for call in world.calls.values()), path
    assert all(call.next_timeout() is None for call in world.calls.values()), path
    terminal = [call_id for call_id, effect in world.effects if _is_terminal(effect)]
    assert sorted(terminal) == sorted(world.calls), path
    _check_connect_reports([effect for call_id, effect in world.effects if call_id == "a"], path)
    assert len([r for r in world.driver.results if isinstance(r, ConnectDone)]) <= 1, path
    _check_plays(world.effects)


def _is_terminal(effect: Effect) -> bool:
    if not isinstance(effect, Report):
        return False
    happening = effect.happening
    return isinstance(happening, CallStateChanged) and happening.state == "ended"


def _bridged(effects: list[tuple[str, Effect]]) -> set[str]:
    return {e.call_id for _, e in effects if isinstance(e, TellCall) and isinstance(e.fact, Bridged)}


def _check_connect_reports(effects: list[Effect], about: object) -> None:
    happenings = [effect.happening for effect in effects if isinstance(effect, Report)]
    states = [happening.state for happening in happenings if isinstance(happening, ConnectStateChanged)]
    good: tuple[list[str], ...] = ([], ["connecting", "failed"], ["connecting", "connected", "disconnected"])
    assert states in good, about


def _check_plays(effects: list[tuple[str, Effect]]) -> None:
    """Every ring that was started for a caller was stopped."""
    started = [e.control_id for _, e in effects if isinstance(e, PlayTo) and e.loop == 0]
    stopped = [e.control_id for _, e in effects if isinstance(e, StopPlay)]
    assert set(started) <= set(stopped)
    assert len(stopped) == len(set(stopped))


def _plan(*sizes: int, answer_on_bridge: bool = False) -> ConnectPlan:
    numbers = itertools.count(1)
    groups = tuple(
        tuple(Destination(kind="sip", to=f"b{next(numbers)}", timeout=10.0) for _ in range(size))
        for size in sizes
    )
    return ConnectPlan(groups=groups, answer_on_bridge=answer_on_bridge)


@pytest.mark.parametrize(("answer_on_bridge", "answered"), [(False, True), (True, False), (False, False)])
def test_every_reachable_order_of_one_branch_ends_well(answer_on_bridge: bool, answered: bool) -> None:
    states, ends = _walk(_plan(1, answer_on_bridge=answer_on_bridge), answered=answered, ringing=1)
    assert states > 200
    assert ends > 10


@pytest.mark.parametrize(
    ("sizes", "answer_on_bridge", "ringing"), [((2,), True, 0), ((1, 1), True, 0), ((2,), False, 1)]
)
def test_every_reachable_order_of_two_branches_ends_well(
    sizes: tuple[int, ...], answer_on_bridge: bool, ringing: int
) -> None:
    plan = _plan(*sizes, answer_on_bridge=answer_on_bridge)
    states, ends = _walk(plan, answered=not answer_on_bridge, ringing=ringing)
    assert states > 2000
    assert ends > 50


# ------------------------------------------------------------------ ten thousand calls in virtual time

RUNS = 10_000
TIMES = (0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 40.0)
"""A coarse grid, so that things often happen in the same instant."""
REFUSALS = (486, 603, 480, 404, 500, 487, 302)


def _far_end(choose: random.Random) -> FarEnd:
    steps: list[tuple[float, int | str]] = []
    if choose.random() < 0.7:
        steps.append((choose.choice(TIMES), choose.choice((180, 183))))
    fate = choose.random()
    if fate < 0.5:
        answer = choose.choice(TIMES)
        steps.append((answer, 200))
        if choose.random() < 0.6:
            steps.append((answer + choose.choice(TIMES), "bye"))
    elif fate < 0.85:
        steps.append((choose.choice(TIMES), choose.choice(REFUSALS)))
    return FarEnd(*sorted(steps, key=lambda step: step[0]), answers_cancel=choose.random() < 0.9)


def _groups(choose: random.Random) -> tuple[tuple[Destination, ...], ...]:
    names = [f"b{number}" for number in range(1, choose.randint(1, 4) + 1)]
    groups: list[list[Destination]] = [[]]
    for name in names:
        if groups[-1] and choose.random() < 0.4:
            groups.append([])
        groups[-1].append(Destination(kind="sip", to=name, timeout=choose.choice((1.0, 3.0, 8.0))))
    return tuple(tuple(group) for group in groups)


def _random_call(seed: int) -> VirtualShell:
    choose = random.Random(seed)
    time = VirtualTime(choose.random)
    plan = ConnectPlan(groups=_groups(choose), answer_on_bridge=choose.random() < 0.5)
    far_ends = {d.to: _far_end(choose) for group in plan.groups for d in group if choose.random() < 0.97}
    legs = RecordingLegs(time, far_ends, round_trip=choose.choice((0.0, 0.02, 1.0, 3.0)))
    shell = VirtualShell(time, legs)
    before = [Answer(max_duration=choose.choice((4.0, 100.0)))] if choose.random() < 0.4 else []
    after = [Play(items=(PlayItem(kind="silence", duration=1.0),))] if choose.random() < 0.5 else []
    hangs_up = choose.choice((*TIMES, 60.0)) if choose.random() < 0.5 else None
    shell.call_in(ListDriver([*before, Connect(plan=plan), *after]), Caller(hangs_up_at=hangs_up))
    time.run()
    return shell


def _check_leg(leg: DialledLeg, wire: list[str]) -> None:
    """Ended by CANCEL, or by ACK and BYE, or by the far end itself; an INVITE to nobody dies of old age."""
    assert leg.is_over
    assert wire[0] == "> INVITE"
    assert wire.count("> INVITE") == 1
    assert len([what for what in wire if what.startswith("> CANCEL")]) <= 1
    if "< 200" in wire:
        assert wire[wire.index("< 200") + 1] == "> ACK"
        assert "> BYE" in wire or "< BYE" in wire
        assert wire.count("> BYE") <= 1
    elif not _is_refused(wire):
        had_provisional = "< 180" in wire or "< 183" in wire
        assert not had_provisional or any(what.startswith("> CANCEL") for what in wire)


def _is_refused(wire: list[str]) -> bool:
    finals = [what for what in wire if what.startswith("<") and what[2:].isdigit() and int(what[2:]) >= 300]
    assert len(finals) <= 1
    return bool(finals) and wire[wire.index(finals[0]) + 1] == "> ACK"


def _check_caller(wire: list[str]) -> None:
    """One final response at most, nothing provisional after it, and an end."""
    finals = [what for what in wire if what.startswith("> ") and what[2:].isdigit() and int(what[2:]) >= 200]
    assert len(finals) <= 1
    after = wire[wire.index(finals[0]) + 1 :] if finals else []
    assert not [what for what in after if what in ("> 180", "> 183")]
    assert wire[-1] in ("> BYE", "< BYE", "< CANCEL") or wire[-1] == finals[0]


def _check(shell: VirtualShell) -> None:
    legs = shell.legs
    assert shell.open_calls() == []
    assert shell.most_joins <= 1
    assert shell.joined == set()
    assert len(_bridged(shell.effects)) <= 1
    ended = [t.call_id for t in shell.reports if _is_terminal(t.report)]
    assert sorted(ended) == sorted(shell.calls)
    assert sorted(c for c, effect in shell.effects if isinstance(effect, CallOver)) == sorted(shell.calls)
    for call_id, leg in legs.legs.items():
        if isinstance(leg, DialledLeg):
            _check_leg(leg, legs.wire(call_id))
    _check_caller(legs.wire("a"))
    _check_connect_reports([effect for call_id, effect in shell.effects if call_id == "a"], legs.seen)
    _check_plays(shell.effects)
    last = max(legs.seen[-1].at, shell.reports[-1].at)
    assert last <= legs.last_transaction + GIVE_UP


@pytest.mark.parametrize("first", range(0, RUNS, 1000))
def test_a_thousand_random_calls_keep_the_four_promises(first: int) -> None:
    for seed in range(first, first + 1000):
        try:
            _check(_random_call(seed))
        except Exception as problem:
            problem.add_note(f"seed {seed}")
            raise


def test_the_random_calls_reach_the_races_that_matter() -> None:
    crossed = bridged = left = 0
    for seed in range(1500):
        shell = _random_call(seed)
        wires = [shell.legs.wire(call_id) for call_id in shell.legs.legs if call_id != "a"]
        crossed += any("> CANCEL" in " ".join(w) and "< 200" in w for w in wires)
        bridged += bool(_bridged(shell.effects))
        left += any("> CANCEL" in w for w in wires)
    assert crossed > 20
    assert bridged > 200
    assert left > 100
