"""`prompt` (swml.md 6.4): plays, and collects keys or speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cordboard.call.actions import DigitInput, Prompt, PromptDone, SpeechInput
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.method import Method
from cordboard.swml.playable import SAY, items_of, with_voices
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, choice, integer, listing, number, text, union, url

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

_LONGEST = 3_600
"""Seconds that any of the timers can be set to."""

SHAPE = Shape(
    method="prompt",
    about="Plays something and waits for keys or speech.",
    main="play",
    main_list="play",
    properties=(
        union(
            "play",
            text("play"),
            listing("play", text("item")),
            required=True,
            about="What to play: a play URI or a list of them.",
        ),
        number("volume", -40, 40, default=0, about="Gain in dB."),
        *SAY,
        integer("max_digits", 1, 256, about="Keys after which the input is complete, 1 by default."),
        text(
            "terminators",
            pattern="[0-9*#A-Da-d]*",
            means="keys of 0-9, *, # and A-D",
            about="Keys that end the input.",
        ),
        number("digit_timeout", 0, _LONGEST, about="Seconds between two keys, 5 by default."),
        number("initial_timeout", 0, _LONGEST, about="Seconds until the first key, 5 by default."),
        number("speech_timeout", 0, _LONGEST, about="Longest utterance in seconds; asks for speech."),
        number("speech_end_timeout", 0, _LONGEST, about="Seconds of silence that end it; asks for speech."),
        text("speech_language", about="Language that is spoken; asks for speech."),
        listing("speech_hints", text("hint"), about="Words to expect; asks for speech."),
        choice("speech_engine", "Google", "Google.V2", "Deepgram", about="Engine of the recognition."),
        url("status_url", about="Where calling.call.collect events are posted."),
    ),
    on_failure=(("prompt_result", "failed"),),
)

_DIGITS = ("max_digits", "terminators", "digit_timeout", "initial_timeout")
_SPEECH = ("speech_timeout", "speech_end_timeout", "speech_language", "speech_hints")
_OUTPUTS = (
    "prompt_result",
    "prompt_value",
    "prompt_value_raw",
    "prompt_digit_terminator",
    "prompt_speech_confidence",
)


def _prepare(values: dict[str, Any], notes: list[Note]) -> Prompt:
    options = check(values, SHAPE)
    play = options["play"] if isinstance(options["play"], list) else [options["play"]]
    items = items_of(play, options, "prompt", "play", notes)
    speech = any(options[name] is not None for name in _SPEECH)
    digits = not speech or any(options[name] is not None for name in _DIGITS)
    return Prompt(
        items=tuple(item for item in items if item is not None),
        volume=float(options["volume"]),
        digits=_digits(options) if digits else None,
        speech=_speech(options) if speech else None,
        status_url=options["status_url"],
    )


def _digits(options: dict[str, Any]) -> DigitInput:
    return DigitInput(
        max_digits=_given(options["max_digits"], 1),
        terminators=(options["terminators"] or "").upper(),
        digit_timeout=float(_given(options["digit_timeout"], 5.0)),
        initial_timeout=float(_given(options["initial_timeout"], 5.0)),
    )


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _speech(options: dict[str, Any]) -> SpeechInput:
    return SpeechInput(
        timeout=options["speech_timeout"],
        end_timeout=options["speech_end_timeout"],
        language=options["speech_language"] or "en-US",
        hints=tuple(options["speech_hints"] or ()),
        engine=options["speech_engine"] or "",
    )


def _advise(values: dict[str, Any]) -> list[Note]:
    asked = next((name for name in _SPEECH if values.get(name) is not None), None)
    if asked is None:
        return []
    message = f"prompt: `{asked}` asks for speech, which this server has no engine to recognise"
    return [Note(codes.EXECUTE_FAILED, message, (asked,), lint_only=True)]


def _run(step: Step, interpreter: Interpreter) -> Steps:
    values = yield from interpreter.values(step)
    interpreter.forget(*_OUTPUTS)
    action: Prompt = interpreter.prepare(step, values)
    items = with_voices(action.items, interpreter.scopes.vars.values)
    done = expect((yield msgspec.structs.replace(action, items=items)), PromptDone)
    for sentence in done.errors:
        interpreter.error(codes.EXECUTE_FAILED, f"prompt: {sentence}")
    for sentence in done.warnings:
        interpreter.warn(codes.EXECUTE_FAILED, f"prompt: {sentence}")
    _remember(done, interpreter)
    return None


def _remember(done: PromptDone, interpreter: Interpreter) -> None:
    interpreter.set("prompt_result", done.result)
    interpreter.set("prompt_value", done.value)
    interpreter.set("prompt_value_raw", done.value + done.terminator)
    if done.terminator:
        interpreter.set("prompt_digit_terminator", done.terminator)
    if done.confidence is not None:
        interpreter.set("prompt_speech_confidence", done.confidence)


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run, advise=_advise)
