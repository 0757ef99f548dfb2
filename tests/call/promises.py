"""What holds of every call, whatever happens in it: see `test_every_order`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cordboard.call.effects import (
    CallStateChanged,
    ConnectStateChanged,
    Effect,
    PlayTo,
    RecordStateChanged,
    Report,
    StartRecording,
    StopPlay,
    TellCall,
)
from cordboard.call.facts import (
    Bridged,
)


def is_terminal(effect: Effect) -> bool:
    if not isinstance(effect, Report):
        return False
    happening = effect.happening
    return isinstance(happening, CallStateChanged) and happening.state == "ended"


def bridged(effects: list[tuple[str, Effect]]) -> set[str]:
    return {e.call_id for _, e in effects if isinstance(e, TellCall) and isinstance(e.fact, Bridged)}


def check_connect_reports(effects: list[tuple[str, Effect]], calls: Iterable[str], about: object) -> None:
    for call_id in calls:
        happenings = [e.happening for c, e in effects if c == call_id and isinstance(e, Report)]
        states = [happening.state for happening in happenings if isinstance(happening, ConnectStateChanged)]
        assert not states or GOOD_CONNECT.fullmatch(" ".join(states)), about


GOOD_CONNECT = re.compile("connecting( failed|( connected)+ disconnected)")


def check_plays(effects: list[tuple[str, Effect]]) -> None:
    """Every ring that was started for a caller was stopped."""
    started = [e.control_id for _, e in effects if isinstance(e, PlayTo) and e.loop == 0]
    stopped = [e.control_id for _, e in effects if isinstance(e, StopPlay)]
    assert set(started) <= set(stopped)
    assert len(stopped) == len(set(stopped))


def check_recordings(effects: list[tuple[str, Effect]]) -> None:
    """Every recording has one last event."""
    started = [e.control_id for _, e in effects if isinstance(e, StartRecording)]
    happenings = [e.happening for _, e in effects if isinstance(e, Report)]
    recorded = [h for h in happenings if isinstance(h, RecordStateChanged)]
    over = [h.control_id for h in recorded if h.state in ("finished", "no_input", "error")]
    assert sorted(over) == sorted(started)
