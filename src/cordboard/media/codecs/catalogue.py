"""All codecs, by encoding: the name of the payload format, with its rate where that makes another codec."""

from __future__ import annotations

from functools import lru_cache

from cordboard.media.codecs import g711, g722, l16, opus, rates
from cordboard.media.codecs.codec import Codec, Wish

_NARROW = (8000,)
_MOST_CHANNELS = 2


def encoding_of(name: str, clock_rate: int = 8000, channels: int = 1) -> str:
    """`PCMU`, `OPUS`; `L16/16000`, `L16/48000/2`, because another rate of L16 is another codec."""
    name = name.upper() if name.lower() != "telephone-event" else "telephone-event"
    if name != "L16":
        return name
    return f"L16/{clock_rate}/{channels}" if channels != 1 else f"L16/{clock_rate}"


@lru_cache(maxsize=256)
def codec(encoding: str, clock_rate: int = 8000) -> Codec:
    """Of an encoding that is not known here, only what passing it through takes."""
    known = _CODECS.get(encoding)
    if known is not None:
        return known
    name, _, rest = encoding.partition("/")
    return (_l16(encoding, rest) if name == "L16" else None) or Codec(encoding, clock_rate)


def load() -> None:
    """Import and open everything now: not while somebody speaks."""
    rates.prepare()
    for made in (*_CODECS.values(), codec("L16/8000")):
        if made.make_decoder is not None and made.make_encoder is not None:
            pcm = bytes(made.rates[0] // 50 * 2)
            made.make_decoder(made.rates[0]).decode(made.make_encoder(made.rates[0], Wish()).encode(pcm))


def _g711(encoding: str) -> Codec:
    return Codec(
        encoding,
        unit=1,
        filler=g711.silence(encoding, 1),
        rates=_NARROW,
        make_decoder=lambda rate: g711.G711Decoder(encoding),
        make_encoder=lambda rate, wish: g711.G711Encoder(encoding),
    )


def _l16(encoding: str, rest: str) -> Codec | None:
    rate, _, channels = rest.partition("/")
    if not (rate.isdecimal() and int(rate) in l16.RATES and channels in ("", "1", "2")):
        return None
    count = int(channels or 1)
    return Codec(
        encoding,
        clock_rate=int(rate),
        unit=2 * count,
        filler=bytes(2 * count),
        rates=(int(rate),),
        make_decoder=lambda _: l16.L16Decoder(int(rate), count),
        make_encoder=lambda _, wish: l16.L16Encoder(int(rate), wish._replace(channels=count)),
    )


def _count_g729(payload: bytes) -> int:
    # 10 bytes for 10 ms; 2 bytes of comfort noise may follow.
    return len(payload) // 10 * 80


_CODECS = {
    g711.PCMU: _g711(g711.PCMU),
    g711.PCMA: _g711(g711.PCMA),
    "G722": Codec(
        "G722",
        unit=1,
        filler=b"\xff",
        rates=g722.RATES,
        make_decoder=g722.G722Decoder,
        make_encoder=g722.G722Encoder,
    ),
    "OPUS": Codec(
        "OPUS",
        clock_rate=opus.CLOCK_RATE,
        rates=opus.RATES,
        make_decoder=opus.OpusDecoder,
        make_encoder=opus.OpusEncoder,
        measure=opus.count,
    ),
    # Only passed through: what its encoder needs is not there.
    "G729": Codec("G729", measure=_count_g729),
}
