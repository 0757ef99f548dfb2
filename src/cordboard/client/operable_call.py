"""The operations of a call: what can be begun on it."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from cordboard.client.operations import (
    Beginning,
    Collecting,
    Detecting,
    Operation,
    Playing,
    Prompting,
    Recording,
    SendingDigits,
    Tapping,
)
from cordboard.client.playlist import Playlist, What, audio, items_of, ringtone, silence, tts

Json = dict[str, Any]
OperationT = TypeVar("OperationT", bound=Operation)


class OperableCall:
    """A call, as far as operations on it go; `Call` is the whole."""

    def __init__(self) -> None:
        self._operations: dict[str, Operation] = {}

    @property
    def has_ended(self) -> bool:
        """It is over."""
        raise NotImplementedError

    @property
    def end_reason(self) -> str:
        """Once it has ended."""
        raise NotImplementedError

    async def request(self, method: str, **params: Any) -> Json:
        """`calling.<method>` about this call; its result."""
        raise NotImplementedError

    def play(self, what: What, *, volume: float | None = None) -> Beginning[Playing]:
        """Play one thing or a list.  `volume` in dB; that of a `Playlist` if there is none here."""
        louder = what.volume if volume is None and isinstance(what, Playlist) else volume
        return self.begin(Playing, "play", play=items_of(what), volume=louder)

    def play_tts(
        self,
        text: str,
        *,
        language: str | None = None,
        gender: str | None = None,
        voice: str | None = None,
        volume: float | None = None,
    ) -> Beginning[Playing]:
        """Say something."""
        return self.play(tts(text, language=language, gender=gender, voice=voice), volume=volume)

    def play_audio(self, url: str, *, volume: float | None = None) -> Beginning[Playing]:
        """Play a file."""
        return self.play(audio(url), volume=volume)

    def play_silence(self, seconds: float) -> Beginning[Playing]:
        """Play nothing for a while."""
        return self.play(silence(seconds))

    def play_ringtone(
        self, country: str = "us", seconds: float | None = None, *, volume: float | None = None
    ) -> Beginning[Playing]:
        """Play the ringing tone of a country."""
        return self.play(ringtone(country, seconds), volume=volume)

    def record(
        self,
        *,
        format: str | None = None,
        stereo: bool | None = None,
        direction: str | None = None,
        beep: bool | None = None,
        terminators: str | None = None,
        initial_timeout: float | None = None,
        end_silence_timeout: float | None = None,
        input_sensitivity: float | None = None,
    ) -> Beginning[Recording]:
        """Record; what is left out is as the server has it.

        `format`: `wav` or `mp3`.  `direction`: `speak` (what the far end says), `listen` (what it hears) or
        `both`.  `terminators`: keys that end it.  `initial_timeout`, `end_silence_timeout`: seconds of
        silence, at the beginning and later, that end it; 0: none does.  `input_sensitivity`: 0 to 100.
        """
        options = given(
            format=format,
            stereo=stereo,
            direction=direction,
            beep=beep,
            terminators=terminators,
            initial_timeout=initial_timeout,
            end_silence_timeout=end_silence_timeout,
            input_sensitivity=input_sensitivity,
        )
        return self.begin(Recording, "record", record={"audio": options})

    def prompt(
        self,
        what: What,
        *,
        max_digits: int | None = None,
        terminators: str | None = None,
        digit_timeout: float | None = None,
        initial_timeout: float | None = None,
        speech: Json | None = None,
        volume: float | None = None,
    ) -> Beginning[Prompting]:
        """Play, and collect keys (`max_digits`) or speech; the first key ends the playing.

        `terminators`: keys that end it and do not count.  `initial_timeout`, `digit_timeout`: seconds until
        the first key, and between two.  `volume` in dB.  Give `max_digits`, one of the other two, or
        `speech`, as the protocol has it.
        """
        digits = _digits(max_digits, terminators, digit_timeout)
        collect = given(initial_timeout=initial_timeout, digits=digits, speech=speech)
        return self.begin(Prompting, "play_and_collect", play=items_of(what), collect=collect, volume=volume)

    def collect(
        self,
        *,
        max_digits: int | None = None,
        terminators: str | None = None,
        digit_timeout: float | None = None,
        initial_timeout: float | None = None,
        speech: Json | None = None,
        partial_results: bool | None = None,
        continuous: bool | None = None,
        send_start_of_input: bool | None = None,
        start_input_timers: bool | None = True,
    ) -> Beginning[Collecting]:
        """Collect keys or speech beside whatever else goes on; the arguments are those of `prompt`.

        `start_input_timers`: the time until the first key begins at once; False: with
        `Collecting.start_input_timers`.  `continuous`: go on after a result, until it is stopped.
        """
        return self.begin(
            Collecting,
            "collect",
            digits=_digits(max_digits, terminators, digit_timeout),
            speech=speech,
            initial_timeout=initial_timeout,
            partial_results=partial_results,
            continuous=continuous,
            send_start_of_input=send_start_of_input,
            start_input_timers=start_input_timers,
        )

    def detect(self, kind: str, *, timeout: float | None = None, **params: Any) -> Beginning[Detecting]:
        """Listen for a `machine`, a `fax` or a `digit` of the far end; `params` as the protocol has them.

        `timeout`: seconds after which it ends in any case.
        """
        return self.begin(Detecting, "detect", detect={"type": kind, "params": params}, timeout=timeout)

    def detect_machine(self, *, timeout: float | None = None, **params: Any) -> Beginning[Detecting]:
        """A person or an answering machine: `HUMAN`, `UNKNOWN`, or `MACHINE` and then `READY`.

        `params`: `initial_timeout`, `end_silence_timeout`, `machine_voice_threshold`, `machine_ready_timeout`
        (seconds), `machine_words_threshold`, `detect_interruptions`, `detect_message_end` (False: `MACHINE`
        is the last word).
        """
        return self.detect("machine", timeout=timeout, **params)

    def detect_fax(self, *, tone: str | None = None, timeout: float | None = None) -> Beginning[Detecting]:
        """The tone of a fax machine: `CED` of one that answers, `CNG` of one that calls."""
        return self.detect("fax", timeout=timeout, **given(tone=tone))

    def detect_digit(
        self, *, digits: str | None = None, timeout: float | None = None
    ) -> Beginning[Detecting]:
        """Keys of the far end, those in `digits`: each is told, until the time is up or it is stopped."""
        return self.detect("digit", timeout=timeout, **given(digits=digits))

    def tap(
        self,
        uri: str,
        *,
        direction: str = "both",
        codec: str | None = None,
        rate: int | None = None,
        ptime: int | None = None,
    ) -> Beginning[Tapping]:
        """Copy the audio to `ws://…`, `wss://…` or `rtp://address:port`.

        `direction`: `speak` (what the far end says), `listen` (what it hears) or `both`.  `codec`: `PCMU` or
        `PCMA`.  `ptime`: milliseconds, for RTP.
        """
        if uri.startswith("rtp://"):
            address, _, port = uri.removeprefix("rtp://").rpartition(":")
            params = given(addr=address, port=int(port), codec=codec, rate=rate, ptime=ptime)
            device = {"type": "rtp", "params": params}
        else:
            device = {"type": "ws", "params": given(uri=uri, codec=codec, rate=rate)}
        what = {"type": "audio", "params": {"direction": direction}}
        return self.begin(Tapping, "tap", tap=what, device=device)

    async def send_digits(self, digits: str) -> None:
        """Press keys (`0-9 * # A-D`, `w` and `W` for 0.5 s and 1 s); returns when the last one is out."""
        sending = await self.begin(SendingDigits, "send_digits", digits=digits)
        await sending.ended()

    def begin(self, kind: type[OperationT], method: str, **params: Any) -> Beginning[OperationT]:
        """An operation that is begun by `calling.<method>`; params that are None are left out."""
        return Beginning(lambda: self._start(kind, method, given(**params)))

    async def _start(self, kind: type[OperationT], method: str, params: Json) -> OperationT:
        operation = kind(self, str(uuid.uuid4()))
        self._operations[operation.control_id] = operation
        try:
            operation.result = await self.request(method, control_id=operation.control_id, **params)
        except BaseException:
            self._operations.pop(operation.control_id, None)
            raise
        return operation

    def _finish_operation(self, event_type: str, body: Json) -> None:
        """Hand an event to the operation that it is about."""
        operation = self._operations.get(str(body.get("control_id", "")))
        if operation is None:
            return
        operation.take(event_type, body)
        if operation.has_ended:
            del self._operations[operation.control_id]

    def _end_operations(self) -> None:
        operations, self._operations = self._operations, {}
        for operation in operations.values():
            operation.call_ended()


def given(**params: Any) -> Json:
    """Without what is None."""
    return {key: value for key, value in params.items() if value is not None}


def _digits(max_digits: int | None, terminators: str | None, digit_timeout: float | None) -> Json | None:
    digits = given(max=max_digits, terminators=terminators, digit_timeout=digit_timeout)
    return digits or None
