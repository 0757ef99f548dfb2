"""`calling.play_and_collect` and `calling.collect` (relay-protocol.md 8.4, 8.5)."""

from __future__ import annotations

import re

from cordboard.call.actions import Collect, DigitInput, Prompt, SpeechInput
from cordboard.call.commands import Command, StartInputTimers
from cordboard.call.limits import MAX_INPUT_SECONDS
from cordboard.relay.media_items import play_items
from cordboard.relay.methods.method import Reader, on_operation
from cordboard.relay.methods.steering import gain, stop, volume
from cordboard.relay.params import Params

DEFAULT_TIMEOUT = 5.0
"""Seconds until the first key, and between two."""
_MOST_DIGITS = 256
_MOST_HINTS = 100
_TERMINATORS = re.compile(r"[0-9*#A-Da-d]{0,16}")


def _play_and_collect(given: Params, control_id: str) -> Command:
    collect = given.needed("collect")
    digits, speech = _inputs(collect)
    return Prompt(
        control_id=control_id,
        items=play_items(given),
        volume=gain(given),
        digits=digits,
        speech=speech,
        partial_results=collect.flag("partial_results", False),
        play_events=True,
        status_url=given.url("status_url"),
    )


def _collect(given: Params, control_id: str) -> Command:
    digits, speech = _inputs(given)
    return Collect(
        control_id=control_id,
        digits=digits,
        speech=speech,
        partial_results=given.flag("partial_results", False),
        continuous=given.flag("continuous", False),
        send_start_of_input=given.flag("send_start_of_input", False),
        start_input_timers=given.flag("start_input_timers", True),
        status_url=given.url("status_url"),
    )


def _inputs(given: Params) -> tuple[DigitInput | None, SpeechInput | None]:
    """What counts as input: keys, speech, or whichever comes first."""
    initial = given.number("initial_timeout", 0, MAX_INPUT_SECONDS)
    digits, speech = given.within("digits"), given.within("speech")
    if digits is None and speech is None:
        here = f"`{given.place('digits')}` or `{given.place('speech')}`"
        raise given.error(f"one of {here} is required: what is to be collected.")
    return (
        _digits(digits, DEFAULT_TIMEOUT if initial is None else initial) if digits is not None else None,
        _speech(speech) if speech is not None else None,
    )


def _digits(given: Params, initial_timeout: float) -> DigitInput:
    between = given.number("digit_timeout", 0, MAX_INPUT_SECONDS)
    terminators = given.matching("terminators", _TERMINATORS, "keys, such as `#*`") or ""
    return DigitInput(
        max_digits=given.whole("max", 1, _MOST_DIGITS) or 1,
        terminators=terminators.upper(),
        digit_timeout=DEFAULT_TIMEOUT if between is None else between,
        initial_timeout=initial_timeout,
    )


def _speech(given: Params) -> SpeechInput:
    return SpeechInput(
        timeout=given.number("speech_timeout", 0, MAX_INPUT_SECONDS),
        end_timeout=given.number("end_silence_timeout", 0, MAX_INPUT_SECONDS),
        language=given.text("language", longest=64) or "en-US",
        hints=_hints(given),
        engine=given.text("model", longest=64) or "",
    )


def _hints(given: Params) -> tuple[str, ...]:
    hints = given.listed("hints", most=_MOST_HINTS) or []
    if not all(isinstance(hint, str) for hint in hints):
        raise given.wrong("hints", "a list of strings")
    return tuple(hints)


def _start_input_timers(given: Params, control_id: str) -> Command:
    return StartInputTimers(control_id=control_id)


METHODS: dict[str, Reader] = {
    "play_and_collect": on_operation(_play_and_collect),
    "play_and_collect.stop": stop("play_and_collect"),
    "play_and_collect.volume": volume("play_and_collect"),
    "collect": on_operation(_collect),
    "collect.stop": stop("collect"),
    "collect.start_input_timers": on_operation(_start_input_timers),
}
