"""Measuring audio through a whole server: phones that speak any codec, what is said, what is heard."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Callable
from typing import Any

from cordboard.media.tones import SILENT_FRAME, level, tone
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_hearing import Timeline, longest_gap_ms

from .cases import Behaviour, Case

CODECS = ("PCMU", "PCMA", "G722", "OPUS", "L16")
TONE_HZ = 1000.0
_BURSTS = 4
_TRIES = 3
_BURST = tone((TONE_HZ,), 120)
SCORE = SILENT_FRAME * 10 + (_BURST + SILENT_FRAME * 6) * _BURSTS + tone((TONE_HZ,), 700) + SILENT_FRAME * 4
_SECONDS = len(SCORE) / 16_000


def speaks(*codecs: str, **fields: Any) -> Behaviour:
    """A phone that is silent until it is told what to say."""
    return Behaviour(**{"tone_hz": None, "codecs": codecs, "record": True, **fields})


async def between(
    case: Case, ours: Behaviour, theirs: Behaviour, *, wish: str = "", **connect: Any
) -> tuple[PhoneCall, PhoneCall]:
    """Both ends of a call through the server; `wish` is the destination's `codecs`."""
    properties = {
        "to": case.phone("b", theirs),
        "codecs": wish or ",".join(theirs.codecs),
        "answer_on_bridge": True,
        **connect,
    }
    caller = await case.call({"connect": properties}, behaviour=ours)
    assert await caller.answered(), caller.report
    callee = await case.incoming("b")
    assert await callee.answered()
    return caller, callee


def heard(call: PhoneCall) -> Timeline:
    """What a recorded call heard."""
    assert call.audio.heard is not None
    return call.audio.heard


class UnmeasurableError(AssertionError):
    """Not all bursts could be told apart at both ends."""


class Measured:
    """One direction, of `SCORE`."""

    def __init__(self, mouth: PhoneCall, ear: PhoneCall, began: float) -> None:
        assert mouth.audio.said is not None
        spoken, came = mouth.audio.said.onsets(began), heard(ear).onsets(began)
        if not len(spoken) == len(came) == _BURSTS + 1:
            raise UnmeasurableError(spoken, came)
        self.delay = statistics.median(there - here for here, there in zip(spoken, came, strict=True))
        steady = _from_onset(heard(ear).pcm(came[-1] - 0.001))[1600:9600]
        self.gap_ms = longest_gap_ms(steady)
        self.level = level(steady)


def _from_onset(pcm: bytes) -> bytes:
    for at in range(0, len(pcm) - 160, 160):
        if level(pcm[at : at + 160]) > -24.0:
            return pcm[at:]
    raise AssertionError("nothing was heard")


async def measure(a: PhoneCall, b: PhoneCall) -> tuple[Measured, Measured]:
    """What b hears of a, and a of b; again where a busy machine has torn a burst apart."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(UnmeasurableError):
            return await _measure(a, b)
    return await _measure(a, b)


async def comes_right(problem: Callable[[], str], within: float = 10.0) -> None:
    """Wait until there is no problem any more: what a busy machine was late with passes, a defect stays."""
    deadline = asyncio.get_running_loop().time() + within
    while found := problem():
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.1)


async def _measure(a: PhoneCall, b: PhoneCall) -> tuple[Measured, Measured]:
    await asyncio.sleep(0.15)
    began = asyncio.get_running_loop().time()
    a.audio.play(SCORE)
    b.audio.play(SCORE)
    await asyncio.sleep(_SECONDS + 0.2)
    return Measured(a, b, began), Measured(b, a, began)
