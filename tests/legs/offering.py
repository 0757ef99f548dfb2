"""What the tests of offers and of encryption share: destinations, keys, and what was told to whom."""

from __future__ import annotations

from typing import Any

from cordboard.call.codec_wish import CodecWish, read_codecs
from cordboard.call.plan import Destination
from cordboard.legs.outputs import Target, Terms
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import SetRemote
from cordboard.sdp import Codec, CryptoAttribute, SessionDescription, parse
from cordboard.sdp.crypto import KEY_LENGTHS
from cordboard.sip.events import InviteReceived

from .leg_bench import BOB, CALLED, FAR, LegBench

OPUS = Codec("OPUS", 96, 48000, 2)
VP8 = Codec("VP8", 98, 90000)
FAR_KEY = bytes(range(100, 200))


def keyed(**changes: Any) -> LegRules:
    """Rules with a source of keys, each of them different."""
    made = iter(range(1, 256))
    values: dict[str, Any] = {
        "new_key": lambda length: bytes([next(made)]) * length,
        "encryption": "optional",
    }
    return LegRules(**{**values, **changes})


def far_keys(suite: str = "AES_CM_128_HMAC_SHA1_80") -> tuple[CryptoAttribute, ...]:
    return (CryptoAttribute(1, suite, FAR_KEY[: KEY_LENGTHS[suite]]),)


def wishes(text: str) -> tuple[CodecWish, ...]:
    return read_codecs(text).wishes


def sip(**changes: Any) -> Destination:
    return Destination(kind="sip", to=changes.pop("to", BOB), **changes)


def offer_to(destination: Destination, rules: LegRules | None = None, **route: Any) -> SessionDescription:
    """The offer that arrives at this destination."""
    bench = LegBench(rules=rules or LegRules())
    return offered(bench, destination, **route)


def offered(bench: LegBench, destination: Destination, terms: Terms | None = None) -> SessionDescription:
    bench.dial(destination=destination)
    bench.open_media(CALLED)
    phone = destination.kind == "phone"
    bench.route(Target(request_uri=BOB, endpoint=FAR, is_phone=phone), terms=terms)
    bench.run()
    return parse(bench.received(InviteReceived).request.body)


def names(description: SessionDescription) -> list[str]:
    """The codecs of the first section."""
    return [codec.name for codec in description.media[0].codecs()]


def called_by(bench: LegBench, body: bytes) -> str:
    """A call that came in with this offer and was answered: its id."""
    return bench.answered_call_in(body)[0]


def remote(bench: LegBench, call_id: str) -> SetRemote:
    """What the worker was told last."""
    return bench.media_orders(call_id)[-1].command
