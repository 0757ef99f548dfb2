"""Sessions of RELAY's clients as an earlier run of the server left them (`relay_journal` tells the lines)."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from cordboard.relay.frames import Remember
from cordboard.relay.open_ends import NAMES, OpenEnds, last_event
from cordboard.server.recovery import Operation

_log = logging.getLogger(__name__)


Answer = tuple[str | int, str, msgspec.Raw]
"""The id of a request, its digest in hex digits, the frame that answers it."""
MOST_ANSWERS = 16
"""Kept of a session: those to requests that a client may send again, as it has not heard of them."""


def as_answer(answer: Remember) -> Answer:
    """For the disk."""
    return answer.id, answer.digest.hex(), msgspec.Raw(answer.frame)


def from_answer(answer: Answer) -> Remember:
    """From there."""
    return Remember(answer[0], bytes.fromhex(answer[1]), bytes(answer[2]))


class StoredSession(msgspec.Struct, kw_only=True):
    """All of a session that outlives the process."""

    number: int
    """Its name in the files."""
    protocol: str
    project: str
    contexts: list[str]
    left_at: float | None = None
    """Since when it has no socket, in seconds since the epoch; None: it had one to the end."""
    last: int = 0
    """The number of its newest event."""
    frames: list[msgspec.Raw] = []
    """Of the events that its client is not known to have."""
    answers: list[Answer] = []
    """The latest ones, the oldest first."""
    ends: OpenEnds = msgspec.field(default_factory=OpenEnds)
    """What its client was told of that has not ended."""


class _Body(msgspec.Struct):
    event_type: str
    params: dict[str, Any]


class _Frame(msgspec.Struct):
    id: str
    params: _Body


_frame = msgspec.json.Decoder(_Frame)
_answer = msgspec.json.Decoder(Answer)
_accepted = msgspec.json.Decoder(tuple[str, str, dict[str, Any], str | None])
_session = msgspec.json.Decoder(StoredSession)
_LINE = re.compile(rb"([SEPCBRLX])(\d+) (.*)", re.DOTALL)


def event_id(frame: bytes) -> str:
    """Of a `signalwire.event`."""
    return _frame.decode(frame).id


def owed(sessions: Iterable[StoredSession]) -> dict[str, list[Operation]]:
    """By call id: the last events of what clients have under way, for the records of those calls."""
    found: dict[str, list[Operation]] = {}
    for session in sessions:
        for call_id, call in session.ends.calls.items():
            for operation in call.operations.values():
                kind, params = last_event(operation)
                told = {name: value for name, value in params.items() if name not in ("final", *NAMES)}
                if kind == "calling.call.collect":
                    del told["state"]
                found.setdefault(call_id, []).append((kind, told, operation.status_url))
    return found


def read(directory: Path) -> list[StoredSession]:
    """What the files of the directory come to, the oldest session first.  Raises OSError."""
    found: dict[int, _Session] = {}
    for path in sorted(directory.glob("*.log")):
        for line in _lines(path):
            try:
                _take(found, line)
            except (msgspec.DecodeError, msgspec.ValidationError, KeyError, ValueError) as error:
                # Nobody finishes a line when the process dies; the file that follows begins anew.
                _log.warning("%s: a line cannot be read, and none behind it is: %s", path, error)
                break
    return [session.stored() for session in found.values()]


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


class _Session:
    """One that is being put together."""

    def __init__(self, stored: StoredSession) -> None:
        self.it = stored
        self.frames = deque(bytes(frame) for frame in stored.frames)

    def stored(self) -> StoredSession:
        self.it.frames = [msgspec.Raw(frame) for frame in self.frames]
        return self.it

    def event(self, value: bytes) -> None:
        body = _frame.decode(value).params
        self.frames.append(value)
        self.it.last += 1
        self.it.ends.told(body.event_type, body.params)

    def known(self, value: bytes) -> None:
        for _ in range(min(int(value) - (self.it.last - len(self.frames)), len(self.frames))):
            self.frames.popleft()

    def contexts(self, value: bytes) -> None:
        self.it.contexts = msgspec.json.decode(value, type=list[str])

    def accepted(self, value: bytes) -> None:
        self.it.ends.accepted(*_accepted.decode(value))

    def answer(self, value: bytes) -> None:
        id_, digest, frame = _answer.decode(value)
        self.it.answers = [*self.it.answers[1 - MOST_ANSWERS :], (id_, digest, frame.copy())]

    def left(self, value: bytes) -> None:
        self.it.left_at = msgspec.json.decode(value, type=float | None)


def _take(found: dict[int, _Session], line: bytes) -> None:
    matched = _LINE.fullmatch(line[:-1]) if line.endswith(b"\n") else None
    if matched is None:
        raise ValueError("it is cut off")
    kind, number, value = matched[1], int(matched[2]), matched[3]
    if kind == b"S":
        found[number] = _Session(_session.decode(value))
    elif kind == b"X":
        found.pop(number, None)
    elif number in found:
        _CHANGE[kind](found[number], value)


_CHANGE: dict[bytes, Callable[[_Session, bytes], None]] = {
    b"E": _Session.event,
    b"P": _Session.known,
    b"C": _Session.contexts,
    b"B": _Session.accepted,
    b"R": _Session.answer,
    b"L": _Session.left,
}
