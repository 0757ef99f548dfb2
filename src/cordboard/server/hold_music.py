"""Music on hold that needs no file: soft chords, made of sine waves, that repeat without a seam.

Blocks; runs in the audio process only.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

from cordboard.server.audio_conversion import RATE

LEVEL = -28.0
"""dBov on the whole: well below a voice."""
_CHORD_SECONDS = 3.2
_NOTES_OF_A_CHORD = 8
_SEMITONE = 2.0 ** (1.0 / 12.0)
_A4 = 440.0
_CHORDS = (
    (-9, 0, 3, 7),  # C  a c e g, an open C6
    (-12, -5, 0, 3),  # Am
    (-16, -4, 0, 5),  # F
    (-14, -2, 2, 5),  # G
    (-9, 3, 7, 10),  # C with the seventh above
    (-17, -1, 3, 7),  # Em
    (-16, -4, 0, 3),  # F with the seventh
    (-14, -2, 0, 5),  # Gsus
)
"""Semitones from A4: a bass note, and three that are played one after the other."""
_PARTIALS = ((1.0, 1.0), (2.0, 0.22), (3.0, 0.06))
"""(multiple of the pitch, strength): a round sound that survives G.711."""


def write_hold_music(target: Path) -> None:
    """A WAV file of about 25 s, 16-bit, mono, 8 kHz; its end leads into its beginning."""
    import numpy as np

    total = round(len(_CHORDS) * _CHORD_SECONDS * RATE)
    sound = np.zeros(total)
    for number, chord in enumerate(_CHORDS):
        for start, pitch, strength, seconds in _notes(chord):
            at = round((number * _CHORD_SECONDS + start) * RATE)
            note = _note(np, pitch, seconds) * strength
            # What rings on after the end rings at the beginning: the loop has no seam.
            sound[np.arange(at, at + len(note)) % total] += note
    sound *= 10.0 ** (LEVEL / 20.0) / np.sqrt(np.mean(sound**2))
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())


def _notes(chord: tuple[int, ...]) -> list[tuple[float, int, float, float]]:
    """(start in seconds, semitone, strength, seconds) of one chord: the bass, and an arpeggio above it."""
    bass, *above = chord
    step = _CHORD_SECONDS / _NOTES_OF_A_CHORD
    pattern = [above[n] for n in (0, 1, 2, 1, 2, 1, 0, 1)]
    notes = [(n * step, semitone, 0.5, 1.6) for n, semitone in enumerate(pattern)]
    return [(0.0, bass, 0.9, _CHORD_SECONDS + 0.8), *notes]


def _note(np: Any, semitone: int, seconds: float) -> Any:
    """One tone that swells within 30 ms and dies away."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = _A4 * _SEMITONE**semitone
    wave_ = sum(strength * np.sin(2.0 * np.pi * pitch * times * time) for times, strength in _PARTIALS)
    swell = np.minimum(1.0, time / 0.03) * np.minimum(1.0, (seconds - time) / 0.2)
    return wave_ * swell * np.exp(-2.2 * time / seconds)
