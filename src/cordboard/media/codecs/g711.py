"""G.711: one byte a sample at 8 kHz, PCMU (mu-law) and PCMA (A-law).

Between the two laws, and for a change of volume, a byte maps to a byte: `bytes.translate` with a table of
256 does a packet in a fraction of a microsecond without decoding it.
"""

from __future__ import annotations

from functools import lru_cache

from cordboard.media.codecs import audio

PCMU = "PCMU"
PCMA = "PCMA"

SILENCE_BYTE = {PCMU: 0xFF, PCMA: 0xD5}
"""The code of the sample 0 (positive zero)."""

_ALL_CODES = bytes(range(256))


def decode(name: str, payload: bytes) -> bytes:
    """Payload to 16-bit PCM.  `name` is PCMU or PCMA; KeyError for anything else."""
    return _DECODERS[name](payload, 2)


def encode(name: str, pcm: bytes) -> bytes:
    """16-bit PCM (an even number of bytes) to a payload."""
    return _ENCODERS[name](pcm, 2)


def silence(name: str, samples: int) -> bytes:
    """A payload of that many zero samples."""
    return bytes((SILENCE_BYTE[name],)) * samples


def translation(from_: str, to: str) -> bytes | None:
    """Table for `payload.translate(...)`, or None where the payload can stay as it is."""
    return None if from_ == to else _TRANSLATIONS[from_, to]


@lru_cache(maxsize=256)
def gain(from_: str, to: str, decibels: float) -> bytes:
    """Table that changes the volume (saturating) and, where they differ, the law as well."""
    return encode(to, audio.mul(decode(from_, _ALL_CODES), 2, 10.0 ** (decibels / 20.0)))


_DECODERS = {PCMU: audio.ulaw2lin, PCMA: audio.alaw2lin}
_ENCODERS = {PCMU: audio.lin2ulaw, PCMA: audio.lin2alaw}
_TRANSLATIONS = {
    (PCMU, PCMA): encode(PCMA, decode(PCMU, _ALL_CODES)),
    (PCMA, PCMU): encode(PCMU, decode(PCMA, _ALL_CODES)),
}

PCMU_TO_PCMA = _TRANSLATIONS[PCMU, PCMA]
PCMA_TO_PCMU = _TRANSLATIONS[PCMA, PCMU]


class G711Decoder:
    """Stateless, 8 kHz."""

    __slots__ = ("_to_linear", "rate")

    def __init__(self, name: str) -> None:
        self.rate = 8000
        self._to_linear = _DECODERS[name]

    def decode(self, payload: bytes) -> bytes:
        """PCM."""
        return self._to_linear(payload, 2)

    def conceal(self, samples: int, following: bytes | None) -> bytes | None:
        """The codec knows nothing of loss."""
        return None


class G711Encoder:
    """Stateless, 8 kHz."""

    __slots__ = ("_from_linear", "rate")

    def __init__(self, name: str) -> None:
        self.rate = 8000
        self._from_linear = _ENCODERS[name]

    def encode(self, pcm: bytes) -> bytes:
        """A payload."""
        return self._from_linear(pcm, 2)
