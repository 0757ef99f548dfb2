"""Sounds that tests make and recognise."""

from __future__ import annotations

import io
import math
import struct
import wave

from cordboard.media.tones import heard
from cordboard.testing.phone_call import PhoneCall

FILE_TONE = 700.0
RING_US = (440.0, 480.0)


def tone(seconds: float = 1.0, rate: int = 16_000) -> bytes:
    """A wav file with a sine."""
    samples = (round(8000 * math.sin(2 * math.pi * FILE_TONE * n / rate)) for n in range(int(seconds * rate)))
    written = io.BytesIO()
    with wave.open(written, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return written.getvalue()


def rings(call: PhoneCall) -> bool:
    """The last 100 ms were the two tones of a ringing phone in the US."""
    last = bytes(call.audio.recording or b"")[-1600:]
    return len(last) == 1600 and heard(last, RING_US)
