"""Programs against real calls in virtual time: requests in, results and events out, as the SDKs need them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from cordboard.call.effects import CommandAnswered, Effect, Report
from cordboard.call.facts import Commanded, ControlTaken
from cordboard.relay.methods import read
from cordboard.relay.open_ends import BRIDGES, begun
from cordboard.relay.projection import Event, Projection
from cordboard.relay.requests import BeginRequest, CallCommand, DialRequest
from cordboard.testing.recording_legs import Caller, FarEnd, RecordingLegs
from cordboard.testing.virtual import VirtualShell, VirtualTime

ME = "client"
ANSWERS = FarEnd((0.1, 180), (1.0, 200))
HANGS_UP = FarEnd((0.1, 180), (1.0, 200), (5.0, "bye"))
AT_ONCE = FarEnd((0.1, 200), (0.2, "bye"))
BUSY = FarEnd((0.1, 486))
SILENT = FarEnd()
HELLO = [{"type": "tts", "params": {"text": "hello"}}]
PIN = {"play": HELLO, "collect": {"digits": {"max": 2}, "initial_timeout": 5}}


class Program(VirtualShell):
    """One client, and the calls that it makes and takes."""

    def __init__(self, **far_ends: FarEnd) -> None:
        time = VirtualTime()
        reachable = {f"sip:{name}@h": far_end for name, far_end in far_ends.items()}
        super().__init__(time, RecordingLegs(time, reachable))
        self.projection = Projection("node")
        self.events: list[Event] = []
        self.log: list[tuple[str, tuple[Any, ...]]] = []
        """What is said to `OpenEnds`: the method and its arguments."""
        self._tickets = itertools.count()
        self._asked: dict[str, CallCommand] = {}
        """By ticket."""

    def _do(self, call_id: str, effect: Effect) -> None:
        super()._do(call_id, effect)
        actor = self._actor(call_id)
        if isinstance(effect, CommandAnswered):
            self._answered(effect)
        if isinstance(effect, Report) and actor is not None and actor.info.owner == ME:
            for event in self.projection.events(actor.info, effect.happening, {}):
                self._tell(event)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self.log.append(("told", event))

    def _answered(self, answer: CommandAnswered) -> None:
        request = self._asked.pop(answer.ticket, None)
        about = begun(request) if request is not None and answer.code == "200" else None
        if request is not None and about is not None:
            self.log.append(("accepted", (request.method, request.call_id, about)))

    def take(self, caller: Caller | None = None) -> None:
        """A call comes in and is offered."""
        call = self.call_in(None, caller)
        self._tell(self.projection.offer(call.info, "office"))
        self.deliver("a", ControlTaken(owner=ME))

    def ask(self, method: str, **params: Any) -> None:
        """What a program sends."""
        request = read("calling." + method, params)
        if isinstance(request, DialRequest):
            self.dial(request.plan, owner=ME, tag=request.tag)
        elif isinstance(request, BeginRequest):
            self.projection.begun(request.tag)
            self.dial(request.plan, owner=ME, tag=request.tag, first_call_id="new")
        else:
            assert isinstance(request, CallCommand), request
            if request.method in BRIDGES:
                self.projection.asked(request.call_id)
            ticket = f"t{next(self._tickets)}"
            self._asked[ticket] = request
            self.deliver(request.call_id, Commanded(ticket=ticket, command=request.command))

    def later(self, seconds: float, method: str, **params: Any) -> None:
        self.time.at(seconds, lambda: self.ask(method, **params))

    def brief(self) -> list[str]:
        """Of states and connects: the name of the leg, the state, and a star where there is a tag."""
        self.time.run()
        return [short for short in (self._short(*event) for event in self.events) if short]

    def _short(self, event_type: str, params: dict[str, Any]) -> str:
        kind = event_type.removeprefix("calling.call.")
        if kind == "dial":
            return f"dial {params['dial_state']}"
        state = params.get("call_state") or params.get("connect_state") or params.get("state", "")
        star = "*" if "tag" in params and kind == "state" else ""
        what = "" if kind in ("state", "connect") else kind + " "
        return f"{self._name(params['call_id'])}{star} {what}{state}".strip()

    def _name(self, call_id: str) -> str:
        for to, dialled in self.legs.dialled.items():
            if dialled == call_id:
                return to.removeprefix("sip:").removesuffix("@h")
        return call_id

    def leg(self, name: str) -> str:
        return self.legs.dialled[f"sip:{name}@h"]


def devices(*groups: str) -> list[list[dict[str, Any]]]:
    """`b`, `c d`: a group each."""
    return [
        [{"type": "sip", "params": {"to": f"sip:{name}@h", "timeout": 10}} for name in group.split()]
        for group in groups
    ]


# ------------------------------------------------------------ dial


def test_a_dial_of_one_device() -> None:
    program = Program(b=HANGS_UP)
    program.ask("dial", tag="t", devices=devices("b"))
    assert program.brief() == [
        "dial dialing",
        "b* created",
        "b* ringing",
        "dial answered",
        "b* answered",
        "b* ending",
        "b* ended",
    ]
    assert len(program.projection) == 0


def test_a_dial_of_several_in_turn_and_at_once() -> None:
    program = Program(b=BUSY, c=HANGS_UP, d=SILENT)
    program.ask("dial", tag="t", devices=devices("b", "c d"))
    assert program.brief() == [
        "dial dialing",
        "b created",
        "b ending",
        "b ended",
        "c created",
        "d created",
        "c ringing",
        "c* answered",
        "dial answered",
        "c* ending",
        "c* ended",
        "d ending",
        "d ended",
    ]


@pytest.mark.parametrize(
    ("far_end", "reason"), [(BUSY, "busy"), (SILENT, "noAnswer"), (FarEnd((0.1, 603)), "decline")]
)
def test_a_dial_that_fails_ends_with_its_reason(far_end: FarEnd, reason: str) -> None:
    program = Program(b=far_end)
    program.ask("dial", tag="t", devices=devices("b"))
    assert program.brief()[-2:] == ["b* ended", "dial failed"]
    assert program.events[-1][1]["reason"] == program.events[-2][1]["end_reason"] == reason


def test_a_dial_of_what_cannot_be_dialled_fails_at_once() -> None:
    program = Program()
    program.ask("dial", tag="t", devices=[[{"type": "phone", "params": {"to_number": "+1busy"}}]])
    assert program.brief() == ["dial dialing", "dial failed"]


def test_a_far_end_that_hangs_up_at_once_was_still_dialled() -> None:
    program = Program(b=AT_ONCE)
    program.ask("dial", tag="t", devices=devices("b"))
    assert program.brief()[-4:] == ["dial answered", "b* answered", "b* ending", "b* ended"]


def test_a_begin_is_the_life_of_one_leg() -> None:
    program = Program(b=HANGS_UP)
    program.ask("begin", tag="t", device=devices("b")[0][0])
    assert program.brief() == ["b* created", "b* ringing", "b* answered", "b* ending", "b* ended"]
    assert program.events[0][1]["call_id"] == "new"


# ------------------------------------------------------------ connect


def test_the_documented_program() -> None:
    """Answer, connect, both hear something, the peer hangs up, the caller hears that and is hung up on."""
    program = Program(b=HANGS_UP)
    program.take()
    program.later(1.0, "answer", call_id="a")
    program.later(2.0, "connect", call_id="a", tag="t", devices=devices("b"))
    program.later(4.0, "play", call_id="a", control_id="1", play=HELLO)
    program.time.at(4.0, lambda: program.ask("play", call_id=program.leg("b"), control_id="2", play=HELLO))
    program.later(9.0, "play", call_id="a", control_id="3", play=HELLO)
    program.later(20.0, "end", call_id="a", reason="hangup")
    told = program.brief()
    assert told[:7] == [
        "a receive created",
        "a answered",
        "a connecting",
        "b* created",
        "b* ringing",
        "b* answered",
        "a connected",
    ]
    assert [one for one in told[7:] if "play" not in one] == [
        "b* ending",
        "b* ended",
        "a disconnected",
        "a ending",
        "a ended",
    ]
    for name, times in (("a", 2), ("b", 1)):
        played = [one for one in told if one.startswith(f"{name} play")]
        assert played == [f"{name} play playing", f"{name} play finished"] * times
    assert len(program.projection) == 0


def test_an_unanswered_caller_is_answered_with_the_winner() -> None:
    program = Program(b=HANGS_UP, c=SILENT)
    program.take()
    program.later(1.0, "connect", call_id="a", tag="t", devices=devices("b c"))
    program.later(30.0, "end", call_id="a")
    told = [one for one in program.brief() if one[0] in "ab"]
    assert told.index("b* answered") < told.index("a connected")
    assert {"a answered", "a disconnected"} <= set(told)
    assert told[-2:] == ["a ending", "a ended"]


def test_a_connect_that_fails_leaves_the_caller_there() -> None:
    program = Program(b=BUSY)
    program.take()
    program.later(1.0, "answer", call_id="a")
    program.later(2.0, "connect", call_id="a", tag="t", devices=devices("b"))
    program.later(9.0, "play", call_id="a", control_id="1", play=HELLO)
    program.later(20.0, "end", call_id="a")
    assert program.brief() == [
        "a receive created",
        "a answered",
        "a connecting",
        "b* created",
        "b* ending",
        "b* ended",
        "a failed",
        "a play playing",
        "a play finished",
        "a ending",
        "a ended",
    ]


def test_a_caller_who_hangs_up_hears_of_its_bridge_first_and_the_peer_lives_on() -> None:
    program = Program(b=ANSWERS)
    program.take(Caller(hangs_up_at=10.0))
    program.later(1.0, "answer", call_id="a")
    program.later(2.0, "connect", call_id="a", tag="t", devices=devices("b"))
    program.time.at(20.0, lambda: program.ask("end", call_id=program.leg("b")))
    told = program.brief()
    assert told[-5:] == ["a disconnected", "a ending", "a ended", "b* ending", "b* ended"]


def test_a_disconnect_leaves_both_there() -> None:
    program = Program(b=ANSWERS)
    program.take()
    program.later(1.0, "answer", call_id="a")
    program.later(2.0, "connect", call_id="a", tag="t", devices=devices("b"))
    program.later(5.0, "disconnect", call_id="a")
    program.later(20.0, "end", call_id="a")
    program.time.at(21.0, lambda: program.ask("end", call_id=program.leg("b")))
    told = program.brief()
    assert told[-5:] == ["a disconnected", "a ending", "a ended", "b* ending", "b* ended"]


# ------------------------------------------------------------ what goes on meanwhile


def test_a_prompt_tells_of_its_playing_and_ends_with_its_one_result() -> None:
    program = Program()
    program.take(Caller(does=((3.0, "press 1"), (3.5, "press 2"))))
    program.later(1.0, "answer", call_id="a")
    program.later(2.0, "play_and_collect", call_id="a", control_id="p", **PIN)
    program.later(20.0, "end", call_id="a")
    assert program.brief()[2:-2] == ["a play playing", "a play finished", "a collect finished"]
    collected = next(params for kind, params in program.events if kind == "calling.call.collect")
    assert collected["result"] == {"type": "digit", "params": {"digits": "12", "terminator": ""}}
    assert collected["final"] is True


def test_everything_that_goes_on_is_told_over_before_the_end() -> None:
    program = Program()
    program.take(Caller(hangs_up_at=5.0))
    program.later(1.0, "answer", call_id="a")
    program.later(
        3.9, "play", call_id="a", control_id="1", play=[{"type": "silence", "params": {"duration": 60}}]
    )
    program.later(2.0, "record", call_id="a", control_id="2", record={"audio": {}})
    program.later(2.0, "collect", call_id="a", control_id="3", initial_timeout=60, digits={"max": 9})
    program.later(2.0, "detect", call_id="a", control_id="4", detect={"type": "digit"})
    tap = {"tap": {"type": "audio"}, "device": {"type": "rtp", "params": {"addr": "127.0.0.1", "port": 9}}}
    program.later(2.0, "tap", call_id="a", control_id="5", **tap)
    told = program.brief()
    assert told[-2:] == ["a ending", "a ended"]
    kinds = {"play finished", "record finished", "collect finished", "tap finished"}
    assert {f"a {kind}" for kind in kinds} <= set(told)
    last = {params["control_id"]: params for _, params in program.events if "control_id" in params}
    assert last["3"]["result"] == {"type": "no_input"}
    assert last["4"]["detect"]["params"] == {"event": "finished"}
