"""The verdict on one call: good only when the document ran, connected, and both ends heard something."""

from __future__ import annotations

import math
import struct

import pytest

from cordboard.call.actions import CallInfo, ScriptWarning
from cordboard.call.effects import CallStateChanged, ConnectStateChanged, Happening, ScriptWarned
from cordboard.call.reasons import ending, ending_of_status
from cordboard.cli.verdict import Verdict
from cordboard.testing.phone_audio import AudioReport
from cordboard.testing.phone_report import PhoneReport


def info(direction: str = "inbound") -> CallInfo:
    return CallInfo(
        call_id="c",
        node_id="n",
        segment_id="g",
        project_id="p",
        space_id="s",
        session_id="e",
        call_state="ended",
        direction=direction,
        type="sip",
        from_="sip:a@h",
        to="sip:b@h",
    )


def verdict_of(*happenings: Happening, direction: str = "inbound") -> Verdict:
    verdict = Verdict()
    for happening in happenings:
        verdict.happened(info(direction), happening, {})
    return verdict


TONE = struct.pack("<800h", *(int(9_000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(800)))
CONNECTED = ConnectStateChanged(state="connected", peer_to="sip:b@h")
FAILED = ConnectStateChanged(state="failed", ending=ending_of_status(486, "Busy Here", who="sip:b@h"))


async def test_a_document_without_a_connect_is_good_when_it_ran() -> None:
    assert verdict_of().good


async def test_the_last_connect_decides() -> None:
    assert verdict_of(FAILED, CONNECTED).good
    assert not verdict_of(CONNECTED, FAILED).good
    assert "failed     busy: sip:b@h is busy (486 Busy Here)" in "\n".join(verdict_of(FAILED).lines())


@pytest.mark.parametrize("cause", ["script_failed", "document_failed", "internal_error"])
async def test_a_document_that_could_not_run_is_bad_although_it_connected(cause: str) -> None:
    end = CallStateChanged(state="ended", ending=ending(cause, detail="line 3"))
    verdict = verdict_of(CONNECTED, end)
    assert not verdict.good
    assert verdict.lines()[-1] == "result     the document failed"


async def test_the_end_of_a_dialled_call_is_shown_and_does_not_judge() -> None:
    end = CallStateChanged(state="ended", ending=ending_of_status(486, "Busy", who="sip:b@h"))
    verdict = verdict_of(CONNECTED, end, direction="outbound")
    assert verdict.good
    assert any(line.startswith("ended      sip:b@h: busy") for line in verdict.lines())


async def test_silence_at_one_end_is_bad() -> None:
    hears = PhoneReport(direction="out", begun_at=0.0)
    hears.audio = AudioReport(packets_received=50, last_heard=TONE)
    deaf = PhoneReport(direction="in", begun_at=0.0)
    verdict = verdict_of(CONNECTED)
    verdict.measure(hears, [hears])
    assert verdict.good
    verdict.measure(hears, [deaf])
    assert not verdict.good
    assert any("heard nothing" in line for line in verdict.lines())


async def test_warnings_are_shown() -> None:
    warned = ScriptWarned(warning=ScriptWarning(code="relay_script_x", message="mind this"))
    assert "warning    mind this [relay_script_x]" in verdict_of(warned).lines()


async def test_a_warning_names_its_line() -> None:
    warned = ScriptWarned(warning=ScriptWarning(code="relay_script_x", message="mind this", line=7))
    assert "warning    line 7: mind this [relay_script_x]" in verdict_of(warned).lines()


async def test_what_a_far_end_says_cannot_steer_the_terminal() -> None:
    end = ending_of_status(486, "\x1b[2J\x9b\r\nresult     all is well", who="sip:\x1bb@h")
    lines = verdict_of(ConnectStateChanged(state="failed", ending=end)).lines()
    assert all(line.isprintable() for line in lines)
    assert "result     all is well" not in lines


async def test_how_the_caller_fared_is_told() -> None:
    verdict = verdict_of()
    verdict.caller = PhoneReport(direction="out", begun_at=1.0)
    verdict.caller.status, verdict.caller.reason = 486, "Busy Here"
    assert "caller     was not answered: 486 Busy Here" in verdict.lines()
    verdict.caller.answered_at = 2.5
    assert any("was answered after 1.50 s" in line for line in verdict.lines())
