"""The numbers and names that the development profile answers, each with what its phone does.

`behaviour_for` also knows two patterns: `refuse-NNN` refuses with that status (300 to 699), and
`answer-after-N` answers after N seconds (decimals allowed, at most an hour).
"""

from __future__ import annotations

import re

import msgspec

from cordboard.testing.behaviour import BUSY, DECLINE, Behaviour

A_TONE = 440.0
ALICE_TONE = 523.0
BOB_TONE = 659.0

NUMBERS: dict[str, Behaviour] = {
    "+15550100": Behaviour(
        description="answers after 1 s and speaks 440 Hz", answer_after=1.0, tone_hz=A_TONE
    ),
    "+15550101": Behaviour(description="is busy (486)", refuse=BUSY),
    "+15550102": Behaviour(description="declines (603)", refuse=DECLINE),
    "+15550103": Behaviour(description="rings for ever", answer_after=None),
    "+15550104": Behaviour(description="is silent: nothing is ever answered", silent=True),
    "+15550105": Behaviour(
        description="answers at once and hangs up after 3 s", answer_after=0.0, hang_up_after=3.0
    ),
    "+15550106": Behaviour(
        description="answers and presses 1234#", answer_after=0.0, digits="1234#", digits_after=0.5
    ),
    "+15550107": Behaviour(description="refuses with 480", refuse=480),
    "+15550108": Behaviour(
        description="speaks before it answers (183 with a tone), answers after 2 s",
        answer_after=2.0,
        early_media=True,
    ),
    "+15550109": Behaviour(description="answers after 5 s", answer_after=5.0),
}
"""By E.164 number."""


def _like(number: str, description: str | None = None) -> Behaviour:
    behaviour = NUMBERS[number]
    return msgspec.structs.replace(behaviour, description=description or behaviour.description)


NAMES: dict[str, Behaviour] = {
    "alice": Behaviour(
        description="answers after 1 s and speaks 523 Hz", answer_after=1.0, tone_hz=ALICE_TONE
    ),
    "bob": Behaviour(description="answers after 1 s and speaks 659 Hz", answer_after=1.0, tone_hz=BOB_TONE),
    "carol": Behaviour(description="answers after 3 s", answer_after=3.0),
    "busy": _like("+15550101"),
    "decline": _like("+15550102"),
    "ring": _like("+15550103"),
    "silent": _like("+15550104"),
    "hangup": _like("+15550105"),
    "dtmf": _like("+15550106"),
    "early": _like("+15550108"),
    "slow": _like("+15550109"),
}
"""By the user part of a SIP URI, in lower case."""

PATTERNS = {
    "refuse-NNN": "refuses with the status NNN (300 to 699)",
    "answer-after-N": "answers after N seconds",
}
"""For listings; `behaviour_for` carries them out."""

NO_SUCH_PHONE = Behaviour(description="no phone here (404)", refuse=404)

_REFUSE = re.compile(r"refuse-([3-6]\d\d)", re.ASCII)
_ANSWER_AFTER = re.compile(r"answer-after-(\d{1,4}(?:\.\d{1,3})?)", re.ASCII)


def behaviour_for(user: str) -> Behaviour:
    """What the phone of that user part does: a number with or without `+`, a name, or a pattern."""
    name = user.partition(";")[0].lower()
    known = NAMES.get(name) or NUMBERS.get(name) or NUMBERS.get(f"+{name}")
    return known or _by_pattern(name) or NO_SUCH_PHONE


def _by_pattern(name: str) -> Behaviour | None:
    if match := _REFUSE.fullmatch(name):
        return Behaviour(description=f"refuses with {match[1]}", refuse=int(match[1]))
    if match := _ANSWER_AFTER.fullmatch(name):
        return Behaviour(description=f"answers after {match[1]} s", answer_after=float(match[1]))
    return None
