"""What workers tell of the endpoints of calls: to their legs, their records, and to the calls themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cordboard.call import facts
from cordboard.legs import outputs as out
from cordboard.legs.sip_legs import SipLegs
from cordboard.media import protocol
from cordboard.server.recorder import Recorder


class EndpointEvents:
    """`handlers`: who takes a worker's event."""

    def __init__(
        self,
        legs: SipLegs,
        recorder: Recorder,
        post: Callable[[str, facts.Fact], None],
        carry: Callable[[list[out.Output]], None],
    ) -> None:
        """`post`: a fact for a call; `carry`: carries out what legs want."""
        self._legs = legs
        self._recorder = recorder
        self._post = post
        self._carry = carry
        self._loop = asyncio.get_running_loop()
        self.handlers: dict[type, Callable[[Any], None]] = {
            protocol.EndpointOpened: self._opened,
            protocol.EndpointRefused: self._refused,
            protocol.EndpointClosed: self._closed,
            protocol.DigitHeard: self._digit_heard,
            protocol.DigitsPlayed: self._digits_played,
            protocol.MediaSilent: self._silent,
        }

    def _opened(self, event: protocol.EndpointOpened) -> None:
        self._recorder.media_opened(event.endpoint_id)
        self._carry(self._legs.media_opened(event, self._loop.time()))

    def _refused(self, event: protocol.EndpointRefused) -> None:
        self._carry(self._legs.media_refused(event, self._loop.time()))

    def _closed(self, event: protocol.EndpointClosed) -> None:
        self._recorder.media_closed(event.endpoint_id, event.statistics)

    def _digit_heard(self, event: protocol.DigitHeard) -> None:
        fact = facts.DigitReceived(digit=event.digit, duration_ms=event.duration_ms)
        self._post(event.endpoint_id, fact)

    def _digits_played(self, event: protocol.DigitsPlayed) -> None:
        self._post(event.endpoint_id, facts.DigitsSent(control_id=event.send_id))

    def _silent(self, event: protocol.MediaSilent) -> None:
        self._carry(self._legs.media_silent(event, self._loop.time()))
