"""WAV files that grow while a call is recorded, written by a thread: a slow disk delays no packet.

The tick hands pieces over and looks at what has become of them; it never waits.  The header is brought up to
date every few seconds, so that what a crash leaves behind can be played, and `mend` completes it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from cordboard.media.tones import SAMPLE_RATE

HEADER_BYTES = 44
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_LARGEST = 0xFFFFFFFF - HEADER_BYTES
_PIECE = 8_000
"""Bytes that are gathered before the thread is woken: half a second of one channel."""
_MENDED_EVERY = 10 * _PIECE
_MOST_ORDERS = 4_096
"""Pieces that wait for the disk, of all recordings together: 32 MiB."""
_LAST_PATIENCE = 5.0
"""Seconds that a worker which ends gives the disk."""

Order = Callable[[], None]


def header(size: int, channels: int) -> bytes:
    """The 44 bytes before `size` bytes of 16-bit PCM at 8 kHz."""
    size = min(size, _LARGEST)
    block = 2 * channels
    return _HEADER.pack(
        b"RIFF", size + HEADER_BYTES - 8, b"WAVE",
        b"fmt ", 16, 1, channels, SAMPLE_RATE, SAMPLE_RATE * block, block, 16,
        b"data", size,
    )  # fmt: skip


def mend(path: Path) -> int:
    """Make the header of a file of this module fit its length; returns the bytes of audio.

    Raises OSError; ValueError if it is no such file.
    """
    with path.open("r+b") as file:
        head = file.read(HEADER_BYTES)
        if len(head) < HEADER_BYTES or head[:4] != b"RIFF" or head[36:40] != b"data":
            raise ValueError("not a recording")
        channels = head[22]
        size = file.seek(0, os.SEEK_END) - HEADER_BYTES
        size -= size % (2 * channels)
        file.seek(0)
        file.write(header(size, channels))
    return size


class RecordingFile:
    """One file.  `write` and `close` come from the tick; the rest happens in the thread.

    `is_open`, `is_closed` and `problem` say how far it is; after a `problem` nothing more is written.
    """

    __slots__ = (
        "_channels",
        "_closing",
        "_disk",
        "_gathered",
        "_number",
        "_path",
        "_size",
        "_told",
        "is_closed",
        "is_open",
        "problem",
    )

    def __init__(self, disk: Disk, path: str, channels: int) -> None:
        self._disk = disk
        self._path = path
        self._channels = channels
        self._gathered = bytearray()
        self._closing = False
        self._number = -1
        self._size = self._told = 0
        self.is_open = False
        self.is_closed = False
        self.problem = ""
        if not disk.order(self._open):
            self.problem = "The disk does not keep up with the recordings."
            self.is_closed = True

    def write(self, pcm: bytes) -> None:
        """What follows."""
        self._gathered += pcm
        if len(self._gathered) >= _PIECE and not self.problem:
            self._hand_over()

    def close(self) -> bool:
        """Write what is left, then close.  False: the disk is too far behind, ask again."""
        if self._closing or self.is_closed:
            return True
        piece = bytes(self._gathered)
        self._closing = self._disk.order(lambda: self._finish(piece))
        return self._closing

    def _hand_over(self) -> None:
        piece = bytes(self._gathered)
        self._gathered.clear()
        if not self._disk.order(lambda: self._append(piece)):
            self.problem = "The disk does not keep up with the recordings."

    # -------------------------------------------------------------- in the thread

    def _open(self) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._number = os.open(self._path, flags, 0o640)
            _write_all(self._number, header(0, self._channels))
            self.is_open = True
        except OSError as error:
            self._fail(error)

    def _append(self, piece: bytes) -> None:
        if self._number < 0 or self.problem:
            return
        try:
            _write_all(self._number, piece)
            self._size += len(piece)
            if self._size - self._told >= _MENDED_EVERY:
                self._mend()
        except OSError as error:
            self._fail(error)

    def _finish(self, piece: bytes) -> None:
        self._append(piece)
        if self._number >= 0:
            # After a failed write as well: what is there shall be playable.
            with contextlib.suppress(OSError):
                self._mend()
            self._close_file()
        self.is_closed = True

    def _close_file(self) -> None:
        try:
            os.close(self._number)
        except OSError as error:
            self._fail(error)
        self._number = -1

    def _mend(self) -> None:
        os.pwrite(self._number, header(self._size, self._channels), 0)
        self._told = self._size

    def _fail(self, error: OSError) -> None:
        reason = os.strerror(error.errno) if error.errno else str(error)
        self.problem = self.problem or f"The recording could not be written: {reason}."


def _write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]


class Disk:
    """The thread that writes all recordings of a worker; it begins with the first one."""

    def __init__(self, most_orders: int = _MOST_ORDERS) -> None:
        self._orders: queue.Queue[Order | None] = queue.Queue(most_orders)
        self._thread: threading.Thread | None = None

    def order(self, work: Order) -> bool:
        """Have it done after all that was ordered before; False if too much waits already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="recordings", daemon=True)
            self._thread.start()
        try:
            self._orders.put_nowait(work)
        except queue.Full:
            return False
        return True

    def stop(self) -> None:
        """Wait until all is written, but not for ever."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._orders.put(None, timeout=_LAST_PATIENCE)
            self._thread.join(_LAST_PATIENCE)

    def _work(self) -> None:
        while (work := self._orders.get()) is not None:
            work()
