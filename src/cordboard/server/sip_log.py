"""Which SIP messages belonged to which call: what `cordboard explain` draws its ladder from.

While a call lasts only references to its messages are kept; they are read when it is over.  Of a message
the record has its first line and what one looks for in a ladder, never a header that may hold a secret.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import lru_cache

import msgspec

from cordboard.sip.endpoint import Endpoint

MAX_MESSAGES = 200
"""Kept of one call: the first half, and the last."""
MAX_STRAYS = 256
"""Dialogs that are no calls (yet) of which messages are kept."""
MAX_STRAY_BYTES = 1 << 21
"""Of all these messages."""
LINGER = 1.0
"""Seconds after a call's end in which its last messages still arrive."""
_MAX_LINE = 200
_MAX_NOTE = 120
_CRYPTO = "a=crypto"


class SipNote(msgspec.Struct, frozen=True, array_like=True):
    """One message of a ladder."""

    at: float
    """Seconds since the epoch."""
    sent: bool
    """By this server."""
    far_end: str
    """`UDP 192.0.2.1:5060`; empty: a remark of this server."""
    line: str
    """`INVITE sip:bob@example.com`, or `180 Ringing [INVITE]`"""
    note: str = ""
    """The media lines of its SDP, its Reason, what a challenge wanted."""


_Kept = tuple[float, bool, bytes, Endpoint | None]
"""When, whether it was sent, the message, the far end; without one: the text of a remark."""
_BY_TRUNK = "by the trunk "


class _Ladder:
    """The messages of one call."""

    __slots__ = ("dropped", "first", "last", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.first: list[_Kept] = []
        self.last: deque[_Kept] = deque(maxlen=MAX_MESSAGES // 2)
        self.dropped = 0

    def add(self, kept: _Kept) -> None:
        if len(self.first) < MAX_MESSAGES // 2:
            self.first.append(kept)
            return
        self.dropped += len(self.last) == self.last.maxlen
        self.last.append(kept)

    def notes(self) -> list[SipNote]:
        notes = [_read(kept) for kept in self.first]
        if self.dropped:
            notes.append(SipNote(self.last[0][0], True, "", f"… {self.dropped} messages left out"))
        return notes + [_read(kept) for kept in self.last]


class SipLog:
    """`note` takes every message, `begin` and `over` frame a call; `save(number, bytes)` stores a ladder."""

    def __init__(self, save: Callable[[int, bytes], None], clock: Callable[[], float] = time.time) -> None:
        self._save = save
        self._clock = clock
        self._by_dialog: dict[bytes, _Ladder] = {}
        self._dialogs: dict[str, tuple[bytes, _Ladder]] = {}
        self._strays: OrderedDict[bytes, list[_Kept]] = OrderedDict()
        self._stray_bytes = 0
        self._ended: deque[tuple[float, bytes, _Ladder]] = deque()

    def __len__(self) -> int:
        return len(self._by_dialog)

    def note(self, sent: bool, data: bytes, far_end: Endpoint) -> None:
        """One message, as it was on the wire."""
        # As `call_id_of`, without the call: every message passes here.
        start = data.find(b"\nCall-ID:")
        dialog = (
            data[start + 9 : data.find(b"\r", start + 9)].strip() if start >= 0 else _spelt_otherwise(data)
        )
        ladder = self._by_dialog.get(dialog) if dialog is not None else None
        if ladder is not None:
            first = ladder.first
            add = first.append if len(first) < MAX_MESSAGES // 2 else ladder.add
            add((self._clock(), sent, data, far_end))
        elif dialog is not None:
            self._keep_stray(dialog, (self._clock(), sent, data, far_end))

    def begin(self, call_id: str, sip_call_id: str, number: int) -> None:
        """A call of this number in the store has the dialogs with this Call-ID."""
        dialog, ladder = sip_call_id.encode("utf-8", "surrogateescape"), _Ladder(number)
        for kept in self._take_strays(dialog):
            ladder.add(kept)
        self._by_dialog[dialog] = ladder
        self._dialogs[call_id] = (dialog, ladder)

    def goes_by(self, call_id: str, trunk: str) -> None:
        """The call comes from this trunk, or its next INVITE goes there."""
        begun = self._dialogs.get(call_id)
        if begun is not None:
            begun[1].add((self._clock(), True, f"{_BY_TRUNK}{trunk}".encode(), None))

    def over(self, call_id: str) -> None:
        """The call is over; its ladder is stored with the next `sweep` that finds it rested."""
        ended = self._dialogs.pop(call_id, None)
        if ended is not None:
            self._ended.append((self._clock() + LINGER, *ended))

    def notes(self, call_id: str, number: int) -> list[SipNote]:
        """The ladder of a call of this number, as far as it has come; nothing once the store has it."""
        begun = self._dialogs.get(call_id)
        if begun is not None:
            return begun[1].notes()
        return next((ladder.notes() for _, _, ladder in self._ended if ladder.number == number), [])

    def sweep(self, *, everything: bool = False) -> None:
        """Store the ladders of calls that have been over for a while, or all of them."""
        now = self._clock()
        while self._ended and (everything or self._ended[0][0] <= now):
            _, dialog, ladder = self._ended.popleft()
            if self._by_dialog.get(dialog) is ladder:
                del self._by_dialog[dialog]
            self._save(ladder.number, encode(ladder.notes()))

    def forget_strays(self) -> None:
        """What came for no call, or for none yet; there is never much of it."""
        self._strays.clear()
        self._stray_bytes = 0

    def _keep_stray(self, dialog: bytes, kept: _Kept) -> None:
        strays = self._strays.setdefault(dialog, [])
        if len(strays) < 8:
            strays.append(kept)
            self._stray_bytes += len(kept[2])
        while len(self._strays) > MAX_STRAYS or self._stray_bytes > MAX_STRAY_BYTES:
            self._take_strays(next(iter(self._strays)))

    def _take_strays(self, dialog: bytes) -> list[_Kept]:
        taken = self._strays.pop(dialog, [])
        for _, _, data, _ in taken:
            self._stray_bytes -= len(data)
        return taken


def trunks_of(notes: Iterable[SipNote]) -> list[str]:
    """The trunks that a call came from or was given to, in the order of trying."""
    named = [note.line for note in notes if not note.far_end and note.line.startswith(_BY_TRUNK)]
    return [line.removeprefix(_BY_TRUNK) for line in dict.fromkeys(named)]


def shows_keys(notes: Iterable[SipNote]) -> bool:
    """Keys of the media (SDES) went both ways, and not over TLS: who reads the messages can listen."""
    readable = [note for note in notes if _CRYPTO in note.note and not note.far_end.startswith("TLS ")]
    return len({note.sent for note in readable}) > 1


def encode(notes: list[SipNote]) -> bytes:
    """As the store keeps a ladder."""
    return msgspec.msgpack.encode(notes)


def decode(stored: bytes | None) -> list[SipNote]:
    """What the store kept; nothing if it cannot be read."""
    if not stored:
        return []
    try:
        return msgspec.msgpack.decode(stored, type=list[SipNote])
    except msgspec.DecodeError:
        return []


def call_id_of(data: bytes) -> bytes | None:
    """The Call-ID of a message, found without reading the rest."""
    start = data.find(b"\nCall-ID:")
    if start < 0:
        return _spelt_otherwise(data)
    return data[start + 9 : data.find(b"\r", start + 9)].strip()


def _spelt_otherwise(data: bytes) -> bytes | None:
    head = data[:16_384].partition(b"\r\n\r\n")[0]
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon and name.strip().lower() in (b"call-id", b"i"):
            return value.strip()
    return None


# ---------------------------------------------------------------- what a ladder shows of a message

_MEDIA = re.compile(rb"^m=([^\r\n]*)", re.MULTILINE)
_TOLD = re.compile(
    rb"\r\n(Reason|Warning|Retry-After|Min-SE|Unsupported|Refer-To):[ \t]*([^\r\n]*)", re.IGNORECASE
)


def _read(kept: _Kept) -> SipNote:
    """Every message of every call passes here: nothing is searched twice, and nothing is split."""
    at, sent, data, far_end = kept
    if far_end is None:
        return SipNote(at=at, sent=sent, far_end="", line=data.decode()[:_MAX_LINE])
    end = data.find(b"\r\n\r\n")
    if end < 0:
        end = len(data)
    first = data.find(b"\r\n", 0, end)
    line = data[: end if first < 0 else first].decode("utf-8", "replace")
    if line.startswith("SIP/2.0 "):
        line = f"{line[8:]} [{_method(data, end)}]"
    else:
        line = line.rpartition(" SIP/")[0] or line
    told = _TOLD.findall(data, 0, end)
    note = _note(told, data[end + 4 :])[:_MAX_NOTE] if told or len(data) > end + 4 else ""
    return SipNote(at, sent, _named(far_end), line[:_MAX_LINE], note)


@lru_cache(maxsize=1024)
def _named(far_end: Endpoint) -> str:
    return f"{far_end.transport} {far_end.host_port}"


def _method(data: bytes, end: int) -> str:
    """That of the CSeq."""
    start = data.find(b"\r\nCSeq:", 0, end)
    if start < 0:
        return ""
    stop = data.find(b"\r", start + 2, end)
    words = data[start + 7 : end if stop < 0 else stop].split()
    return words[-1].decode("utf-8", "replace") if len(words) > 1 else ""


def _note(told: list[tuple[bytes, bytes]], body: bytes) -> str:
    parts = [line.decode("utf-8", "replace") for line in _MEDIA.findall(body)] if body else []
    if b"\r\na=crypto:" in body:
        parts.append(_CRYPTO)
    if body.startswith(b"SIP/2.0 "):  # how a transfer goes (RFC 3515 section 2.4.5)
        parts.append(body[8:].partition(b"\r")[0].decode("utf-8", "replace"))
    for name, value in told:
        parts.append(f"{name.decode()}: {value.decode('utf-8', 'replace')}")
    return "; ".join(parts)
