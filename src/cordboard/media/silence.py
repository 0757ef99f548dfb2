"""Far ends from which nothing comes any more: neither RTP nor RTCP (a phone that is muted still reports)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cordboard.media.clock import Clock
from cordboard.media.endpoint import Endpoint
from cordboard.media.protocol import Event, MediaSilent, WatchSilence

_TICKS_BETWEEN_LOOKS = 25


class SilenceWatch:
    """All endpoints that are watched; each is told of once, then forgotten."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], *, clock: Clock, report: Callable[[Event], None]
    ) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._report = report
        self._watched: dict[str, tuple[float, float]] = {}
        """(seconds, since when) by endpoint id."""
        self._ticks = 0

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, command: WatchSilence) -> None:
        """From now on; 0 seconds: no more."""
        self._watched.pop(command.endpoint_id, None)
        if command.seconds > 0 and command.endpoint_id in self._endpoints:
            self._watched[command.endpoint_id] = (command.seconds, self._clock.now)

    def leave(self, endpoint_id: str) -> None:
        """The endpoint is closed."""
        self._watched.pop(endpoint_id, None)

    def tick(self) -> None:
        """20 ms have passed."""
        self._ticks += 1
        if self._ticks % _TICKS_BETWEEN_LOOKS:
            return
        now = self._clock.now
        for endpoint_id, (seconds, since) in [*self._watched.items()]:
            if now - max(since, _heard_at(self._endpoints[endpoint_id])) >= seconds:
                del self._watched[endpoint_id]
                self._report(MediaSilent(endpoint_id=endpoint_id, seconds=seconds))


def _heard_at(endpoint: Endpoint) -> float:
    return max(endpoint.incoming.heard_at, endpoint.reports.reporting.heard_at)
