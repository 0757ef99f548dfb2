"""What calls do with their media beside talking: they play, they are recorded, tapped and listened to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call import effects as fx
from cordboard.call.call import Call
from cordboard.media import protocol
from cordboard.server.detectors import Detectors
from cordboard.server.playback import Playback
from cordboard.server.recordings import Recordings
from cordboard.server.taps import Taps

Perform = Callable[[Call, Any], None]


class CallMedia:
    """`performers`: who carries an effect out; `handlers`: who takes a worker's event."""

    def __init__(self, playback: Playback, recordings: Recordings, taps: Taps, detectors: Detectors) -> None:
        self.playback = playback
        self.recordings = recordings
        self._taps = taps
        self._detectors = detectors
        self.performers: dict[type, Perform] = {
            fx.PlayTo: _of_call(playback.play),
            fx.StopPlay: _of_call(playback.stop),
            fx.PausePlay: _of_call(playback.pause),
            fx.ResumePlay: _of_call(playback.resume),
            fx.SetPlayVolume: _of_call(playback.set_volume),
            fx.StartRecording: _of_call(recordings.start),
            fx.StopRecording: _of_call(recordings.stop),
            fx.PauseRecording: _of_call(recordings.pause),
            fx.ResumeRecording: _of_call(recordings.resume),
            fx.StartTap: _of_call(taps.start),
            fx.StopTap: _of_call(taps.stop),
            fx.StartDetector: _of_call(detectors.start),
            fx.StopDetector: _of_call(detectors.stop),
        }
        self.handlers: dict[type, Callable[[Any], None]] = {
            protocol.PlayEnded: playback.ended,
            protocol.RecordingBegun: recordings.begun,
            protocol.RecordingClosed: recordings.closed,
            protocol.TapBegun: taps.begun,
            protocol.TapClosed: taps.closed,
            protocol.DetectorTold: detectors.told,
            protocol.DetectorClosed: detectors.closed,
        }

    def counts(self) -> dict[str, int]:
        """What is held for calls: all 0 at rest."""
        return {
            "plays": len(self.playback),
            "recordings": len(self.recordings),
            "taps": len(self._taps),
            "detectors": len(self._detectors),
        }

    def pressed(self, call_id: str, digit: str) -> None:
        """A key that came by SIP."""
        self.recordings.pressed(call_id, digit)

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self.playback.forget(call_id)

    def lost(self, call_ids: list[str], sentence: str) -> None:
        """Their worker died."""
        self.recordings.lost(call_ids, sentence)
        self._taps.lost(call_ids, sentence)
        self._detectors.lost(call_ids, sentence)

    async def close(self) -> None:
        """Nothing is fetched, spoken or encoded any more."""
        await self.playback.close()
        await self.recordings.close()


def _of_call(work: Callable[[str, Any], None]) -> Perform:
    def perform(call: Call, effect: Any) -> None:
        work(call.info.call_id, effect)

    return perform
