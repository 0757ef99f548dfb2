"""What is fuzzed.  `make` gives a function of bytes that must not raise, whatever it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec

from fuzz import fastpath_target, media_targets, relay_targets, server_targets, sip_targets, text_targets

Target = Callable[[bytes], None]
ROOT = Path(__file__).parents[1]


class Entry(msgspec.Struct, frozen=True):
    """One target and what it begins with."""

    make: Callable[[], Target]
    seeds: Callable[[], Iterator[bytes]]


def _torture() -> Iterator[bytes]:
    for path in sorted((ROOT / "tests" / "sip" / "torture").glob("*")):
        if path.is_file():
            yield path.read_bytes()


def _documents() -> Iterator[bytes]:
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        yield path.read_bytes()


def _numbers() -> Iterator[bytes]:
    for length in (0, 12, 60, 172, 500):
        yield bytes(number % 256 for _, number in zip(range(length), count(128), strict=False))


TARGETS: dict[str, Entry] = {
    "framer": Entry(lambda: sip_targets.framer, _torture),
    "message": Entry(lambda: sip_targets.message, _torture),
    "stack": Entry(sip_targets.stack, _torture),
    "dialog": Entry(sip_targets.dialog, sip_targets.dialog_seeds),
    "digest": Entry(lambda: sip_targets.digest, sip_targets.digest_seeds),
    "sdp": Entry(lambda: sip_targets.sdp, sip_targets.sdp_seeds),
    "legs": Entry(sip_targets.legs, sip_targets.dialog_seeds),
    "rtp": Entry(media_targets.rtp, _numbers),
    "srtp": Entry(media_targets.srtp, _numbers),
    "fastpath": Entry(fastpath_target.both_ways, fastpath_target.scripts),
    "rtcp": Entry(lambda: media_targets.rtcp, _numbers),
    "codecs": Entry(media_targets.codecs, _numbers),
    "wav": Entry(lambda: media_targets.wav, media_targets.wav_seeds),
    "websocket": Entry(lambda: media_targets.websocket, _numbers),
    "document": Entry(lambda: text_targets.document, _documents),
    "expression": Entry(lambda: text_targets.expression, text_targets.expression_seeds),
    "lint": Entry(lambda: server_targets.linted, _documents),
    "connection": Entry(lambda: server_targets.connection, _torture),
    "config": Entry(lambda: server_targets.configuration, server_targets.configurations),
    "link": Entry(lambda: server_targets.link, server_targets.links),
    "refer": Entry(server_targets.refer, server_targets.referrals),
    "names": Entry(server_targets.name_server, server_targets.name_answers),
    "relay-json": Entry(lambda: relay_targets.message, relay_targets.messages),
    "relay-methods": Entry(lambda: relay_targets.requests, relay_targets.choices),
    "relay-session": Entry(relay_targets.session, relay_targets.lives),
    "words": Entry(lambda: text_targets.words, text_targets.word_seeds),
}
