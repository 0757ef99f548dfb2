from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.media.dtmf import DIGITS, Digit, DigitReceiver, DigitSender

Packet = tuple[float, bytes, int]
"""sent at (seconds), payload, timestamp"""


def event(digit: str, duration: int, *, end: bool = False) -> bytes:
    return struct.pack("!BBH", DIGITS.index(digit), 10 | (0x80 if end else 0), duration)


def press(digits: str, *, duration_ms: int = 100, gap_ms: int = 60, timestamp: int = 5000) -> list[Packet]:
    """What a `DigitSender` sends, with the times and timestamps that a tick of 20 ms gives it."""
    sender = DigitSender(digits, duration_ms=duration_ms, gap_ms=gap_ms)
    packets: list[Packet] = []
    start, tick = 0, 0
    while not sender.finished:
        frame = sender.next_frame()
        if frame is not None:
            start = tick if frame.start else start
            packets.append((0.02 * tick, frame.payload, (timestamp + 160 * start) & 0xFFFFFFFF))
        tick += 1
    return packets


def hear(packets: list[Packet], *, silence: float = 0.2) -> list[Digit]:
    """Arrivals in order of time, with the receiver's timeouts served when they are due."""
    receiver = DigitReceiver(silence=silence)
    heard: list[Digit] = []
    for at, payload, timestamp in packets:
        due = receiver.next_timeout()
        if due is not None and due <= at:
            heard += receiver.handle_timeout(due)
        heard += receiver.handle(payload, timestamp, at)
    due = receiver.next_timeout()
    return heard + (receiver.handle_timeout(due) if due is not None else [])


def text(digits: list[Digit]) -> str:
    return "".join(digit.digit for digit in digits)


def test_every_key_is_heard_once_with_its_length() -> None:
    heard = hear(press(DIGITS, duration_ms=160))
    assert text(heard) == DIGITS
    assert {digit.duration_ms for digit in heard} == {160}


def test_a_key_is_reported_with_the_first_end_packet() -> None:
    receiver = DigitReceiver()
    assert receiver.handle(event("5", 160), 1000, 0.0) == []
    assert receiver.handle(event("5", 320, end=True), 1000, 0.02) == [Digit("5", 40)]
    assert receiver.handle(event("5", 320, end=True), 1000, 0.04) == []
    assert receiver.next_timeout() is None


def test_the_same_key_twice_is_two_keys_however_short_the_gap() -> None:
    assert text(hear(press("1122", duration_ms=40, gap_ms=0))) == "1122"


@pytest.mark.parametrize("lost", [range(1), range(5), range(5, 8), range(1, 8), range(7)])
def test_one_packet_of_a_key_is_enough(lost: range) -> None:
    first = [packet for n, packet in enumerate(press("7")) if n not in lost]
    assert text(hear(first)) == "7"
    assert text(hear(first + [(at + 0.3, p, t + 9999) for at, p, t in press("7")])) == "77"


def test_a_key_whose_end_was_lost_ends_with_the_next_key() -> None:
    receiver = DigitReceiver()
    receiver.handle(event("1", 160), 1000, 0.0)
    assert receiver.handle(event("2", 160), 2000, 0.1) == [Digit("1", 20)]


def test_a_key_whose_end_was_lost_ends_after_silence_and_late_packets_do_not_press_it_again() -> None:
    receiver = DigitReceiver(silence=0.2)
    receiver.handle(event("1", 160), 1000, 0.0)
    assert receiver.next_timeout() == pytest.approx(0.2)
    assert receiver.handle_timeout(0.1) == []
    assert receiver.handle_timeout(0.2) == [Digit("1", 20)]
    assert receiver.handle(event("1", 320, end=True), 1000, 0.5) == []
    assert receiver.next_timeout() is None


def test_packets_of_the_last_key_that_come_after_the_next_one_began_are_ignored() -> None:
    receiver = DigitReceiver()
    receiver.handle(event("1", 160, end=True), 1000, 0.0)
    receiver.handle(event("2", 160), 2000, 0.1)
    assert receiver.handle(event("1", 160, end=True), 1000, 0.11) == []
    assert receiver.handle(event("2", 320, end=True), 2000, 0.12) == [Digit("2", 40)]


def test_a_key_that_was_overtaken_by_the_next_one_is_heard_before_it() -> None:
    receiver = DigitReceiver()
    assert receiver.handle(event("2", 160), 2000, 0.1) == []
    assert receiver.handle(event("1", 320, end=True), 1000, 0.11) == [Digit("1", 40)]
    assert receiver.handle(event("1", 320, end=True), 1000, 0.12) == []
    assert receiver.handle(event("2", 320, end=True), 2000, 0.13) == [Digit("2", 40)]


def test_a_key_held_longer_than_the_duration_field_is_one_key() -> None:
    receiver = DigitReceiver()
    receiver.handle(event("9", 0xFFFF), 1000, 8.0)
    assert receiver.handle(event("9", 160), 1000 + 0xFFFF, 8.02) == []
    assert text(receiver.handle(event("9", 320, end=True), 1000 + 0xFFFF, 8.04)) == "9"
    assert receiver.handle(event("9", 0xFFFF), 1000, 8.05) == []


def test_ten_thousand_digits_through_loss_jitter_and_doubling_arrive_once_each() -> None:
    chance = random.Random(4733)
    digits = "".join(chance.choice(DIGITS[:4]) for _ in range(10_000))  # few keys: many repeats
    arrivals: list[Packet] = []
    for at, payload, timestamp in press(digits, duration_ms=100, gap_ms=80, timestamp=0xFFFF_0000):
        for _ in range(2 if chance.random() < 0.05 else 1):
            if chance.random() >= 0.05:
                arrivals.append((at + chance.uniform(0, 0.1), payload, timestamp))
    assert text(hear(sorted(arrivals))) == digits


def test_ten_thousand_digits_arrive_when_a_third_of_them_loses_its_start_and_a_third_all_ends() -> None:
    chance = random.Random(2833)
    digits = "".join(chance.choice(DIGITS) for _ in range(10_000))
    arrivals: list[Packet] = []
    for n, digit in enumerate(digits):
        packets = press(digit, duration_ms=80, gap_ms=60)
        kept = (packets, packets[3:], packets[:-3])[chance.randrange(3)]
        arrivals += [(at + 0.16 * n, payload, timestamp + 1280 * n) for at, payload, timestamp in kept]
    assert text(hear(arrivals)) == digits


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 0xFFFFFFFF), st.floats(0, 1e6))))
def test_nonsense_is_ignored(packets: list[tuple[bytes, int, float]]) -> None:
    receiver = DigitReceiver()
    for payload, timestamp, now in packets:
        for digit in receiver.handle(payload, timestamp, now):
            assert digit.digit in DIGITS
        receiver.handle_timeout(now)


def test_flash_and_other_events_are_no_keys() -> None:
    receiver = DigitReceiver()
    assert receiver.handle(b"\x10\x8a\x03\x20", 1, 0.0) == []
    assert receiver.next_timeout() is None


def test_a_digit_is_sent_as_a_start_updates_and_three_ends() -> None:
    sender = DigitSender("5", duration_ms=60, gap_ms=100)
    sent = []
    while not sender.finished:
        sent.append(sender.next_frame())
    frames = [frame for frame in sent if frame is not None]
    assert [frame.start for frame in frames] == [True, False, False, False, False, False]
    fields = [struct.unpack("!BBH", frame.payload) for frame in frames]
    assert fields == [(5, 10, 160), (5, 10, 320), (5, 10, 480)] + [(5, 0x8A, 480)] * 3
    assert len(sent) == 3 + 5
    assert sender.next_frame() is None


def test_pauses_are_time_and_unknown_characters_are_left_out() -> None:
    assert [round(at, 2) for at, _, _ in press("1w2", duration_ms=40, gap_ms=60)][5:6] == [0.6]
    assert text(hear(press("1 x(2)aD"))) == "12AD"
    assert DigitSender("").finished


def test_a_long_key_stays_within_the_duration_field() -> None:
    assert hear(press("1", duration_ms=60_000))[0].duration_ms <= 8192
