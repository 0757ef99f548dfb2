"""Who listens to the legs of a worker because somebody ordered it: recordings, taps, detectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cordboard.media.clock import Clock
from cordboard.media.detectors import Detectors
from cordboard.media.endpoint import Endpoint
from cordboard.media.player import Player, tone
from cordboard.media.protocol import (
    BeginDetector,
    BeginRecording,
    BeginTap,
    Command,
    DigitHeard,
    Event,
    FinishDetector,
    FinishRecording,
    FinishTap,
    PauseRecorder,
    ResumeRecorder,
    StartPlay,
)
from cordboard.media.recordings import BEEP_HZ, BEEP_MS, Recordings
from cordboard.media.rtp import RtpSender
from cordboard.media.tap_rtp import RtpCarrier
from cordboard.media.tap_websocket import WebSocketCarrier
from cordboard.media.taps import Carrier, Taps


class Observers:
    """`play` says something to a far end that is told nothing else; `draw` gives random bits."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        clock: Clock,
        report: Callable[[Event], None],
        play: Callable[[Endpoint, StartPlay, Player], None],
        new_sender: Callable[[], RtpSender],
        draw: Callable[[], int],
        address: str,
        public_address: str,
    ) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._play = play
        self._new_sender = new_sender
        self._draw = draw
        self._address = address
        self._recordings = Recordings(report, self._beep)
        self._taps = Taps(report, self._carry, shown=public_address)
        self._detectors = Detectors(report)
        self.actions: dict[type[Command], Callable[[Any], None]] = {
            BeginRecording: self._begin_recording,
            FinishRecording: self._recordings.finish,
            PauseRecorder: self._recordings.pause,
            ResumeRecorder: self._recordings.resume,
            BeginTap: self._begin_tap,
            FinishTap: self._taps.finish,
            BeginDetector: self._begin_detector,
            FinishDetector: self._detectors.finish,
        }

    def __len__(self) -> int:
        return len(self._recordings) + len(self._taps) + len(self._detectors)

    def heard(self, event: Event) -> None:
        """What an endpoint tells the control process: a key may end a recording."""
        if type(event) is DigitHeard:
            self._recordings.pressed(event.endpoint_id, event.digit)

    def leave(self, endpoint_id: str) -> None:
        """An endpoint is closed."""
        self._recordings.leave(endpoint_id)
        self._taps.leave(endpoint_id)
        self._detectors.leave(endpoint_id)

    def tick(self) -> None:
        """20 ms have passed, and all who listen have been told what was heard."""
        self._recordings.tick(self._clock.now)
        self._taps.tick(self._clock.now)
        self._detectors.tick()

    def stop(self) -> None:
        """The worker ends: files are completed."""
        self._recordings.stop()

    def _begin_recording(self, command: BeginRecording) -> None:
        self._recordings.begin(command, self._endpoints.get(command.endpoint_id))

    def _begin_tap(self, command: BeginTap) -> None:
        self._taps.begin(command, self._endpoints.get(command.endpoint_id))

    def _begin_detector(self, command: BeginDetector) -> None:
        self._detectors.begin(command, self._endpoints.get(command.endpoint_id))

    def _carry(self, command: BeginTap) -> Carrier:
        if command.scheme == "rtp":
            return RtpCarrier(command, self._new_sender(), self._address)
        return WebSocketCarrier(command, self._clock, self._draw)

    def _beep(self, command: BeginRecording) -> bool:
        """Over what the far end hears; keys that are being sent stand alone."""
        endpoint = self._endpoints[command.endpoint_id]
        if endpoint.speaker.is_pressing or not endpoint.speaker.is_open:
            return False
        play_id = f"beep {command.recording_id}"
        order = StartPlay(endpoint_id=command.endpoint_id, play_id=play_id, sources=())
        self._play(endpoint, order, Player((tone((BEEP_HZ,), BEEP_MS),)))
        return True
