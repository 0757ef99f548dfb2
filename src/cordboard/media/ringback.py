"""Ringing tones by country: what a caller hears while the other phone rings.

Frequencies and cadences are those of ITU-T E.180 Supplement 2.  A tone of 400 Hz modulated by 25 Hz is
written as the two frequencies that the product consists of (375 and 425).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from cordboard.media.tones import frames, tone

DEFAULT_COUNTRY = "us"


class Cadence(NamedTuple):
    """One cycle of a ringing tone."""

    frequencies: tuple[float, ...]
    """Hz, heard together."""
    pattern: tuple[int, ...]
    """Milliseconds: on, off, on, off ..."""

    @property
    def cycle_ms(self) -> int:
        """Length of one cycle."""
        return sum(self.pattern)


_DOUBLE = (400, 200, 400, 2000)

CADENCES = {
    "at": Cadence((420,), (1000, 5000)),
    "au": Cadence((413, 438), _DOUBLE),
    "be": Cadence((425,), (1000, 3000)),
    "bg": Cadence((425,), (1000, 4000)),
    "br": Cadence((425,), (1000, 4000)),
    "ch": Cadence((425,), (1000, 4000)),
    "cl": Cadence((400,), (1000, 3000)),
    "cn": Cadence((450,), (1000, 4000)),
    "cz": Cadence((425,), (1000, 4000)),
    "de": Cadence((425,), (1000, 4000)),
    "dk": Cadence((425,), (1000, 4000)),
    "ee": Cadence((425,), (1000, 4000)),
    "es": Cadence((425,), (1500, 3000)),
    "fi": Cadence((425,), (1000, 4000)),
    "fr": Cadence((440,), (1500, 3500)),
    "gr": Cadence((425,), (1000, 4000)),
    "hu": Cadence((425,), (1250, 3750)),
    "il": Cadence((400,), (1000, 3000)),
    "in": Cadence((375, 425), _DOUBLE),
    "it": Cadence((425,), (1000, 4000)),
    "jp": Cadence((384, 416), (1000, 2000)),
    "lt": Cadence((425,), (1000, 4000)),
    "mx": Cadence((425,), (1000, 4000)),
    "my": Cadence((425,), _DOUBLE),
    "nl": Cadence((425,), (1000, 4000)),
    "no": Cadence((425,), (1000, 4000)),
    "nz": Cadence((400, 450), _DOUBLE),
    "ph": Cadence((425, 480), (1000, 4000)),
    "pl": Cadence((425,), (1000, 4000)),
    "pt": Cadence((425,), (1000, 5000)),
    "ru": Cadence((425,), (800, 3200)),
    "se": Cadence((425,), (1000, 5000)),
    "sg": Cadence((401, 449), _DOUBLE),
    "th": Cadence((400,), (1000, 4000)),
    "tw": Cadence((440, 480), (1000, 2000)),
    "uk": Cadence((400, 450), _DOUBLE),
    "us": Cadence((440, 480), (2000, 4000)),
    "us-old": Cadence((380, 460), (2000, 4000)),
    "ve": Cadence((425,), (1000, 4000)),
    "za": Cadence((367, 433), _DOUBLE),
}


def cadence(country: str) -> Cadence:
    """By code in either case; an unknown one rings as in the United States."""
    return CADENCES.get(country.lower(), CADENCES[DEFAULT_COUNTRY])


def ring_frames(country: str) -> tuple[bytes, ...]:
    """One cycle as frames of 20 ms, 16-bit PCM at 8 kHz; computed once per cadence."""
    return _cycle(cadence(country))


@lru_cache(maxsize=len(CADENCES))
def _cycle(ring: Cadence) -> tuple[bytes, ...]:
    parts = [
        tone(() if n % 2 else ring.frequencies, duration_ms) for n, duration_ms in enumerate(ring.pattern)
    ]
    return frames(b"".join(parts))
