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


def tone(seconds: float = 1.0, rate: int = 16_000, frequency: float = FILE_TONE) -> bytes:
    """A wav file with a sine."""
    samples = (round(8000 * math.sin(2 * math.pi * frequency * n / rate)) for n in range(int(seconds * rate)))
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


def share_of(pcm: bytes, *frequencies: float) -> float:
    """Part of the 100 ms windows that these make up; a busy machine leaves holes in any sound."""
    windows = [pcm[at : at + 1600] for at in range(0, len(pcm) - 1599, 1600)]
    return sum(heard(window, frequencies) for window in windows) / max(1, len(windows))


def hears_now(call: PhoneCall, *frequencies: float) -> bool:
    """These make up most of the last 100 ms that a recording phone has heard."""
    last = bytes(call.audio.recording or b"")[-1600:]
    return len(last) == 1600 and heard(last, frequencies)


def voice(*syllables: tuple[float, float]) -> bytes:
    """PCM at 8 kHz of somebody who speaks: (seconds, seconds of silence after it) of each syllable."""
    out: list[int] = []
    for number, (seconds, pause) in enumerate(syllables):
        count = round(8000 * seconds)
        weights = [(harmonic, 1.0 / (1 + abs(harmonic - 4 - number % 3))) for harmonic in range(1, 20)]
        for n in range(count):
            pitch = 120.0 * (1.1 - 0.2 * n / count)
            wave_ = sum(weight * math.sin(2 * math.pi * pitch * h * n / 8000) for h, weight in weights)
            out.append(round(2200 * wave_ * math.sin(math.pi * (n + 1) / (count + 1)) ** 0.7))
        out += [0] * round(8000 * pause)
    return struct.pack(f"<{len(out)}h", *out)
