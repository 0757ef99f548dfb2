"""What holds of every call that clients command, whatever they ask and whatever happens."""

from __future__ import annotations

import re

from cordboard.call.actions import Record
from cordboard.call.commands import Disconnect
from cordboard.call.effects import (
    CallOver,
    CommandAnswered,
    ConnectStateChanged,
    DialStateChanged,
    RecordStateChanged,
    Report,
    StartRecording,
    TellCall,
)
from cordboard.call.facts import Commanded
from cordboard.testing.virtual import VirtualShell

from .promises import is_terminal

LAST = ("finished", "no_input", "error")

GOOD_CONNECTS = re.compile("(connecting (failed|(connected )+disconnected) )*")
"""One after the other, each of them as the promises say."""


def check_answers(shell: VirtualShell, asked: list[tuple[str, Commanded]]) -> None:
    """Each command that found its call has one answer, and a refusal says why."""
    assert sorted(answer.ticket for _, answer in shell.answers) == sorted(fact.ticket for _, fact in asked)
    for _, answer in shell.answers:
        assert answer.code in ("200", "400", "404", "409", "501")
        assert answer.code == "200" or answer.message.endswith(".")


def check_last_reports(shell: VirtualShell) -> None:
    """Nothing is told of a client's call after its `ended`, nothing at all is done after any call's end."""
    ended: set[str] = set()
    over: set[str] = set()
    for call_id, effect in shell.effects:
        assert call_id not in over
        if call_id in ended and shell.calls[call_id].info.owner is not None:
            assert not isinstance(effect, Report)
        if is_terminal(effect):
            ended.add(call_id)
        elif isinstance(effect, CallOver):
            over.add(call_id)


def check_connects(shell: VirtualShell, asked: list[tuple[str, Commanded]]) -> None:
    """Those that a call leads are in order; of others it is told only if it has asked to leave."""
    good = {answer.ticket for _, answer in shell.answers if answer.code == "200"}
    for call_id in shell.calls:
        leaving = sum(
            isinstance(fact.command, Disconnect) and fact.ticket in good and to == call_id
            for to, fact in asked
        )
        states, alone = _without_followed(shell, call_id)
        assert GOOD_CONNECTS.fullmatch(states), (call_id, states)
        assert alone <= leaving, call_id


def _without_followed(shell: VirtualShell, call_id: str) -> tuple[str, int]:
    """The states of the connects that a call leads, and how often it has left a bridge that it did not."""
    states, alone, leads = "", 0, False
    for told in shell.reports:
        happening = told.report.happening
        if told.call_id != call_id or not isinstance(happening, ConnectStateChanged):
            continue
        leads = leads or happening.state == "connecting"
        if leads:
            states += happening.state + " "
        else:
            assert happening.state == "disconnected"
            alone += 1
        leads = leads and happening.state not in ("failed", "disconnected")
    return states, alone


def check_dials(shell: VirtualShell) -> None:
    """`dialing`, then one outcome; a dial that was answered has let its winner go, and only that."""
    for dial_id, dial in shell.dials.items():
        happenings = [t.report.happening for t in shell.reports if t.call_id == dial_id]
        assert all(isinstance(happening, DialStateChanged) for happening in happenings)
        assert shell.told(dial_id) in (["dialing", "answered"], ["dialing", "failed"])
        assert dial.is_over
        won = [
            e.call_id
            for c, e in shell.effects
            if c == dial_id and isinstance(e, TellCall) and type(e.fact).__name__ == "DialWon"
        ]
        named = [h.call_id for h in happenings if isinstance(h, DialStateChanged) and h.state == "answered"]
        assert won == named


def check_recordings_of_clients(shell: VirtualShell, asked: list[tuple[str, Commanded]]) -> None:
    """A recording that was accepted has one last event, any other has none."""
    good = {answer.ticket for _, answer in shell.answers if answer.code == "200"}
    records = [fact for _, fact in asked if isinstance(fact.command, Record) and fact.ticket in good]
    scripts = [e for _, e in shell.effects if isinstance(e, StartRecording) and e.control_id.startswith("id")]
    happenings = [told.report.happening for told in shell.reports]
    over = [h for h in happenings if isinstance(h, RecordStateChanged) and h.state in LAST]
    assert len(over) == len(records) + len(scripts)


def check_answer_before_reports(shell: VirtualShell) -> None:
    """A client hears of an operation only after it was told that it has begun."""
    told: set[tuple[str, str]] = set()
    for call_id, effect in shell.effects:
        if isinstance(effect, CommandAnswered) and effect.control_id is not None and effect.code == "200":
            told.add((call_id, effect.control_id))
        elif isinstance(effect, Report):
            control_id = getattr(effect.happening, "control_id", None)
            assert control_id is None or control_id.startswith("id") or (call_id, control_id) in told
