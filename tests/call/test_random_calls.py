"""Ten thousand seeded calls in virtual time keep the promises that `test_every_order` lists."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cordboard.call.actions import (
    Answer,
    Connect,
    Finished,
    Hangup,
    Play,
    PlayItem,
    Prompt,
    RecordCall,
    Recording,
    Sleep,
)
from cordboard.call.effects import (
    CallOver,
    PlayTo,
    TellCall,
)
from cordboard.call.facts import (
    PeerConfirming,
)
from cordboard.call.plan import Confirm, ConnectPlan, Destination, Ringback
from cordboard.testing.recording_legs import GIVE_UP, DialledLeg
from cordboard.testing.virtual import (
    Caller,
    FarEnd,
    ListDriver,
    RecordingLegs,
    VirtualShell,
    VirtualTime,
)

from .promises import bridged, check_connect_reports, check_recordings, is_terminal

RUNS = 10_000
TIMES = (0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 40.0)
"""A coarse grid, so that things often happen in the same instant."""
REFUSALS = (486, 603, 480, 404, 500, 487, 302)


def far_end_by_chance(choose: random.Random, names: list[str]) -> FarEnd:
    steps: list[tuple[float, int | str]] = []
    if choose.random() < 0.7:
        steps.append((choose.choice(TIMES), choose.choice((180, 183))))
    fate = choose.random()
    if fate < 0.5:
        answer = choose.choice(TIMES)
        steps.append((answer, 200))
        if choose.random() < 0.6:
            steps.append((answer + choose.choice(TIMES), "bye"))
        steps += [(answer + at, word) for at, word in _deeds(choose, names)]
    elif fate < 0.85:
        steps.append((choose.choice(TIMES), choose.choice(REFUSALS)))
    return FarEnd(*sorted(steps, key=lambda step: step[0]), answers_cancel=choose.random() < 0.9)


def _deeds(choose: random.Random, names: list[str]) -> list[tuple[float, str]]:
    """What a person does in a call: mostly nothing."""
    if choose.random() < 0.5:
        return []
    words = ("hold", "resume", "press 1", f"refer {choose.choice(names)}", "refer x replacing a")
    return [(choose.choice(TIMES), choose.choice(words)) for _ in range(choose.randint(1, 3))]


def _confirm(choose: random.Random) -> Confirm | None:
    if choose.random() < 0.7:
        return None
    steps: list[Any] = [
        Prompt(items=(PlayItem(kind="say", text="hi"),)),
        Play(items=(PlayItem(kind="audio", url=choose.choice(("http://h/a", "http://h/missing"))),)),
        RecordCall(recording=Recording()),
        Sleep(seconds=choose.choice(TIMES)),
        Hangup(),
        Finished(failed="no document"),
    ]
    script = choose.sample(steps, choose.randint(0, 3))
    return Confirm(document=script, timeout=choose.choice((1.0, 4.0, 30.0)))


def _groups(choose: random.Random, names: list[str]) -> tuple[tuple[Destination, ...], ...]:
    groups: list[list[Destination]] = [[]]
    for name in names:
        if groups[-1] and choose.random() < 0.4:
            groups.append([])
        timeout = choose.choice((1.0, 3.0, 8.0))
        groups[-1].append(Destination(kind="sip", to=name, timeout=timeout, confirm=_confirm(choose)))
    return tuple(tuple(group) for group in groups)


def _plan_by_chance(choose: random.Random, names: list[str]) -> ConnectPlan:
    item = PlayItem(kind="audio", url=choose.choice(("http://h/ring", "http://h/missing")))
    return ConnectPlan(
        groups=_groups(choose, names),
        answer_on_bridge=choose.random() < 0.5,
        ringback=Ringback(items=(item,)) if choose.random() < 0.3 else None,
        max_duration=choose.choice((2.0, 6.0, 14_400.0)),
    )


def _random_call(seed: int) -> VirtualShell:
    choose = random.Random(seed)
    time = VirtualTime(choose.random)
    names = [f"b{number}" for number in range(1, choose.randint(1, 4) + 1)]
    plan = _plan_by_chance(choose, names)
    far_ends = {name: far_end_by_chance(choose, names) for name in names if choose.random() < 0.97}
    legs = RecordingLegs(time, far_ends, round_trip=choose.choice((0.0, 0.02, 1.0, 3.0)))
    shell = VirtualShell(time, legs)
    before: list[Any] = [Answer(max_duration=choose.choice((4.0, 100.0)))] if choose.random() < 0.6 else []
    if before and choose.random() < 0.3:
        before.append(RecordCall(recording=Recording(direction="both")))
    after = [Play(items=(PlayItem(kind="silence", duration=1.0),))] if choose.random() < 0.5 else []
    hangs_up = choose.choice((*TIMES, 60.0)) if choose.random() < 0.5 else None
    deeds = tuple(_deeds(choose, names)) if choose.random() < 0.3 else ()
    caller = Caller(hangs_up_at=hangs_up, does=deeds)
    shell.call_in(ListDriver([*before, Connect(plan=plan), *after]), caller)
    time.run(20_000.0)
    return shell


def check_leg(leg: DialledLeg, wire: list[str]) -> None:
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


def check_caller(wire: list[str]) -> None:
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
    assert shell.media.running() == []
    ended = [t.call_id for t in shell.reports if is_terminal(t.report)]
    assert sorted(ended) == sorted(shell.calls)
    assert sorted(c for c, effect in shell.effects if isinstance(effect, CallOver)) == sorted(shell.calls)
    for call_id, leg in legs.legs.items():
        if isinstance(leg, DialledLeg):
            check_leg(leg, legs.wire(call_id))
    check_caller(legs.wire("a"))
    check_connect_reports(shell.effects, shell.calls, legs.seen)
    check_recordings(shell.effects)
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
    crossed = joined = left = moved = confirmed = held = 0
    for seed in range(1500):
        shell = _random_call(seed)
        wires = [shell.legs.wire(call_id) for call_id in shell.legs.legs if call_id != "a"]
        crossed += any("> CANCEL" in " ".join(w) and "< 200" in w for w in wires)
        joined += bool(bridged(shell.effects))
        left += any("> CANCEL" in w for w in wires)
        moved += any("> NOTIFY 200" in w for w in (*wires, shell.legs.wire("a")))
        told = [e.fact for _, e in shell.effects if isinstance(e, TellCall)]
        confirmed += any(isinstance(fact, PeerConfirming) for fact in told)
        held += any(isinstance(e, PlayTo) and e.items[0].kind == "hold" for _, e in shell.effects)
    assert crossed > 20
    assert joined > 200
    assert left > 100
    assert min(moved, held) > 20
    assert confirmed > 100
