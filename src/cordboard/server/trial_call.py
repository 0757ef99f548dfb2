"""One call to find out whether a trunk carries calls: what it takes of our offer, and whether it rings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

from cordboard.call.codec_wish import read_codecs
from cordboard.sdp import SdpError, make_offer, ours, parse, read_answer
from cordboard.sdp.crypto import new_keys
from cordboard.server.config import Config, Trunk
from cordboard.server.registrations import Place
from cordboard.server.trunks import credentials_of, rewritten
from cordboard.sip.events import Answered, Provisional, Refused, SessionEnded
from cordboard.sip.stack import SipStack

_PATIENCE = 15.0
"""Seconds for ringing; then the call is given up."""
_FAREWELL = 3.0

Outcome = Answered | Refused | Provisional | None
"""None: no sign at all."""


class TrialCall:
    """`carry` gets what the stack returns; `handle` is told the events."""

    def __init__(self, stack: SipStack, carry: Callable[[list[Any]], None]) -> None:
        self._stack = stack
        self._carry = carry
        self._session = ""
        self._rang: Provisional | None = None
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self._final: Answered | Refused | None = None

    def handle(self, event: object) -> None:
        if isinstance(event, Provisional) and event.status >= 180:
            self._rang = event
            self._settled.set()
        elif isinstance(event, Answered | Refused):
            self._final = event
            self._settled.set()
        elif isinstance(event, SessionEnded):
            self._settled.set()
            self._over.set()

    async def place(self, place: Place, trunk: Trunk, from_: str, offer: bytes) -> Outcome:
        """Hung up after the answer, cancelled after the first ringing.  Raises UriError."""
        number = rewritten(trunk.test_number or "", trunk.rewrite_to)
        uri = place.uri.replace("sip:", f"sip:{number}@", 1)
        now = asyncio.get_running_loop().time()
        self._session, outputs = self._stack.invite(
            uri=uri,
            to=f"<{uri}>",
            from_=from_,
            destination=place.endpoint,
            body=offer,
            credentials=credentials_of(trunk),
            now=now,
        )
        self._carry(outputs)
        await _within(self._settled, _PATIENCE)
        self._carry(self._stack.bye(self._session, now=asyncio.get_running_loop().time()))
        await _within(self._over, _FAREWELL)
        return self._final or self._rang


def trial_offer(config: Config, trunk: Trunk, port: int) -> bytes:
    """What a call through this trunk offers."""
    secure = trunk.encryption != "forbidden"
    plain = "both" if trunk.encryption == "optional" and trunk.two_media_lines else "RTP/AVP"
    return make_offer(
        address=config.media.told,
        port=port,
        codecs=ours(read_codecs(trunk.codecs or config.media.codecs).wishes).codecs,
        session_id=1,
        crypto=new_keys(os.urandom) if secure else (),
        profile="RTP/SAVP" if trunk.encryption == "mandatory" else plain,
    )


def agreed(offer: bytes, answer: bytes, encryption: str) -> str:
    """The codec, and whether there is SRTP.  Raises SdpError with what is wrong."""
    if not answer:
        raise SdpError("the answer has no session description")
    media = read_answer(offer, parse(answer), encryption=encryption)
    return f"{media.codec.name}, {'with' if media.crypto else 'without'} SRTP"


def media_socket(address: str) -> socket.socket:
    """A port to name in the offer.  Raises OSError."""
    found = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        found.bind((address, 0))
    except OSError:
        found.close()
        raise
    return found


async def _within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
