"""SRTP of one stream: libsrtp as it is used here, against vectors and against a second implementation."""

from __future__ import annotations

import hmac
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cordboard.media.clock import Clock
from cordboard.media.protocol import Srtp, SrtpKeys
from cordboard.media.srtp import SUITES, Protection, SrtpError, is_usable
from cordboard.sdp.crypto import KEY_LENGTHS

SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
SSRC = 0xCAFEBABE


def rtp(sequence: int, payload: bytes = b"\xd5" * 160, *, ssrc: int = SSRC, kind: int = 0) -> bytes:
    header = struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, ssrc)
    return header + payload


def rtcp(ssrc: int = SSRC) -> bytes:
    return struct.pack("!BBHI5I", 0x80, 200, 6, ssrc, 1, 2, 3, 4, 5)


def key(suite: str, seed: int) -> bytes:
    return bytes((seed + n) & 0xFF for n in range(KEY_LENGTHS[suite]))


class Side:
    """A protection with a wire: what it sends, and a socket that hands it what is put in."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(100.0)
        self.protection = Protection(self.clock)
        self.wire: list[bytes] = []
        self.waiting: list[bytes] = []
        self.rewire()

    def use(self, suite: str, send: int, receive: int) -> None:
        keys = Srtp(
            send=SrtpKeys(suite=suite, key=key(suite, send)),
            receive=SrtpKeys(suite=suite, key=key(suite, receive)),
        )
        if self.protection.use(keys):
            self.rewire()

    def rewire(self) -> None:
        self.send = self.protection.protecting(lambda packet: self.wire.append(bytes(packet)))
        self.take = self.protection.unprotecting(self._recv_into)

    def _recv_into(self, buffer: bytearray) -> int:
        data = self.waiting.pop(0)
        buffer[: len(data)] = data
        return len(data)

    def protect(self, packet: bytes) -> bytes:
        self.send(packet)
        return self.wire[-1]

    def hears(self, data: bytes) -> bytes | None:
        """By way of the fast path's memory."""
        self.waiting.append(data)
        buffer = bytearray(2048)
        try:
            return bytes(buffer[: self.take(buffer)])
        except SrtpError:
            return None


def pair(suite: str = SHA1_80) -> tuple[Side, Side]:
    clock = Clock(100.0)
    a, b = Side(clock), Side(clock)
    a.use(suite, 1, 100)
    b.use(suite, 100, 1)
    return a, b


def test_the_suites_of_the_descriptions_are_those_of_the_media() -> None:
    assert {suite: length for suite, (_, _, length) in SUITES.items()} == KEY_LENGTHS


@pytest.mark.parametrize("suite", SUITES)
def test_what_one_side_protects_the_other_hears(suite: str) -> None:
    a, b = pair(suite)
    for sequence in range(10):
        assert b.hears(a.protect(rtp(sequence))) == rtp(sequence)
        assert a.hears(b.protect(rtp(sequence, b"\x55" * 20))) == rtp(sequence, b"\x55" * 20)
    assert b.protection.open_rtcp(a.protection.protect_rtcp(rtcp())) == rtcp()
    assert (a.protection.refused, b.protection.refused) == (0, 0)


@pytest.mark.parametrize("suite", SUITES)
def test_nothing_of_a_packet_but_its_header_can_be_read_on_the_wire(suite: str) -> None:
    a, _ = pair(suite)
    sealed = a.protect(rtp(7))
    assert sealed[:12] == rtp(7)[:12]
    assert rtp(7)[12:28] not in sealed
    assert rtcp()[8:] not in a.protection.protect_rtcp(rtcp())


@pytest.mark.parametrize("suite", SUITES)
def test_the_slow_path_hears_the_same(suite: str) -> None:
    a, b = pair(suite)
    assert b.protection.open(a.protect(rtp(1))) == rtp(1)
    assert b.hears(a.protect(rtp(2))) == rtp(2)
    assert b.protection.open(a.protect(rtp(3))) == rtp(3)


def test_rtcp_on_the_port_of_rtp_is_told_apart() -> None:
    a, b = pair()
    assert b.hears(a.protection.protect_rtcp(rtcp())) == rtcp()
    assert b.protection.open(a.protection.protect_rtcp(rtcp())) == rtcp()


@pytest.mark.parametrize("suite", SUITES)
def test_a_replayed_packet_is_heard_once(suite: str) -> None:
    a, b = pair(suite)
    sealed = a.protect(rtp(1))
    report = a.protection.protect_rtcp(rtcp())
    assert b.hears(sealed) is not None
    assert b.hears(sealed) is None
    assert b.protection.open(sealed) is None
    assert b.protection.open_rtcp(report) is not None
    assert b.protection.open_rtcp(report) is None
    assert b.protection.refused == 3


@pytest.mark.parametrize("suite", SUITES)
def test_another_key_a_changed_byte_and_a_plain_packet_are_never_heard(suite: str) -> None:
    a, b = pair(suite)
    stranger, _ = pair(suite)
    stranger.use(suite, 2, 100)
    changed = bytearray(a.protect(rtp(1)))
    changed[20] ^= 1
    for data in (stranger.protect(rtp(2)), bytes(changed), rtp(3), b"", b"\x80", rtp(4)[:12]):
        assert b.hears(data) is None
        assert b.protection.open(data) is None
    assert b.protection.open_rtcp(rtcp()) is None
    assert b.protection.refused == 13
    assert b.hears(a.protect(rtp(5))) == rtp(5)


def test_a_packet_of_another_suite_is_not_heard() -> None:
    a, b = pair(SHA1_80)
    a.use("AES_CM_128_HMAC_SHA1_32", 1, 100)
    assert b.hears(a.protect(rtp(1))) is None


def test_the_sequence_number_may_wrap_many_times() -> None:
    a, b = pair()
    for sequence in range(65_500, 3 * 65_536, 13):
        assert b.hears(a.protect(rtp(sequence))) == rtp(sequence)


def test_packets_that_overtake_each_other_around_the_wrap_are_heard() -> None:
    a, b = pair()
    sealed = [a.protect(rtp(sequence)) for sequence in range(65_500, 65_600)]
    order = sorted(range(100), key=lambda n: n + 10 * (n % 3))
    assert all(b.hears(sealed[n]) is not None for n in order)
    assert b.protection.refused == 0


def test_packets_that_come_late_to_us_go_out_late_too() -> None:
    a, b = pair()
    order = sorted(range(65_500, 65_700), key=lambda n: n + 10 * (n % 3))
    assert all(b.hears(a.protect(rtp(n))) == rtp(n) for n in order)


def test_a_far_end_may_change_its_source() -> None:
    a, b = pair()
    for ssrc in (1, 2, 3):
        for sequence in range(5):
            assert b.hears(a.protect(rtp(sequence, ssrc=ssrc))) == rtp(sequence, ssrc=ssrc)


def test_a_far_end_that_changes_its_source_for_ever_fills_no_memory() -> None:
    a, b = pair()
    for ssrc in range(1, 2_000):
        assert b.hears(a.protect(rtp(ssrc, ssrc=ssrc))) is not None
    direction = b.protection._receive
    assert direction is not None
    assert len(direction._sources) <= 8


def test_the_same_keys_again_change_nothing() -> None:
    a, b = pair()
    first = a.protect(rtp(1))
    assert b.hears(first) is not None
    b.use(SHA1_80, 100, 1)
    a.use(SHA1_80, 1, 100)
    assert b.hears(first) is None
    assert b.hears(a.protect(rtp(2))) == rtp(2)


def test_after_a_new_key_what_was_under_way_is_still_heard_for_a_while() -> None:
    a, b = pair()
    under_way = [a.protect(rtp(n)) for n in range(10)]
    a.use(SHA1_80, 2, 101)
    b.use(SHA1_80, 101, 2)
    for n in range(5):
        assert b.hears(under_way[n]) == rtp(n)
        assert b.hears(a.protect(rtp(10 + n))) == rtp(10 + n)
    b.clock.now += 5.0
    assert b.hears(under_way[6]) is None
    assert b.hears(a.protect(rtp(20))) == rtp(20)


def test_nothing_is_sent_under_the_old_key_any_more() -> None:
    a, b = pair()
    a.use(SHA1_80, 2, 100)
    assert b.hears(a.protect(rtp(1))) is None


def test_a_packet_too_long_to_protect_is_not_sent_at_all() -> None:
    a, _ = pair()
    with pytest.raises(SrtpError):
        a.send(rtp(1, bytes(4000)))
    assert a.wire == []


def test_a_number_that_was_used_is_not_used_for_another_packet() -> None:
    a, _ = pair()
    a.send(rtp(1))
    with pytest.raises(SrtpError):
        a.send(rtp(1, b"something else"))
    assert len(a.wire) == 1


def test_without_keys_all_is_plain() -> None:
    plain = Side()
    assert not plain.protection.is_on
    assert plain.protect(rtp(1)) == rtp(1)
    assert plain.hears(rtp(1)) == plain.protection.open(rtp(1)) == rtp(1)
    assert plain.protection.open_rtcp(plain.protection.protect_rtcp(rtcp())) == rtcp()


@pytest.mark.parametrize(
    ("suite", "length"), [("AES_CM_128_HMAC_SHA1_80", 29), ("AEAD_AES_256_GCM", 45), ("NULL", 30)]
)
def test_keys_that_fit_no_suite_are_not_used(suite: str, length: int) -> None:
    bad = SrtpKeys(suite=suite, key=bytes(length))
    assert not is_usable(Srtp(send=bad, receive=bad))
    with pytest.raises(ValueError, match="no key"):
        Protection(Clock()).use(Srtp(send=bad, receive=bad))


# ---------------------------------------------------------------- vectors and a second implementation

KEY_128 = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
PLAIN = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
SEALED_128 = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
PLAIN_RTCP = bytes.fromhex("81c8000bcafebabe" + "ab" * 16)
SEALED_RTCP = bytes.fromhex("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798")


def test_the_reference_packets_of_libsrtp_come_out() -> None:
    side = Side()
    keys = SrtpKeys(suite=SHA1_80, key=KEY_128)
    side.protection.use(Srtp(send=keys, receive=keys))
    side.rewire()
    assert side.protect(PLAIN) == SEALED_128
    assert side.protection.protect_rtcp(PLAIN_RTCP) == SEALED_RTCP
    assert side.hears(SEALED_128) == PLAIN
    assert side.protection.open_rtcp(SEALED_RTCP) == PLAIN_RTCP


def _stream(key: bytes, block: bytes, length: int) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(block)).encryptor()
    return encryptor.update(bytes(length))


def _derive(master: bytes, salt: bytes, label: int, length: int) -> bytes:
    """RFC 3711 section 4.3 with a key derivation rate of 0."""
    x = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ (label << 48)
    return _stream(master, (x << 16).to_bytes(16, "big"), length)


def _seal(suite: str, material: bytes, packet: bytes) -> bytes:
    """An RTP packet with a plain header of 12 bytes, of roll-over counter 0."""
    header, payload = packet[:12], packet[12:]
    gcm = suite.startswith("AEAD")
    salt_length = 12 if gcm else 14
    master, salt = material[:-salt_length], material[-salt_length:]
    session_key = _derive(master, salt, 0, len(master))
    session_salt = _derive(master, salt, 2, salt_length)
    ssrc, sequence = int.from_bytes(header[8:12], "big"), int.from_bytes(header[2:4], "big")
    if gcm:
        nonce = (ssrc << 48 | sequence) ^ int.from_bytes(session_salt, "big")
        sealed = AESGCM(session_key).encrypt(nonce.to_bytes(12, "big"), payload, header)
        return header + sealed[: len(payload) + (8 if suite.endswith("_8") else 16)]
    block = (int.from_bytes(session_salt, "big") << 16) ^ (ssrc << 64) ^ (sequence << 16)
    stream = _stream(session_key, block.to_bytes(16, "big"), len(payload))
    sealed = header + bytes(a ^ b for a, b in zip(payload, stream, strict=True))
    tag = hmac.digest(_derive(master, salt, 1, 20), sealed + bytes(4), "sha1")
    return sealed + tag[: 4 if suite.endswith("_32") else 10]


def test_the_second_implementation_knows_the_reference_packet() -> None:
    assert _seal(SHA1_80, KEY_128, PLAIN) == SEALED_128


@pytest.mark.parametrize("suite", SUITES)
def test_a_second_implementation_seals_and_opens_the_same(suite: str) -> None:
    a, b = pair(suite)
    sealed = _seal(suite, key(suite, 1), rtp(1234))
    assert a.protect(rtp(1234)) == sealed
    assert b.hears(sealed) == rtp(1234)
