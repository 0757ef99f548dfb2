"""Which codecs a leg offers, and which it answers with (swml.md 7.8).

What is only passed on (G729, VP8, H264) is offered where the other leg speaks it, and then alone of its kind:
nobody here could translate it for a far end that chose something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cordboard.call.codec_wish import CodecWish
from cordboard.sdp import G729, SPOKEN, Codec, Ours, SessionDescription, ours

_VIDEO = frozenset({"VP8", "H264"})


def offered(wishes: tuple[CodecWish, ...], default: tuple[CodecWish, ...], other: Codec | None) -> Ours:
    """What is offered for `wishes`; where there are none, for what the other leg speaks, then `default`."""
    found = _wished(wishes, other) if wishes else _usual(default, other)
    return _alone(found) if other is not None and other.same_format(G729) else found


@lru_cache(maxsize=256)
def _wished(wishes: tuple[CodecWish, ...], other: Codec | None) -> Ours:
    return ours(wishes, other=() if other is None else (other,))


@lru_cache(maxsize=256)
def _usual(default: tuple[CodecWish, ...], other: Codec | None) -> Ours:
    return ours(default, first=() if other is None else (other,))


def _alone(found: Ours) -> Ours:
    passed = tuple(codec for codec in found.codecs if codec.same_format(G729))
    return Ours(codecs=passed, ptime_ms=found.ptime_ms, video=found.video, unsupported=found.unsupported)


def answerable(wishes: tuple[CodecWish, ...], default: tuple[CodecWish, ...]) -> Sequence[Codec]:
    """All that an offer may be answered with, in no particular order where there are no wishes."""
    if wishes:
        return _answered(wishes)
    return _usually_answered(default)


@lru_cache(maxsize=256)
def _usually_answered(default: tuple[CodecWish, ...]) -> Sequence[Codec]:
    return _SPOKEN_OR_PASSED if any(wish.name == G729.name for wish in default) else SPOKEN


@lru_cache(maxsize=256)
def _answered(wishes: tuple[CodecWish, ...]) -> tuple[Codec, ...]:
    return ours(wishes, other=(G729,)).codecs


def answered(
    offer: SessionDescription, wishes: tuple[CodecWish, ...], default: tuple[CodecWish, ...]
) -> Sequence[Codec]:
    """The same in the order of preference: that of the wishes, else the caller's; what is only passed on
    comes last."""
    codecs = answerable(wishes, default)
    if wishes:
        return codecs
    return _in_order(tuple(codecs), tuple([tuple(section.codecs()) for section in offer.media]))


@lru_cache(maxsize=256)
def _in_order(codecs: tuple[Codec, ...], theirs: tuple[tuple[Codec, ...], ...]) -> tuple[Codec, ...]:
    """Phones of a kind have the same codecs in the same order in every call."""
    rank = {codec.format: n for section in theirs for n, codec in enumerate(section)}
    last = len(rank)
    return tuple(
        sorted(codecs, key=lambda mine: last if mine.same_format(G729) else rank.get(mine.format, last))
    )


def packet_length(wishes: tuple[CodecWish, ...]) -> int | None:
    """Milliseconds, of the first wish that names any."""
    return None if not wishes else next((wish.ptime_ms for wish in wishes if wish.ptime_ms), None)


def wants_video(wishes: tuple[CodecWish, ...], default: tuple[CodecWish, ...]) -> bool:
    """Whether a codec of video is asked for."""
    return _names_video(wishes or default)


@lru_cache(maxsize=256)
def _names_video(wishes: tuple[CodecWish, ...]) -> bool:
    return any(wish.name in _VIDEO for wish in wishes)


_SPOKEN_OR_PASSED = (*SPOKEN, G729)
