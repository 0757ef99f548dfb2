"""What goes on on a call: each is begun by a method of `Call`, and can be steered until it has ended.

playing = await call.play_tts("Hello")      # it plays
await playing.ended()                       # it has been played

async with call.record() as recording:      # it records until the block is left
    await call.play_tts("Say something")
print(recording.url)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from cordboard.client.errors import CallEndedError, OperationError

if TYPE_CHECKING:
    from cordboard.client.operable_call import OperableCall

Json = dict[str, Any]
T = TypeVar("T", bound="Operation")


class Operation:
    """One thing that goes on, told apart by its `control_id`."""

    kind = ""
    """Of its methods: `play` in `calling.play.stop`."""
    final_states: tuple[str, ...] = ("finished", "error")

    def __init__(self, call: OperableCall, control_id: str) -> None:
        self.call = call
        self.control_id = control_id
        self.result: Json = {}
        """The answer to the request that began it."""
        self.event: Json = {}
        """The last event about it."""
        self._done = asyncio.Event()
        self._ended_by_call = False

    @property
    def state(self) -> str:
        """As the last event says."""
        return str(self.event.get("state", ""))

    @property
    def has_ended(self) -> bool:
        """Nothing more will come of it."""
        return self._done.is_set()

    async def stop(self) -> None:
        """End it; `ended` returns when it has."""
        if not self.has_ended:
            await self._ask("stop")

    async def ended(self, timeout: float | None = None) -> Self:
        """Wait for the end, `timeout` seconds at most.  Raises `OperationError`, `CallEndedError`."""
        async with asyncio.timeout(timeout):
            await self._done.wait()
        if self._ended_by_call and not self._is_final(self.event):
            raise CallEndedError(self.call.end_reason)
        if self._has_failed(self.event):
            raise OperationError(self.kind, self.event)
        return self

    async def _ask(self, what: str, **params: Any) -> Json:
        return await self.call.request(f"{self.kind}.{what}", control_id=self.control_id, **params)

    # ------------------------------------------------------------ from the call

    def take(self, event_type: str, body: Json) -> None:
        """An event with its control id."""
        self.event = body
        if self._is_final(body):
            self._done.set()

    def call_ended(self) -> None:
        """Nothing more comes."""
        self._ended_by_call = True
        self._done.set()

    def _is_final(self, body: Json) -> bool:
        return body.get("state") in self.final_states

    def _has_failed(self, body: Json) -> bool:
        return body.get("state") == "error"


class Playing(Operation):
    """Something is played."""

    kind = "play"

    async def pause(self) -> None:
        """Hold it where it is."""
        await self._ask("pause")

    async def resume(self) -> None:
        """Go on."""
        await self._ask("resume")

    async def set_volume(self, volume: float) -> None:
        """In dB, -40 to 40."""
        await self._ask("volume", volume=volume)


class Recording(Operation):
    """The call is recorded."""

    kind = "record"
    final_states = ("finished", "no_input", "error")

    @property
    def url(self) -> str:
        """Where the file can be fetched once it has ended."""
        return str(self.event.get("url") or self.result.get("url") or "")

    @property
    def duration(self) -> float:
        """Seconds, once it has ended."""
        return float(self.event.get("duration") or 0.0)

    @property
    def size(self) -> int:
        """Bytes, once it has ended."""
        return int(self.event.get("size") or 0)

    async def pause(self, *, skip: bool = False) -> None:
        """Record silence, or nothing at all (`skip`)."""
        await self._ask("pause", behavior="skip" if skip else "silence")

    async def resume(self) -> None:
        """Record again."""
        await self._ask("resume")


class Collecting(Operation):
    """Keys (or speech) are collected."""

    kind = "collect"

    @property
    def type(self) -> str:
        """`digit`, `speech`, `no_input`, `no_match` or `error`, once there is a result."""
        return str(self.event.get("result", {}).get("type", ""))

    @property
    def digits(self) -> str:
        """The keys, without the terminator."""
        return str(self._params().get("digits", ""))

    @property
    def terminator(self) -> str:
        """The key that ended it."""
        return str(self._params().get("terminator", ""))

    @property
    def text(self) -> str:
        """What was said."""
        return str(self._params().get("text", ""))

    @property
    def confidence(self) -> float | None:
        """Of `text`, 0 to 100."""
        value = self._params().get("confidence")
        return None if value is None else float(value)

    async def start_input_timers(self) -> None:
        """Let the time until the first key begin."""
        await self._ask("start_input_timers")

    def _params(self) -> Json:
        params: Json = self.event.get("result", {}).get("params") or {}
        return params

    def take(self, event_type: str, body: Json) -> None:
        """Of a prompt also the events of its playing come here: they are no result."""
        if event_type == "calling.call.collect":
            super().take(event_type, body)

    def _is_final(self, body: Json) -> bool:
        result = body.get("result")
        if not result or result.get("type") == "start_of_input":
            return False
        return body.get("final", True) is not False and body.get("state", "finished") != "collecting"

    def _has_failed(self, body: Json) -> bool:
        return self.type == "error"


class Prompting(Collecting):
    """Something is played, and keys are collected."""

    kind = "play_and_collect"

    async def set_volume(self, volume: float) -> None:
        """Of what is played, in dB."""
        await self._ask("volume", volume=volume)


class Detecting(Operation):
    """Somebody listens for a person, a machine, a fax or keys."""

    kind = "detect"

    def __init__(self, call: OperableCall, control_id: str) -> None:
        super().__init__(call, control_id)
        self.heard: list[str] = []
        """All that was detected: `HUMAN`, `MACHINE`, `READY`, `CED`, a digit, …"""
        self.beep = False
        """READY because of a beep."""

    @property
    def type(self) -> str:
        """`machine`, `fax` or `digit`."""
        return str(self.event.get("detect", {}).get("type", ""))

    @property
    def first(self) -> str:
        """What was detected first; empty: nothing."""
        return self.heard[0] if self.heard else ""

    def take(self, event_type: str, body: Json) -> None:
        """Keep what was heard."""
        params = body.get("detect", {}).get("params", {})
        event = str(params.get("event", ""))
        if event and event not in self.final_states:
            self.heard.append(event)
        self.beep = self.beep or bool(params.get("beep"))
        super().take(event_type, body)

    def _is_final(self, body: Json) -> bool:
        return body.get("detect", {}).get("params", {}).get("event") in self.final_states

    def _has_failed(self, body: Json) -> bool:
        return bool(body.get("detect", {}).get("params", {}).get("event") == "error")


class Tapping(Operation):
    """The audio is copied to a socket."""

    kind = "tap"

    @property
    def source(self) -> Json:
        """Where RTP comes from: `{addr, port, codec, ptime, rate}`; empty for a WebSocket."""
        source: Json = self.result.get("source_device", {}).get("params", {})
        return source


class SendingDigits(Operation):
    """Keys are pressed.  Where the call ends before the last one is out, it is the call that has ended."""

    kind = "send_digits"
    final_states = ("finished",)


class Beginning(Generic[T]):
    """An operation that has been asked for: `await` it, or enter it as an asynchronous context.

    A context ends the operation when it is left, and waits for its last event.
    """

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._begin = begin
        self._begun: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._begin().__await__()

    async def __aenter__(self) -> T:
        self._begun = await self._begin()
        return self._begun

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        begun = self._begun
        if begun is None or begun.has_ended or begun.call.has_ended:
            return
        await begun.stop()
        await begun.ended()
