"""Digits as tones (ITU-T Q.23): the two frequencies of each key."""

from __future__ import annotations

from cordboard.media.tones import tone_frame

LOW = (697, 770, 852, 941)
HIGH = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")

FREQUENCIES = {
    key: (float(low), float(high))
    for low, row in zip(LOW, KEYS, strict=True)
    for key, high in zip(row, HIGH, strict=True)
}

_LEVEL = -10.0
"""dBov of both together."""


def digit_frame(digit: str, number: int) -> bytes:
    """The frame `number` of a digit's tone: 20 ms at 8 kHz."""
    return tone_frame(FREQUENCIES[digit], number, _LEVEL)
