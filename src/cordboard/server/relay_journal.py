"""The sessions of RELAY's clients on disk: lines at the end of a file, before a client hears of them.

A line is with the operating system before the event that it keeps goes out, so the death of this process,
however it comes, costs no client an event, and doubles none that it has answered.  Nothing waits for the disk
itself: what a power failure leaves of the last seconds is what the operating system had written of them.

It is not in the store, whose commits wait for the disk and are shared by all that happens in some fifty
milliseconds: clients hear of an event at once, and would be told of calls that a store did not know yet.

Lines, each of a session by its number: `S` all of it, which replaces what was said of it before; `E` one more
event (its frame); `P` the client has all events up to a number; `C` contexts; `B` a request of it was carried
out whose end is told later; `R` a request was answered; `L` when its socket was lost, null while it has one;
`X` it is over.

What is proven stays in the file until it is written anew: then each session gets an `S` in the next file,
some in each turn of the loop, and the files before it are deleted.  A disk that does not take lines makes
sessions as mortal as the process, until it takes all of them again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from cordboard.server.relay_stored import StoredSession

Snapshot = Callable[[], StoredSession | None]
"""How a session is now; None: it is over."""

_log = logging.getLogger(__name__)

MOST_BYTES = 256 << 20
"""Of all sessions together.  Where they are more, those that lost their socket first are not kept."""
_SMALLEST = 16 << 20
"""Bytes up to which a file is not worth being written anew."""
_AT_ONCE = 16
"""Sessions written anew in one turn of the loop."""
_RETRY = 5.0
"""Seconds after which a disk that failed is asked again."""

_encode = msgspec.json.Encoder().encode


class Journal:
    """Takes lines, and does nothing with them before it is open."""

    def __init__(self, *, most_bytes: int = MOST_BYTES, smallest: int = _SMALLEST) -> None:
        self._directory = Path()
        self._snapshots: Callable[[], Iterable[Snapshot]] = tuple
        self._most_bytes = most_bytes
        self._smallest = smallest
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []
        self._file: int | None = None
        self._older: list[Path] = []
        """Files that are not needed once all sessions are in the newest one."""
        self._index = 0
        self._size = 0
        self._limit = smallest
        self._waiting: deque[Snapshot] | None = None
        """Sessions that are not in the newest file yet."""
        self._kept = 0
        """Bytes of those that are."""
        self._is_settled = False
        """All is written that there is to say of the sessions; they may be forgotten in memory."""
        self._timer: asyncio.TimerHandle | None = None
        self._clearing: asyncio.Future[None] | None = None
        self.failures = 0
        """Times that the disk refused."""

    def open(self, directory: Path, snapshots: Callable[[], Iterable[Snapshot]]) -> None:
        """Begin a file with all sessions that there are, and forget the earlier files.  Blocks.

        `directory` is this server's alone.  `snapshots`: of each session, the most important ones first.
        """
        self._directory, self._snapshots = directory, snapshots
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._begin_file()
        except OSError as error:
            self._refused(error)
            return
        self._waiting = deque(snapshots())
        while self._waiting and self._file is not None:
            self._write_sessions()
            self.flush()
        self._waiting = None
        self._all_written()

    # ------------------------------------------------------------ lines

    def event(self, number: int, frame: bytes) -> None:
        """One that the client is not known to have."""
        self._add(b"E%d %b\n" % (number, frame))

    def known(self, number: int, event: int) -> None:
        """The client has all up to this event."""
        self._add(b"P%d %d\n" % (number, event))

    def note(self, kind: str, number: int, value: Any = None) -> None:
        """A line of another kind."""
        self._add(b"%b%d %b\n" % (kind.encode(), number, _encode(value)))

    def session(self, stored: StoredSession) -> None:
        """All of a session."""
        self._add(_session_line(stored))

    def _add(self, line: bytes) -> None:
        if self._file is None:
            return
        if not self._lines:
            self._loop.call_soon(self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Give what waits to the operating system: to be called before anything is sent."""
        if not self._lines or self._file is None:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        try:
            _write(self._file, data)
        except OSError as error:
            self._refused(error)
            return
        self._size += len(data)
        if self._size > self._limit and self._waiting is None and not self._is_settled:
            self._begin_anew()

    # ------------------------------------------------------------ files

    def _begin_file(self) -> None:
        self._older = sorted(self._directory.glob("*.log"))
        last = int(self._older[-1].stem) if self._older else 0
        self._index = max(self._index, last) + 1
        path = self._directory / f"{self._index:012}.log"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = self._kept = 0

    def _begin_anew(self) -> None:
        before = self._file
        try:
            self._begin_file()
        except OSError as error:
            self._refused(error)
            return
        if before is not None:
            os.close(before)
        self._waiting = deque(self._snapshots())
        self._next_sessions()

    def _next_sessions(self) -> None:
        if self._waiting is None or self._file is None:
            return
        self._write_sessions()
        if self._waiting:
            self._loop.call_soon(self._next_sessions)
            return
        self.flush()  # which begins no further file as long as this one is not whole
        self._waiting = None
        self._all_written()

    def _write_sessions(self) -> None:
        waiting = self._waiting
        assert waiting is not None
        for _ in range(min(_AT_ONCE, len(waiting))):
            self._again(waiting.popleft())

    def _all_written(self) -> None:
        """The files before the newest one go once that is on the disk itself."""
        self._limit = max(self._smallest, 2 * self._size)
        if self._file is None or not self._older:
            return
        older, self._older = self._older, []
        file = os.dup(self._file)
        self._clearing = self._loop.run_in_executor(None, _sync_and_unlink, file, older)

    def _again(self, snapshot: Snapshot) -> None:
        stored = snapshot()
        if stored is None:
            return
        line = _session_line(stored)
        if self._kept + len(line) > self._most_bytes:
            _log.warning("RELAY client %s: no room to keep its session on disk", stored.protocol)
            return
        self._kept += len(line)
        self._add(line)

    # ------------------------------------------------------------ trouble, and the end

    def _refused(self, error: OSError) -> None:
        _log.error("the sessions of RELAY clients cannot be kept on disk (%s); it is tried again", error)
        self.failures += 1
        self._lines.clear()
        self._waiting = None
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if not self._is_settled:
            self._timer = self._loop.call_later(_RETRY, self._begin_anew)

    def settle(self) -> None:
        """No session is written anew from now on: the files that there are have all of each."""
        self._is_settled = True
        self._waiting = None

    async def close(self) -> None:
        """Everything is on the disk itself after this."""
        self.settle()
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
        if self._clearing is not None:
            await asyncio.gather(self._clearing, return_exceptions=True)
        file, self._file = self._file, None
        if file is not None:
            await asyncio.to_thread(_sync_and_unlink, file, [])


def _session_line(stored: StoredSession) -> bytes:
    return b"S%d %b\n" % (stored.number, _encode(stored))


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_and_unlink(file: int, paths: list[Path]) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        _log.error("the sessions of RELAY clients are not on the disk itself: %s", error)
        return
    finally:
        os.close(file)
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
