"""What one call through a document came to: collected from its events and from the phones."""

from __future__ import annotations

import asyncio

from cordboard.call.actions import CallInfo, ScriptWarning
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Happening, ScriptWarned
from cordboard.call.reasons import Ending
from cordboard.cli.printing import printable
from cordboard.events.bodies import Body
from cordboard.testing.phone_report import PhoneReport

_MAX_LINE = 500


class Verdict:
    """A listener for the events of the call, and the place for the phones' measurements."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.caller: PhoneReport | None = None
        self._connects: list[tuple[str, Ending | None]] = []
        self._peers: list[str] = []
        self._warnings: list[str] = []
        self._legs: list[tuple[str, Ending]] = []
        self._script_failure: Ending | None = None
        self._audio: list[str] = []
        self._silent = False

    def happened(self, info: CallInfo, happening: Happening, body: Body) -> None:
        """An event of any call of the server."""
        if isinstance(happening, ConnectStateChanged):
            self._connect_changed(happening)
        elif isinstance(happening, ScriptWarned):
            self._warnings.append(_warned(happening.warning))
        elif isinstance(happening, CallStateChanged) and happening.ending is not None:
            self._ended(info, happening.ending)

    def _connect_changed(self, happening: ConnectStateChanged) -> None:
        if happening.state in ("connected", "failed"):
            self._connects.append((happening.state, happening.ending))
        if happening.state == "connected":
            self._peers.append(happening.peer_to)
            self.connected.set()

    def _ended(self, info: CallInfo, ending: Ending) -> None:
        if info.direction == "outbound":
            self._legs.append((info.to, ending))
        elif ending.cause in ("script_failed", "document_failed", "internal_error"):
            self._script_failure = ending

    def measure(self, caller: PhoneReport, far: list[PhoneReport]) -> None:
        """Both ends of a connected call, while it lasts."""
        names = [("caller", caller), *((report.local_uri or "far end", report) for report in far)]
        for name, report in names:
            self._audio.append(_heard(name, report))
            self._silent = self._silent or report.audio.frequency is None

    @property
    def good(self) -> bool:
        """The document ran, its last connect succeeded, and everybody who was measured heard something."""
        if self._script_failure is not None or self._silent:
            return False
        return not self._connects or self._connects[-1][0] == "connected"

    def lines(self) -> list[str]:
        """What happened, for a terminal: far ends have a say in the texts, but only in the texts."""
        return [printable(line, _MAX_LINE) for line in self._lines()]

    def _lines(self) -> list[str]:
        lines = [""]
        lines += [f"warning    {text}" for text in self._warnings]
        lines += [f"connected  {peer}" for peer in self._peers]
        lines += [f"audio      {text}" for text in self._audio]
        lines += [f"ended      {to}: {end.reason.value} ({end.sentence})" for to, end in self._legs]
        if self._connects and self._connects[-1][0] == "failed":
            end = self._connects[-1][1]
            lines.append(f"failed     {end.reason.value}: {end.sentence}" if end else "failed")
        if self._script_failure is not None:
            lines.append(f"failed     {self._script_failure.sentence}")
        if self.caller is not None:
            lines.append(f"caller     {_caller(self.caller)}")
        return [*lines, "result     " + ("the document did its job" if self.good else "the document failed")]


def _warned(warning: ScriptWarning) -> str:
    line = "" if warning.line is None else f"line {warning.line}: "
    return f"{line}{warning.message} [{warning.code}]"


def _heard(name: str, report: PhoneReport) -> str:
    audio = report.audio
    if audio.frequency is None or audio.level is None:
        return f"{name} heard nothing ({audio.packets_received} packets)"
    return (
        f"{name} heard {audio.frequency:.0f} Hz at {audio.level:.0f} dBov"
        f" ({audio.packets_received} packets, {audio.packets_lost} lost)"
    )


def _caller(report: PhoneReport) -> str:
    if report.answered_at is None:
        return f"was not answered: {report.status} {report.reason}".rstrip()
    waited = report.answered_at - report.begun_at
    return f"was answered after {waited:.2f} s, and the call ended by {report.cause.replace('_', ' ')}"
