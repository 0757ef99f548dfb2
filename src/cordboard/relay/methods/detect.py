"""`calling.detect` (relay-protocol.md 8.6)."""

from __future__ import annotations

import re

from cordboard.call.actions import Detect, MachineDetection
from cordboard.call.commands import Command
from cordboard.relay.methods.method import LONGEST, Reader, on_operation
from cordboard.relay.methods.steering import stop
from cordboard.relay.params import Params

KINDS = ("machine", "fax", "digit")
TONES = ("CED", "CNG")
DEFAULT_TIMEOUT = 30.0
_KEYS = re.compile(r"[0-9*#A-Da-d]{1,16}")
_DEFAULT = MachineDetection()
_MOST_WORDS = 1_000


def _detect(given: Params, control_id: str) -> Command:
    wanted = given.needed("detect")
    kind, params = wanted.choice("type", KINDS), wanted.within_or_empty("params")
    if not kind:
        raise wanted.error(f"`{wanted.place('type')}` is required: one of {', '.join(KINDS)}.")
    timeout = given.number("timeout", 0, LONGEST)
    return Detect(
        control_id=control_id,
        kind=kind,
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        machine=_machine(params) if kind == "machine" else _DEFAULT,
        tone=params.choice("tone", TONES, "CED") if kind == "fax" else "CED",
        digits=_digits(params) if kind == "digit" else "0123456789#*",
        status_url=given.url("status_url"),
    )


def _machine(params: Params) -> MachineDetection:
    words = params.whole("machine_words_threshold", 1, _MOST_WORDS)
    return MachineDetection(
        initial_timeout=_seconds(params, "initial_timeout", _DEFAULT.initial_timeout),
        end_silence_timeout=_seconds(params, "end_silence_timeout", _DEFAULT.end_silence_timeout),
        machine_voice_threshold=_seconds(params, "machine_voice_threshold", _DEFAULT.machine_voice_threshold),
        machine_words_threshold=_DEFAULT.machine_words_threshold if words is None else words,
        machine_ready_timeout=params.number("machine_ready_timeout", 0, LONGEST),
        detect_interruptions=params.flag("detect_interruptions", _DEFAULT.detect_interruptions),
        detect_message_end=params.flag("detect_message_end", _DEFAULT.detect_message_end),
    )


def _seconds(params: Params, name: str, default: float) -> float:
    found = params.number(name, 0, LONGEST)
    return default if found is None else found


def _digits(params: Params) -> str:
    found = params.matching("digits", _KEYS, "keys, such as `123#`")
    return "0123456789#*" if found is None else found.upper()


METHODS: dict[str, Reader] = {"detect": on_operation(_detect), "detect.stop": stop("detect")}
