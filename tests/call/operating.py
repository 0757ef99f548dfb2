"""One operation of a client in virtual time: what goes in, what comes out."""

from __future__ import annotations

import itertools
from typing import Any

from cordboard.call.background import Background
from cordboard.call.effects import (
    CollectStateChanged,
    DetectStateChanged,
    Effect,
    HoldStateChanged,
    PlayStateChanged,
    RecordStateChanged,
    ReferStateChanged,
    Report,
    SendDigitsStateChanged,
    TapStateChanged,
)
from cordboard.call.facts import DigitReceived, Fact
from cordboard.call.leg import Leg
from cordboard.call.reasons import ending
from cordboard.call.running import Operation
from cordboard.call.workshop import Workshop
from cordboard.testing.virtual import caller_info

GONE = ending("hangup_peer", who="+1")


def workshop(state: str = "answered", *, direction: str = "inbound") -> Workshop:
    """Of a call in this state."""
    info = caller_info("a")
    info.call_state, info.direction = state, direction
    ids = itertools.count(1)
    return Workshop(info, Leg(info), Background(), lambda: f"id{next(ids)}")


def operation(action: Any, state: str = "answered", *, direction: str = "inbound") -> Operation:
    """Of a client, not started."""
    return workshop(state, direction=direction).operation(action)


def key(digit: str) -> DigitReceived:
    return DigitReceived(digit=digit, duration_ms=100)


class Bench:
    """A started operation; time goes on with each input, and what was due before is done before."""

    def __init__(self, machine: Operation, now: float = 0.0) -> None:
        self.machine = machine
        self.now = now
        self.effects: list[tuple[float, Effect]] = []
        self._keep(machine.start(now))

    def at(self, now: float, *facts: Fact) -> Bench:
        """Let time pass, then these happen."""
        self._pass(now)
        for fact in facts:
            self._keep(self.machine.handle(fact, now))
        return self

    def keys(self, *pressed: tuple[float, str]) -> Bench:
        for when, digit in pressed:
            self.at(when, key(digit))
        return self

    def steer(self, now: float, what: str, **more: Any) -> bool:
        """Whether the machine accepts that."""
        self._pass(now)
        effects = (
            self.machine.set_volume(**more)
            if what == "set_volume"
            else getattr(self.machine, what)(now, **more)
        )
        self._keep(effects or [])
        return effects is not None

    def abandon(self, now: float) -> Bench:
        self._pass(now)
        self._keep(self.machine.abandon(GONE, now))
        return self

    def commands(self) -> list[str]:
        """Names of what the shell has to do."""
        return [type(e).__name__ for _, e in self.effects if not isinstance(e, Report)]

    def told(self) -> list[str]:
        """The reports, each in a word or two."""
        return [_word(e.happening) for _, e in self.effects if isinstance(e, Report)]

    def timed(self) -> list[tuple[float, str]]:
        """The reports and when they were made."""
        return [(round(at, 3), _word(e.happening)) for at, e in self.effects if isinstance(e, Report)]

    def _pass(self, now: float) -> None:
        for _ in range(1_000):
            due = self.machine.next_timeout()
            if due is None or due > now:
                self.now = now
                return
            self._keep(self.machine.handle_timeout(due), max(due, self.now))
        raise AssertionError("its timer never ends")

    def _keep(self, effects: list[Effect], at: float | None = None) -> None:
        self.effects += [(self.now if at is None else at, effect) for effect in effects]


def _word(happening: Any) -> str:
    if isinstance(happening, CollectStateChanged):
        return _collected(happening)
    if isinstance(happening, DetectStateChanged):
        return happening.event + (" beep" if happening.beep else "")
    if isinstance(happening, ReferStateChanged):
        cause = f" {happening.ending.cause}" if happening.ending is not None else ""
        return f"{happening.state} {happening.refer_code} {happening.notify_code}{cause}"
    states = (
        PlayStateChanged,
        RecordStateChanged,
        TapStateChanged,
        SendDigitsStateChanged,
        HoldStateChanged,
    )
    assert isinstance(happening, states)
    return happening.state


def _collected(happening: CollectStateChanged) -> str:
    words = [happening.type]
    if "digits" in happening.params:
        words.append(happening.params["digits"] + happening.params["terminator"])
    if not happening.final:
        words.append("partial")
    elif happening.goes_on:
        words.append("goes on")
    return " ".join(words)
