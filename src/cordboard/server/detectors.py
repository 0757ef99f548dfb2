"""From a call's `StartDetector` to the worker that listens, and back."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import Detect
from cordboard.call.effects import StartDetector, StopDetector
from cordboard.call.facts import DetectorEnded, DetectorHeard
from cordboard.media.protocol import BeginDetector, DetectorClosed, DetectorTold, FinishDetector
from cordboard.server.media_engine import MediaEngine

_NO_MEDIA = "The call has no media that could be listened to."


class Detectors:
    """Each `StartDetector` has one `DetectorEnded`."""

    def __init__(
        self, media: MediaEngine, post: Callable[[str, DetectorHeard | DetectorEnded], None]
    ) -> None:
        self._media = media
        self._post = post
        self._open: set[tuple[str, str]] = set()
        """(call id, control id) of those that a worker has been told of."""

    def __len__(self) -> int:
        return len(self._open)

    def start(self, call_id: str, effect: StartDetector) -> None:
        if not self._media.is_open(call_id):
            self._post(call_id, DetectorEnded(control_id=effect.control_id, sentence=_NO_MEDIA))
            return
        self._open.add((call_id, effect.control_id))
        self._media.send(_order(call_id, effect.control_id, effect.detect))

    def stop(self, call_id: str, effect: StopDetector) -> None:
        if (call_id, effect.control_id) in self._open:
            self._media.send(FinishDetector(endpoint_id=call_id, detector_id=effect.control_id))

    def told(self, event: DetectorTold) -> None:
        fact = DetectorHeard(control_id=event.detector_id, event=event.event, beep=event.beep)
        self._post(event.endpoint_id, fact)

    def closed(self, event: DetectorClosed) -> None:
        key = (event.endpoint_id, event.detector_id)
        if key in self._open:
            self._open.discard(key)
            self._post(
                event.endpoint_id, DetectorEnded(control_id=event.detector_id, sentence=event.sentence)
            )

    def lost(self, call_ids: list[str], sentence: str) -> None:
        """Their worker died, and says nothing any more."""
        gone = set(call_ids)
        for call_id, detector_id in [key for key in self._open if key[0] in gone]:
            ended = f"{sentence[:1].upper()}{sentence[1:]}."
            self.closed(DetectorClosed(endpoint_id=call_id, detector_id=detector_id, sentence=ended))


def _order(call_id: str, detector_id: str, detect: Detect) -> BeginDetector:
    machine = detect.machine
    ready = machine.machine_ready_timeout
    return BeginDetector(
        endpoint_id=call_id,
        detector_id=detector_id,
        kind=detect.kind,
        tone=detect.tone,
        initial_timeout_ms=round(machine.initial_timeout * 1000),
        end_silence_ms=round(machine.end_silence_timeout * 1000),
        voice_ms=round(machine.machine_voice_threshold * 1000),
        words=machine.machine_words_threshold,
        ready_ms=round((machine.end_silence_timeout if ready is None else ready) * 1000),
        interruptions=machine.detect_interruptions,
        message_end=machine.detect_message_end,
    )
