"""One media worker seen from the control process: started, fed with commands, buried and started again."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable

import msgspec

from cordboard.media.channel import ChannelError, event_reader, frames
from cordboard.media.protocol import Command, Event, Ping, Pong
from cordboard.media.worker import WorkerSettings

_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_SOUND = 10.0
"""Seconds that a worker must live for its death to count as a first one."""
_STOP_PATIENCE = 2.0
_START_PATIENCE = 10.0
"""Seconds for the interpreter to start, the modules to load and the first command to be answered."""
_FIRST_PING = -1
"""Serial of the question that only a worker that is ready answers; nobody else asks it."""

_logger = logging.getLogger(__name__)


class WorkerProcess(asyncio.Protocol):
    """One worker: its process, its socket, and the endpoints on it."""

    def __init__(
        self,
        settings: Callable[[int], WorkerSettings],
        *,
        on_event: Callable[[WorkerProcess, Event], None],
        on_died: Callable[[WorkerProcess, str], None],
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._on_died = on_died
        self._events = event_reader()
        self._outbox: list[Command] = []
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._guardian: asyncio.Task[None] | None = None
        self._pause = _SHORTEST_PAUSE
        self._answered = asyncio.Event()
        self.endpoints: set[str] = set()
        self.link_path = settings(0).link_path

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        return None if self._process is None or self._transport is None else self._process.pid

    @property
    def is_alive(self) -> bool:
        """It takes commands."""
        return self._transport is not None

    @property
    def is_ready(self) -> bool:
        """It carries out commands without delay: one that has just been started still loads its modules."""
        return self._transport is not None and self._answered.is_set()

    async def start(self) -> None:
        """Start the process and watch over it until `stop`; it is ready when this returns.

        Raises OSError if it cannot be started, ends at once or does not answer; then it is gone.
        """
        try:
            await self._spawn()
            await self._until_ready()
        except BaseException:
            await self._end_process()
            raise
        self._guardian = asyncio.create_task(self._guard())

    async def stop(self) -> None:
        """The process ends because its socket closes."""
        self._stopping = True
        if self._guardian is None:
            return
        self._hang_up()
        try:
            async with asyncio.timeout(_STOP_PATIENCE):
                await asyncio.shield(self._guardian)
        except TimeoutError:
            self._kill()
            await self._guardian

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _end_process(self) -> None:
        """Of one that was not yet watched over."""
        self._hang_up()
        self._kill()
        if self._process is not None:
            await self._process.wait()

    async def _until_ready(self) -> None:
        assert self._process is not None
        answered = asyncio.create_task(self._answered.wait())
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait(
                (answered, ended), timeout=_START_PATIENCE, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            answered.cancel()
            ended.cancel()
        if self._process.returncode is not None:
            raise OSError(f"a media worker {_how(self._process.returncode)} before it was ready")
        if not self._answered.is_set():
            raise OSError(f"a media worker did not answer within {_START_PATIENCE:.0f} s of its start")

    def send(self, command: Command) -> None:
        """With all others of this turn of the loop, in one write.  Lost if the worker is dead."""
        if self._transport is None:
            return
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(command)

    def _flush(self) -> None:
        commands, self._outbox = self._outbox, []
        if self._transport is not None:
            self._transport.write(frames(commands))

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await self._run(theirs.fileno())
            self._events = event_reader()
            self._outbox = []
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            self._answered.clear()
            self._transport, _ = await loop.connect_accepted_socket(lambda: self, ours)
        except BaseException:
            ours.close()
            raise
        self.send(Ping(serial=_FIRST_PING))
        if self._stopping:
            self._hang_up()

    async def _run(self, fd: int) -> asyncio.subprocess.Process:
        settings = msgspec.json.encode(self._settings(fd)).decode()
        command = (sys.executable, "-m", "cordboard.media.worker", settings)
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=(fd,)
        )

    async def _guard(self) -> None:
        while self._process is not None:
            since = time.monotonic()
            code = await self._process.wait()
            if self._stopping:
                return
            self._bury(code)
            await asyncio.sleep(self._next_pause(time.monotonic() - since))
            if self._stopping:
                return
            await self._respawn()

    async def _respawn(self) -> None:
        while not self._stopping:
            try:
                await self._spawn()
                return
            except OSError:
                _logger.exception("a media worker cannot be started")
                await asyncio.sleep(self._next_pause(0.0))

    def _next_pause(self, lived: float) -> float:
        pause = _SHORTEST_PAUSE if lived >= _SOUND else self._pause
        self._pause = min(_LONGEST_PAUSE, pause * 2)
        return pause

    def _bury(self, code: int) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._on_died(self, f"the media worker {_how(code)}")

    # -------------------------------------------------------------- asyncio.Protocol

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing reaches the process any more; what was lost is told when it has ended."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Events."""
        try:
            for event in self._events.feed(data):
                if type(event) is Pong and event.serial == _FIRST_PING:
                    self._answered.set()
                else:
                    self._on_event(self, event)
        except ChannelError:
            _logger.exception("a media worker sends nonsense; it is replaced")
            self._kill()


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
