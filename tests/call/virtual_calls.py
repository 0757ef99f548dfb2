"""Calls in virtual time, and what can be asked about them afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cordboard.call.actions import Answer, Connect, ConnectDone
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Dial
from cordboard.call.plan import Confirm, ConnectPlan, Destination
from cordboard.testing.virtual import FarEnd, ListDriver, VirtualShell, run_call

ALL_STATES = frozenset({"created", "ringing", "answered", "ended"})
RINGS_FOR_EVER = FarEnd((0.1, 180))
ANSWERS = FarEnd((0.1, 180), (1.0, 200), (10.0, "bye"))
BUSY = FarEnd((0.1, 486))


def b(name: str, **more: Any) -> Destination:
    return Destination(kind="sip", to=name, **more)


def connect(*groups: Iterable[Destination], **more: Any) -> Connect:
    return Connect(plan=ConnectPlan(groups=tuple(tuple(group) for group in groups), **more))


def answered(*steps: Any, far_ends: dict[str, FarEnd], **more: Any) -> VirtualShell:
    return run_call([Answer(), *steps], far_ends, **more)


def results(shell: VirtualShell) -> list[ConnectDone]:
    driver = shell.drivers["a"]
    assert isinstance(driver, ListDriver)
    return [result for result in driver.results if isinstance(result, ConnectDone)]


def outcome(shell: VirtualShell) -> tuple[bool, str | None]:
    (result,) = results(shell)
    return result.connected, result.failed_reason


def dialled(shell: VirtualShell) -> dict[str, float]:
    """When each destination was dialled, in the order of dialling."""
    calls = {e.call_id: e.destination.to for _, e in shell.effects if isinstance(e, Dial)}
    times = {seen.call_id: seen.at for seen in shell.legs.seen if seen.what == "> INVITE"}
    return {calls[call_id]: round(at, 3) for call_id, at in times.items()}


def leg_of(shell: VirtualShell, to: str) -> str:
    return next(e.call_id for _, e in shell.effects if isinstance(e, Dial) and e.destination.to == to)


def wire(shell: VirtualShell, to: str) -> list[str]:
    return shell.legs.wire(leg_of(shell, to))


def at(shell: VirtualShell, to: str, what: str) -> float:
    call_id = leg_of(shell, to)
    return next(seen.at for seen in shell.legs.seen if seen.call_id == call_id and seen.what == what)


def ended(shell: VirtualShell, call_id: str) -> str:
    for told in shell.reports:
        happening = told.report.happening
        if told.call_id == call_id and isinstance(happening, CallStateChanged) and happening.ending:
            return happening.ending.reason.value
    raise AssertionError("never ended")


def connect_reports(shell: VirtualShell) -> list[ConnectStateChanged]:
    happenings = [told.report.happening for told in shell.reports if told.call_id == "a"]
    return [happening for happening in happenings if isinstance(happening, ConnectStateChanged)]


def confirmed(*steps: Any, timeout: float = 60.0) -> Confirm:
    return Confirm(document=list(steps), timeout=timeout)


def ending_of(shell: VirtualShell, call_id: str) -> str:
    """The cause of a call's end."""
    for told in shell.reports:
        happening = told.report.happening
        if told.call_id == call_id and isinstance(happening, CallStateChanged) and happening.ending:
            return happening.ending.cause
    raise AssertionError("never ended")


def when(shell: VirtualShell, call_id: str, what: str) -> float:
    """When a message was on the wire of a call."""
    return next(seen.at for seen in shell.legs.seen if seen.call_id == call_id and seen.what == what)


def nothing_is_left(shell: VirtualShell) -> None:
    assert shell.open_calls() == []
    assert shell.joined == set()
    assert shell.media.running() == []
