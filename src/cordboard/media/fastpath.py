"""The run without the interpreter, where the compiled part of the worker (`_fastpath.c`) is there.

The loop's turn is then one call: packets that belong to a run pass from socket to socket in it, and what is
left is told as happenings.  The compiled part is optional; without it the same is done by `Run`, at about
twice the price.  What it needs of a run lies in its `Lane`: `Run` fills it when it begins, reads it when it
is counted, and takes it back when it ends.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import socket
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol

from cordboard.media.srtp import COMPILED_CALLS, Protection, Way

_DATAGRAM = 2048
_MOST_READY = 1024
_MOST_KEPT = 256
_MOST_MARKS = 32
_VERSION = 2
"""Of what this file and the compiled part say to each other."""
_MOST_LANES = 1 << 16
"""A higher file number gets no lane."""


class _Lane(ctypes.Structure):
    _fields_ = (
        ("expected", ctypes.c_uint64),
        ("step", ctypes.c_uint64),
        ("out", ctypes.c_uint64),
        ("out_step", ctypes.c_uint64),
        ("opens", ctypes.c_void_p),
        ("seals", ctypes.c_void_p),
        ("table", ctypes.c_char_p),
        ("ssrc", ctypes.c_uint32),
        ("out_ssrc", ctypes.c_uint32),
        ("armed", ctypes.c_int32),
        ("length", ctypes.c_int32),
        ("sink", ctypes.c_int32),
        ("left", ctypes.c_int32),
        ("marked", ctypes.c_int32),
        ("unsent", ctypes.c_int32),
        ("refused", ctypes.c_int32),
        ("unused", ctypes.c_int32),
        ("heads", ctypes.c_uint64 * _MOST_MARKS),
        ("times", ctypes.c_double * _MOST_MARKS),
    )


class _Happening(ctypes.Structure):
    _fields_ = (
        ("number", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("length", ctypes.c_int32),
        ("unused", ctypes.c_int32),
    )


class _Turn(ctypes.Structure):
    _fields_ = (
        ("now", ctypes.c_double),
        ("unprotect", ctypes.c_void_p),
        ("protect", ctypes.c_void_p),
        ("lanes", ctypes.c_void_p),
        ("lanes_length", ctypes.c_int32),
        ("handled", ctypes.c_int32),
        ("count", ctypes.c_int32),
        ("kept", ctypes.c_int32),
        ("happened", _Happening * _MOST_READY),
        ("packets", ctypes.c_uint8 * _DATAGRAM * _MOST_KEPT),
    )


_LAYOUT = (
    _VERSION,
    ctypes.sizeof(_Lane),
    _Lane.heads.offset,
    ctypes.sizeof(_Turn),
    _Turn.happened.offset,
)


class Kind(IntEnum):
    """What is told of a socket."""

    READABLE = 0
    RECEIVED = 1
    """A packet that is not the next one of the run, as it came."""
    OPENED = 2
    """One that was protected, and authentic."""
    ENDED = 3
    """The run has lasted long enough to be counted."""


class Heads(NamedTuple):
    """The first packet of a run that comes or leaves: its head, how that grows, its SSRC."""

    head: int
    step: int
    ssrc: int


class Passenger(Protocol):
    """Who has a lane (`Run`)."""

    def accept(self, data: bytes) -> None:
        """A packet that is not the next one."""
        ...

    def disarm(self) -> None:
        """The run is over."""
        ...


class Lane:
    """What the compiled part knows of a run: that of one connected socket."""

    __slots__ = ("_c", "_close", "_holds", "_number", "is_armed", "passenger", "protection")

    def __init__(
        self, number: int, passenger: Passenger, protection: Protection, close: Callable[[Lane], None]
    ) -> None:
        self._number = number
        self._c = _Lane()
        self._close = close
        self._holds: tuple[object, ...] = ()
        """What the compiled part has the addresses of."""
        self.passenger = passenger
        self.protection = protection
        self.is_armed = False
        """There is a run here, which may have ended by itself already."""

    @property
    def number(self) -> int:
        """Of the socket's file."""
        return self._number

    @property
    def address(self) -> int:
        """Where the compiled part finds it."""
        return ctypes.addressof(self._c)

    def arm(
        self, came: Heads, length: int, out: Heads, *, sink: Way, marks: int, table: bytes | None
    ) -> bool:
        """Packets of that length pass here until `marks` eighths; False if they must go by Python."""
        source = self.protection.way_in(self._number)
        if source is None or ((source.session or sink.session) and not COMPILED_CALLS):
            return False
        c = self._c
        c.expected, c.step, c.ssrc = came
        c.out, c.out_step, c.out_ssrc = out
        c.opens, c.seals, c.table = source.session, sink.session, table
        c.length, c.sink, c.left = length, sink.number, marks
        c.marked = c.unsent = c.refused = 0
        self._holds = (source, sink, table)
        c.armed = 1
        self.is_armed = True
        return True

    def disarm(self) -> None:
        """Nothing passes any more."""
        self._c.armed = 0
        self.is_armed = False
        self._holds = ()

    def heads(self) -> tuple[int, int]:
        """Of the packets that come and leave next."""
        return self._c.expected, self._c.out

    def take_marks(self) -> list[tuple[int, float]]:
        """(head, arrival) of every eighth packet since the last call."""
        c = self._c
        marked, c.marked = c.marked, 0
        return [(c.heads[at], c.times[at]) for at in range(marked)]

    def take_unsent(self) -> int:
        """Packets that the system did not take, since the last call; those that were not authentic are told
        to the protection."""
        c = self._c
        self.protection.refused += c.refused
        unsent: int = c.unsent
        c.unsent = c.refused = 0
        return unsent

    def tell(self, kind: int, data: bytes) -> None:
        """What happened here."""
        if kind == Kind.ENDED:
            self.passenger.disarm()
            return
        # It is judged by the keys of now, which may have come within this turn.
        plain = data if kind == Kind.OPENED else self.protection.open(data)
        if plain is not None:
            self.passenger.accept(plain)

    def close(self) -> None:
        """Before the socket is closed."""
        self.disarm()
        self._close(self)


class FastPath:
    """One loop's turns, and the lanes of its sockets."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._call = library.fastpath_turn
        self._call.argtypes = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32)
        self._turn = _Turn()
        self._at = ctypes.addressof(self._turn)
        self._pointers = (ctypes.c_void_p * 0)()
        self._lanes: dict[int, Lane] = {}
        self._new: set[int] = set()
        """Sockets whose lane is younger than the last turn: what it told was of another socket, whose file
        number they have got."""
        if COMPILED_CALLS:
            self._turn.unprotect, self._turn.protect = COMPILED_CALLS

    def lane(self, one: socket.socket, passenger: Passenger, protection: Protection) -> Lane | None:
        """For what this connected socket brings."""
        number = one.fileno()
        if not 0 <= number < _MOST_LANES:
            return None
        if number >= len(self._pointers):
            longer = (ctypes.c_void_p * (2 * number + 64))()
            ctypes.memmove(longer, self._pointers, ctypes.sizeof(self._pointers))
            self._pointers = longer
            self._turn.lanes, self._turn.lanes_length = ctypes.addressof(longer), len(longer)
        self._new.add(number)
        lane = self._lanes[number] = Lane(number, passenger, protection, self._forget)
        self._pointers[number] = lane.address
        return lane

    def _forget(self, lane: Lane) -> None:
        if self._lanes.get(lane.number) is lane:
            del self._lanes[lane.number]
            self._pointers[lane.number] = None

    def lane_of(self, number: int) -> Lane | None:
        """Of a socket of which the last turn has told, by its file number; None if that is closed."""
        return self._lanes.get(number) if number not in self._new else None

    def turn(self, epoll: int, wait: float) -> int:
        """Wait for at most so many seconds and pass on what can be; how many sockets had something.

        Raises OSError if `epoll` is none.
        """
        self._new.clear()
        if self._call(self._at, epoll, math.ceil(wait * 1000)) < 0:
            raise OSError("epoll_wait failed")
        handled: int = self._turn.handled
        return handled

    @property
    def now(self) -> float:
        """When the last turn found what it found, in monotonic seconds."""
        now: float = self._turn.now
        return now

    def happened(self) -> Iterator[tuple[int, int, bytes]]:
        """(file number, `Kind`, packet) of the last turn, in order; no turn may begin meanwhile."""
        turn, kept = self._turn, 0
        for at in range(turn.count):
            one = turn.happened[at]
            kind = one.kind
            if kind in (Kind.RECEIVED, Kind.OPENED):
                yield one.number, kind, bytes(memoryview(turn.packets[kept])[: one.length])
                kept += 1
            else:
                yield one.number, kind, b""


def load() -> FastPath | None:
    """None where it was not compiled, or for another version of this file."""
    spec = importlib.util.find_spec("cordboard.media._fastpath")
    if spec is None or spec.origin is None:
        return None
    try:
        library = ctypes.CDLL(spec.origin)
        layout = library.fastpath_layout
        layout.restype = ctypes.c_int64
        return FastPath(library) if tuple(layout(at) for at in range(len(_LAYOUT))) == _LAYOUT else None
    except (OSError, AttributeError):
        return None
