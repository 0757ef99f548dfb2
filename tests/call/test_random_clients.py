"""Thousands of seeded calls that clients command at random, while far ends do what they like.

Commands, transfers, holds, lost clients and given scripts fall on a coarse grid of times, so that they often
happen in the same instant, in an order that the seed decides.  What must hold is in `client_promises`.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cordboard.call.actions import (
    Answer,
    Collect,
    Connect,
    Denoise,
    Detect,
    DigitInput,
    Hangup,
    Hold,
    Play,
    PlayItem,
    Prompt,
    Record,
    Recording,
    Refer,
    SendDigits,
    Sleep,
    Tap,
    TapTarget,
)
from cordboard.call.commands import (
    Command,
    Disconnect,
    PauseOperation,
    ResumeOperation,
    SetVolume,
    StartInputTimers,
    StopOperation,
)
from cordboard.call.effects import CallStateChanged, DialStateChanged, RecordStateChanged, TellCall
from cordboard.call.facts import (
    Commanded,
    ControlLost,
    ControlTaken,
    DisconnectRequested,
    DriverGiven,
    Fact,
    HangupRequested,
    PeerEnded,
    TransferProgress,
    Unbridged,
)
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.reasons import ending
from cordboard.testing.recording_legs import CallingLeg, DialledLeg
from cordboard.testing.virtual import (
    Caller,
    ListDriver,
    RecordingLegs,
    VirtualShell,
    VirtualTime,
)

from .client_promises import (
    check_answer_before_reports,
    check_answers,
    check_connects,
    check_dials,
    check_last_reports,
    check_recordings_of_clients,
)
from .promises import is_terminal
from .test_random_calls import TIMES, check_caller, check_leg, far_end_by_chance

RUNS = 6_000
OWNER = "client"
GONE = ending("client_gone", who="the far end")
KINDS = ("play", "record", "play_and_collect", "collect", "detect", "tap", "send_digits")
SILENCE = (PlayItem(kind="silence", duration=2.0),)


class Scene:
    """One seed: who calls, who is dialled, and what is asked when."""

    def __init__(self, seed: int) -> None:
        self.choose = choose = random.Random(seed)
        time = VirtualTime(choose.random)
        self.names = [f"b{number}" for number in range(1, choose.randint(1, 4) + 1)]
        far_ends = {name: far_end_by_chance(choose, self.names) for name in self.names}
        legs = RecordingLegs(time, far_ends, round_trip=choose.choice((0.0, 0.02, 1.0)))
        self.shell = VirtualShell(time, legs)
        self.asked: list[tuple[str, Commanded]] = []
        self._controls = 0
        self.bridged_when_given = False
        self.most_at_once = 0

    def run(self) -> Scene:
        choose, time = self.choose, self.shell.time
        if choose.random() < 0.7:
            hangs_up = choose.choice((*TIMES, 60.0)) if choose.random() < 0.4 else None
            self.shell.offer(OWNER, Caller(hangs_up_at=hangs_up, does=self._deeds()))
        if choose.random() < 0.6 or not self.shell.calls:
            self._dial()
        if choose.random() < 0.7:
            time.at(0.0, lambda: self._ask("a", Answer()))
        for _ in range(choose.randint(5, 20)):
            time.at(choose.choice(TIMES) + choose.choice((0.0, 0.0, 2.0)), self._something)
        time.at(300.0, lambda: self._to_all(ControlLost(ending=GONE)))
        time.run(40_000.0)
        return self

    def _deeds(self) -> tuple[tuple[float, str], ...]:
        words = ("hold", "resume", "press 1", f"refer {self.names[0]}")
        if self.choose.random() < 0.6:
            return ()
        return tuple((self.choose.choice(TIMES), self.choose.choice(words)) for _ in range(2))

    def _plan(self) -> ConnectPlan:
        choose = self.choose
        names = choose.sample(self.names, choose.randint(1, len(self.names)))
        limit = choose.choice((None, None, 4.0))
        made = [
            Destination(kind="sip", to=name, timeout=choose.choice((1.0, 3.0, 8.0)), max_duration=limit)
            for name in names
        ]
        groups = (tuple(made),) if choose.random() < 0.5 else tuple((one,) for one in made)
        return ConnectPlan(groups=groups, max_duration=choose.choice((3.0, 14_400.0)))

    def _dial(self) -> None:
        driver = (
            ListDriver([Sleep(seconds=self.choose.choice(TIMES))]) if self.choose.random() < 0.2 else None
        )
        owner = OWNER if self.choose.random() < 0.8 else None
        first = "first" if self.choose.random() < 0.5 else None
        self.shell.dial(self._plan(), owner=owner, driver=driver, first_call_id=first)

    # ---------------------------------------- what is asked

    def _something(self) -> None:
        """To one of the calls: a command mostly."""
        calls = self.shell.open_calls()
        if not calls:
            return
        call_id, chance = self.choose.choice(calls), self.choose.random()
        if chance < 0.85 and call_id in self.shell.calls:
            self._ask(call_id, self._command())
            self.most_at_once = max(self.most_at_once, len(self.shell.media.running()))
        else:
            self._deliver(call_id, self._fact())

    def _deliver(self, actor_id: str, fact: Fact) -> None:
        call = self.shell.calls.get(actor_id)
        bridged = call is not None and call.info.peer_call_id is not None
        self.bridged_when_given |= bridged and isinstance(fact, DriverGiven)
        self.shell.deliver(actor_id, fact)

    def _ask(self, call_id: str, command: Command) -> None:
        if call_id in self.shell.open_calls():
            fact = Commanded(ticket=f"t{len(self.asked)}", command=command)
            self.asked.append((call_id, fact))
            self.shell.deliver(call_id, fact)

    def _to_all(self, fact: Fact) -> None:
        for actor in self.shell.open_calls():
            self.shell.deliver(actor, fact)

    def _fact(self) -> Fact:
        made: tuple[Callable[[], Fact], ...] = (
            lambda: ControlLost(ending=GONE),
            lambda: ControlTaken(owner=OWNER),
            lambda: HangupRequested(ending=ending("server_stopping")),
            lambda: DriverGiven(driver=ListDriver(self._script())),
        )
        return self.choose.choice(made)()

    def _script(self) -> list[Any]:
        steps: list[Any] = [
            Play(items=SILENCE),
            Sleep(seconds=1.0),
            Connect(plan=self._plan()),
            Record(recording=Recording(max_length=2.0)),
        ]
        return self.choose.sample(steps, self.choose.randint(0, 3))

    def _command(self) -> Command:
        choose = self.choose
        if choose.random() < 0.45:
            made: list[Command] = [
                *[Connect(plan=self._plan()) for _ in range(5)],
                *[Disconnect() for _ in range(5)],
                Answer(),
                Hangup(reason=choose.choice((None, "busy", "noAnswer", "cancel", "what"))),
            ]
            return choose.choice(made)
        return self._steering() if choose.random() < 0.4 else self._operation()

    def _operation(self) -> Command:
        self._controls += self.choose.random() < 0.9
        control_id = f"c{self._controls}"
        url = self.choose.choice(("http://h/a", "http://h/missing"))
        made: tuple[Command, ...] = (
            Play(items=(PlayItem(kind="audio", url=url),), control_id=control_id),
            Play(items=SILENCE, loop=0, control_id=control_id),
            Prompt(items=SILENCE, digits=DigitInput(), control_id=control_id, play_events=True),
            Collect(control_id=control_id, digits=DigitInput(), continuous=True),
            Collect(control_id=control_id, digits=DigitInput(), start_input_timers=False),
            Detect(control_id=control_id, kind=self.choose.choice(("digit", "machine")), timeout=3.0),
            Record(recording=Recording(max_length=self.choose.choice((0.0, 2.0))), control_id=control_id),
            Tap(
                target=TapTarget(uri=self.choose.choice(("rtp://h:1", "rtp://missing"))),
                control_id=control_id,
            ),
            SendDigits(digits="12", control_id=control_id),
            Refer(to="sip:c@h"),
            Hold(on=self.choose.random() < 0.6),
            Denoise(on=True),
            Sleep(seconds=1.0),
        )
        return self.choose.choice(made)

    def _steering(self) -> Command:
        control_id = f"c{self.choose.randint(0, self._controls + 1)}"
        kind = self.choose.choice(KINDS)
        made: tuple[Command, ...] = (
            StopOperation(control_id=control_id, kind=kind),
            PauseOperation(control_id=control_id, kind=kind),
            ResumeOperation(control_id=control_id, kind=kind),
            SetVolume(control_id=control_id, kind=kind, volume=3.0),
            StartInputTimers(control_id=control_id),
        )
        return self.choose.choice(made)


def _check(scene: Scene) -> None:
    shell = scene.shell
    assert shell.open_calls() == []
    assert shell.joined == set()
    assert shell.media.running() == []
    assert sorted(t.call_id for t in shell.reports if is_terminal(t.report)) == sorted(shell.calls)
    for call_id, leg in shell.legs.legs.items():
        if isinstance(leg, DialledLeg):
            check_leg(leg, shell.legs.wire(call_id))
        else:
            assert isinstance(leg, CallingLeg)
            check_caller(shell.legs.wire(call_id))
    check_answers(shell, scene.asked)
    check_answer_before_reports(shell)
    check_last_reports(shell)
    check_connects(shell, scene.asked)
    check_dials(shell)
    check_recordings_of_clients(shell, scene.asked)


@pytest.mark.parametrize("first", range(0, RUNS, 1000))
def test_a_thousand_random_clients_find_the_promises_kept(first: int) -> None:
    for seed in range(first, first + 1000):
        try:
            _check(Scene(seed).run())
        except Exception as problem:
            problem.add_note(f"seed {seed}")
            raise


def test_the_random_clients_reach_the_races_that_matter() -> None:
    seen: Counter[str] = Counter()
    for seed in range(2000):
        scene = Scene(seed).run()
        seen.update(_races(scene))
    assert min(seen[race] for race in RACES) > 8, {race: seen[race] for race in RACES}


RACES = (
    "a connect was left and both stayed",
    "a follower asked to leave",
    "a command came after the end",
    "a second connect was refused",
    "the same id twice",
    "a client was lost while it dialled",
    "a script took a bridged call over",
    "a script took a ringing call over",
    "a dial was won against others",
    "a dial failed",
    "a transfer of a client's call",
    "the last report waited for a recording",
    "several operations at once",
)


def _races(scene: Scene) -> Iterator[str]:
    shell = scene.shell
    said = [answer.message for _, answer in shell.answers]
    facts = [(to, e.fact) for to, e in shell.effects if isinstance(e, TellCall)]
    if any(isinstance(f, Unbridged) and f.ending.cause == "disconnected" for _, f in facts):
        yield "a connect was left and both stayed"
    if any(isinstance(f, DisconnectRequested) for _, f in facts):
        yield "a follower asked to leave"
    if any(word.startswith("The call is ending") for word in said):
        yield "a command came after the end"
    if any(word.startswith(("The call is connected", "A connect of")) for word in said):
        yield "a second connect was refused"
    if any(word.endswith("already under way on this call.") for word in said):
        yield "the same id twice"
    if any(isinstance(f, PeerEnded) and f.ending.cause == "transferred" for _, f in facts):
        yield "a script took a ringing call over"
    if any(isinstance(f, TransferProgress) and f.status == 200 for _, f in facts):
        yield "a transfer of a client's call"
    yield from _races_of_reports(scene)


def _races_of_reports(scene: Scene) -> Iterator[str]:
    happenings = [told.report.happening for told in scene.shell.reports]
    dials = [h for h in happenings if isinstance(h, DialStateChanged)]
    if any(h.dial_winner for h in dials):
        yield "a dial was won against others"
    if any(h.ending is not None and h.ending.cause == "client_gone" for h in dials):
        yield "a client was lost while it dialled"
    if any(h.state == "failed" for h in dials):
        yield "a dial failed"
    if scene.bridged_when_given:
        yield "a script took a bridged call over"
    for before, after in itertools.pairwise(happenings):
        if isinstance(before, RecordStateChanged) and isinstance(after, CallStateChanged):
            yield "the last report waited for a recording"
            break
    if scene.most_at_once > 2:
        yield "several operations at once"
