"""SRTP and SRTCP (RFC 3711, RFC 6188, RFC 7714) of one stream, by libsrtp.

libsrtp keeps the roll-over counter and the replay list of each SSRC, and takes nothing that is not authentic.
Packets are protected and unprotected where they lie: one piece of memory for all that is sent, and that of
the receiver for all that comes.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from pylibsrtp import _binding

from cordboard.media.clock import Clock
from cordboard.media.outgoing import Transmit
from cordboard.media.protocol import Srtp, SrtpKeys

Receive = Callable[[bytearray], int]

_AES_128 = "srtp_crypto_policy_set_rtp_default"
_AES_256 = "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80"
_GCM_256_8 = "srtp_crypto_policy_set_aes_gcm_256_8_auth"
_GCM_256 = "srtp_crypto_policy_set_aes_gcm_256_16_auth"
_GCM_128 = "srtp_crypto_policy_set_aes_gcm_128_16_auth"

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (_AES_128, _AES_128, 30),
    "AES_CM_128_HMAC_SHA1_32": ("srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32", _AES_128, 30),
    "AES_256_CM_HMAC_SHA1_80": (_AES_256, _AES_256, 46),
    "AES_256_CM_HMAC_SHA1_32": ("srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32", _AES_256, 46),
    "AEAD_AES_256_GCM_8": (_GCM_256_8, _GCM_256_8, 44),
    "AEAD_AES_256_GCM": (_GCM_256, _GCM_256, 44),
    "AEAD_AES_128_GCM": (_GCM_128, _GCM_128, 28),
}
"""Suite: policies for RTP and for RTCP (where HMAC-SHA1 has the long tag, RFC 4568 section 6.2), and the
length of the key with its salt."""

_ffi: Any = _binding.ffi
_lib: Any = _binding.lib
_more = ctypes.CDLL(_binding.__file__)
"""The functions of libsrtp that the binding does not name."""

_WINDOW = 128
"""Packets that may overtake each other before the late ones count as replayed: 2.5 seconds of audio."""
_LONG_WINDOW = 1024
"""The same of video; each packet moves the whole window."""
_MOST_SOURCES = 8
"""SSRCs of one far end that are remembered."""
_OLD_KEY = 5.0
"""Seconds for which packets under the last key still come after a new one was agreed."""

_ROOM = 2048 + 160
_scratch = bytearray(_ROOM)
_scratch_views = [memoryview(_scratch)[:length] for length in range(_ROOM + 1)]
_scratch_pointer = _ffi.from_buffer(_scratch)
_length: Any = _ffi.new("int *")
_LONGEST = _ROOM - 160


_MAJOR = 2
"""Version of libsrtp whose functions are called as they are here."""


def _compiled_calls() -> tuple[int, int] | None:
    version = _more.srtp_get_version
    version.restype = ctypes.c_uint
    if version() >> 24 != _MAJOR:
        return None
    unprotect, protect = (
        ctypes.cast(one, ctypes.c_void_p).value for one in (_more.srtp_unprotect, _more.srtp_protect)
    )
    return (unprotect, protect) if unprotect and protect else None


COMPILED_CALLS = _compiled_calls()
"""Addresses of `srtp_unprotect` and `srtp_protect` for compiled callers; None if they would call in vain."""


class Way(NamedTuple):
    """A socket, and what protects the packets that pass through it, for compiled callers."""

    number: int
    """Of the socket's file; -1 = none, packets are only counted."""
    session: int | None = None
    """Address of libsrtp's session; None = plain."""
    holds: object = None
    """Who must live as long as that address is in use."""


class SrtpError(OSError):
    """A packet that is not authentic, or cannot be protected: to its callers one that never was."""


def is_usable(srtp: Srtp | None) -> bool:
    """The keys fit their suites, or there are none."""
    return srtp is None or all(
        keys.suite in SUITES and len(keys.key) == SUITES[keys.suite][2] for keys in (srtp.send, srtp.receive)
    )


class _Direction:
    """The keys of one direction, and what libsrtp remembers of its packets."""

    __slots__ = ("_sources", "keys", "last_source", "session")

    def __init__(self, keys: SrtpKeys, ssrcs: int, *, repeats: bool) -> None:
        """Raises `ValueError` for keys that fit no suite."""
        rtp, rtcp, length = SUITES.get(keys.suite, ("", "", -1))
        if len(keys.key) != length:
            raise ValueError(f"no key for {keys.suite}")
        policy = _ffi.new("srtp_policy_t *")
        _set(policy, "rtp", rtp)
        _set(policy, "rtcp", rtcp)
        key = _ffi.new("unsigned char[]", keys.key)
        policy.key, policy.ssrc.type, policy.window_size = key, ssrcs, _LONG_WINDOW if repeats else _WINDOW
        policy.allow_repeat_tx = repeats
        created = _ffi.new("srtp_t *")
        if _lib.srtp_create(created, policy):
            raise ValueError(f"libsrtp takes no key for {keys.suite}")
        self.keys = keys
        self.session = _ffi.gc(created[0], _lib.srtp_dealloc)
        self._sources: deque[int] = deque()
        self.last_source = -1
        """Whom the last authentic packet was from."""

    def remember(self, ssrc: int) -> None:
        """A source was authentic; the number as it lies in memory, which is how libsrtp takes it.

        Whoever changes it all the time does not fill our memory.
        """
        self.last_source = ssrc
        if ssrc in self._sources:
            return
        self._sources.append(ssrc)
        if len(self._sources) > _MOST_SOURCES:
            _lib.srtp_remove_stream(self.session, self._sources.popleft())


def _set(policy: Any, part: str, function: str) -> None:
    getattr(_more, function)(ctypes.c_void_p(int(_ffi.cast("uintptr_t", _ffi.addressof(policy, part)))))


class Protection:
    """Of one stream, both ways, with its RTCP.  It is plain until `use` was given keys."""

    __slots__ = ("_clock", "_old", "_old_until", "_receive", "_repeats", "_send", "refused")

    def __init__(self, clock: Clock, *, repeats: bool = False) -> None:
        """`repeats`: a packet may be sent again, as video is that a far end has missed (NACK)."""
        self._repeats = repeats
        self._clock = clock
        self._send: _Direction | None = None
        self._receive: _Direction | None = None
        self._old: _Direction | None = None
        """The far end's last key."""
        self._old_until = 0.0
        self.refused = 0
        """Packets that were plain, replayed, changed on their way or under another key."""

    @property
    def is_on(self) -> bool:
        """Nothing plain leaves, and nothing plain is heard."""
        return self._send is not None

    def use(self, srtp: Srtp | None) -> bool:
        """These keys from now on; None = plain.  True if that is a change.  Raises `ValueError`.

        A key that stays keeps its roll-over counter and its replay list.
        """
        send, receive = self._send, self._receive
        self._send = self._renew(send, srtp.send if srtp is not None else None, _lib.ssrc_any_outbound)
        self._receive = self._renew(
            receive, srtp.receive if srtp is not None else None, _lib.ssrc_any_inbound
        )
        if self._receive is not receive:
            self._old = receive if srtp is not None else None
            self._old_until = self._clock.now + _OLD_KEY
        return self._send is not send or self._receive is not receive

    def _renew(self, direction: _Direction | None, keys: SrtpKeys | None, ssrcs: int) -> _Direction | None:
        if keys is None:
            return None
        if direction is not None and direction.keys == keys:
            return direction
        return _Direction(keys, ssrcs, repeats=self._repeats)

    def way_in(self, number: int) -> Way | None:
        """For what the socket brings; None while packets under two keys may come."""
        return None if self._last() is not None else _way(number, self._receive)

    def way_out(self, number: int) -> Way:
        """For what leaves by the socket."""
        return _way(number, self._send)

    # ------------------------------------------------------------ out

    def protecting(self, send: Transmit) -> Transmit:
        """`send` behind the protection that holds now; what cannot be protected raises `SrtpError`."""
        direction = self._send
        if direction is None:
            return send
        session, protect = direction.session, _lib.srtp_protect

        def transmit(packet: bytes | memoryview) -> object:
            length = len(packet)
            if length > _LONGEST:
                raise SrtpError("too long")
            _scratch[:length] = packet
            _length[0] = length
            if protect(session, _scratch_pointer, _length):
                raise SrtpError("libsrtp does not protect it")
            return send(_scratch_views[_length[0]])

        return transmit

    def protect(self, packet: bytes) -> bytes:
        """A packet as it may leave; where there are many, `protecting` is cheaper.  Raises `SrtpError`."""
        return packet if self._send is None else _process(_lib.srtp_protect, self._send, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """A compound packet as it may leave.  Raises `SrtpError`."""
        if self._send is None:
            return packet
        return _process(_lib.srtp_protect_rtcp, self._send, packet)

    # ------------------------------------------------------------ in

    def unprotecting(self, receive: Receive) -> Receive:
        """`receive` behind the protection that holds now; what is not authentic raises `SrtpError`."""
        direction = self._receive
        if direction is None:
            return receive
        session, unprotect = direction.session, _lib.srtp_unprotect
        memory, pointer, words = bytearray(), None, _ffi.NULL

        def take(buffer: bytearray) -> int:
            nonlocal memory, pointer, words
            length = receive(buffer)
            if buffer is not memory:
                memory, pointer = buffer, _ffi.from_buffer(buffer)
                words = _ffi.cast("uint32_t *", pointer)
            if self._old is not None or 191 < buffer[1] < 224:
                return self._take_into(buffer, length)
            _length[0] = length
            if unprotect(session, pointer, _length):
                self.refused += 1
                raise SrtpError("not authentic")
            source = words[2]
            if source != direction.last_source:
                direction.remember(source)
            plain: int = _length[0]
            return plain

        return take

    def open(self, packet: bytes) -> bytes | None:
        """A packet of the RTP port, RTCP among them (RFC 5761); None if it is not authentic."""
        rtcp = len(packet) > 1 and 191 < packet[1] < 224
        return self.open_rtcp(packet) if rtcp else self._open(_lib.srtp_unprotect, packet, 8)

    def open_rtcp(self, packet: bytes) -> bytes | None:
        """A compound packet that came; None if it is not authentic."""
        return self._open(_lib.srtp_unprotect_rtcp, packet, 4)

    def _open(self, unprotect: Any, packet: bytes, ssrc_at: int) -> bytes | None:
        if self._receive is None:
            return packet
        for direction in (self._receive, self._last()):
            if direction is None:
                continue
            try:
                plain = _process(unprotect, direction, packet)
            except SrtpError:
                continue
            direction.remember(int.from_bytes(plain[ssrc_at : ssrc_at + 4], sys.byteorder))
            return plain
        self.refused += 1
        return None

    def _take_into(self, buffer: bytearray, length: int) -> int:
        plain = self.open(bytes(buffer[:length]))
        if plain is None:
            raise SrtpError("not authentic")
        buffer[: len(plain)] = plain
        return len(plain)

    def _last(self) -> _Direction | None:
        """The far end's last key, while packets may still be under way that it made."""
        if self._old is not None and self._clock.now >= self._old_until:
            self._old = None
        return self._old


def _way(number: int, direction: _Direction | None) -> Way:
    if direction is None:
        return Way(number)
    return Way(number, int(_ffi.cast("uintptr_t", direction.session)), direction)


def _process(function: Any, direction: _Direction, packet: bytes) -> bytes:
    length = len(packet)
    if length > _LONGEST:
        raise SrtpError("too long")
    _scratch[:length] = packet
    _length[0] = length
    if function(direction.session, _scratch_pointer, _length):
        raise SrtpError("libsrtp does not take it")
    return bytes(_scratch_views[_length[0]])
