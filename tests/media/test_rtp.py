from __future__ import annotations

import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cordboard.media import rtp


def packet(
    sequence: int = 1,
    timestamp: int = 160,
    *,
    ssrc: int = 7,
    kind: int = 0,
    payload: bytes = b"v" * 160,
    first: int = 0x80,
) -> bytes:
    return struct.pack("!BBHII", first, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


# ------------------------------------------------------------------ reading


def test_the_fields_of_a_header_are_read() -> None:
    data = packet(65535, 0xFFFFFFFF, ssrc=0xDEADBEEF, kind=0x80 | 101)
    assert rtp.is_rtp(data)
    assert rtp.payload_type(data) == 101
    assert rtp.marker(data)
    assert (rtp.sequence(data), rtp.timestamp(data), rtp.ssrc(data)) == (65535, 0xFFFFFFFF, 0xDEADBEEF)
    assert rtp.header(data) == (0x80, 0xE5, 65535, 0xFFFFFFFF, 0xDEADBEEF)


@pytest.mark.parametrize("data", [b"", b"\x80", packet()[:11], packet(first=0x40), packet(kind=200)])
def test_what_is_no_rtp_is_told_apart(data: bytes) -> None:
    assert not rtp.is_rtp(data)


def test_the_payload_leaves_out_csrcs_extension_and_padding() -> None:
    assert rtp.payload(packet(payload=b"abc")) == b"abc"
    assert rtp.payload(packet(first=0x8F, payload=bytes(60) + b"abc")) == b"abc"
    assert rtp.payload(packet(first=0x90, payload=b"\xbe\xde\x00\x01" + bytes(4) + b"abc")) == b"abc"
    assert rtp.payload(packet(first=0xA0, payload=b"abc\x00\x00\x03")) == b"abc"
    whole = bytes(8) + b"\xbe\xde\x00\x02" + bytes(8) + b"abc" + b"\x00\x02"
    assert rtp.payload(packet(first=0xB2, payload=whole)) == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        packet(payload=b""),
        packet(first=0x8F, payload=bytes(59)),
        packet(first=0x8F, payload=bytes(60)),
        packet(first=0x90, payload=b"\xbe\xde"),
        packet(first=0x90, payload=b"\xbe\xde\xff\xff" + bytes(100)),
        packet(first=0xA0, payload=b"abc\xff"),
        packet(first=0xA0, payload=b"abc\x00"),
        packet(first=0xA0, payload=b"ab\x03"),
        packet(first=0x00),
    ],
)
def test_a_malformed_packet_has_no_payload(data: bytes) -> None:
    assert rtp.payload(data) is None


@given(st.binary(max_size=1500))
@example(b"\xbf" + b"\xff" * 1499)
def test_reading_never_raises_and_never_returns_nothing_as_something(data: bytes) -> None:
    carried = rtp.payload(data)
    assert carried is None or 0 < len(carried) <= len(data) - rtp.HEADER_LENGTH
    rtp.is_rtp(data)


# ------------------------------------------------------------------ writing


def test_a_sender_numbers_its_packets_and_marks_the_first() -> None:
    sender = rtp.RtpSender(ssrc=9, sequence=65535, timestamp=0xFFFFFFFF - 159)
    first, second = (sender.packet(b"x" * 160, 8, 160) for _ in range(2))
    assert rtp.header(first) == (0x80, 0x88, 65535, 0xFFFFFFFF - 159, 9)
    assert rtp.header(second) == (0x80, 0x08, 0, 0, 9)
    assert (sender.packets, sender.octets) == (2, 320)


def test_after_a_pause_the_timestamp_has_moved_on_and_the_marker_is_set() -> None:
    sender = rtp.RtpSender(ssrc=9)
    sender.packet(b"x" * 160, 0, 160)
    sender.skip(8000)
    data = sender.packet(b"x" * 160, 0, 160)
    assert rtp.timestamp(data) == 8160
    assert rtp.marker(data)
    assert rtp.sequence(data) == 1


def test_all_packets_of_an_event_carry_its_start_and_audio_goes_on_after_it() -> None:
    sender = rtp.RtpSender(ssrc=9, timestamp=1000)
    events = [sender.event(b"1234", 101, 160, start=n == 0) for n in range(3)]
    assert [rtp.timestamp(data) for data in events] == [1000, 1000, 1000]
    assert [rtp.marker(data) for data in events] == [True, False, False]
    assert rtp.timestamp(sender.packet(b"x" * 160, 0, 160)) == 1480


def test_forwarded_packets_keep_their_gaps_and_their_order() -> None:
    sender = rtp.RtpSender(ssrc=9, sequence=500, timestamp=10_000)
    numbers = [40, 41, 43, 42, 44]
    out = [sender.forward(packet(n, 160 * n), b"p", 8, 160) for n in numbers]
    assert [rtp.sequence(data) for data in out] == [500, 501, 503, 502, 504]
    assert [rtp.timestamp(data) - 10_000 for data in out] == [0, 160, 480, 320, 640]
    assert {rtp.ssrc(data) for data in out} == {9}
    assert {rtp.payload_type(data) for data in out} == {8}


def test_a_new_source_goes_on_where_the_last_one_was() -> None:
    sender = rtp.RtpSender(ssrc=9)
    sender.forward(packet(40, 1_000_000), b"p", 0, 160)
    data = sender.forward(packet(9000, 77, ssrc=8), b"p", 0, 160)
    assert (rtp.sequence(data), rtp.timestamp(data), rtp.marker(data)) == (1, 160, True)


def test_a_sequence_jump_of_30000_is_not_passed_on() -> None:
    sender = rtp.RtpSender(ssrc=9)
    sender.forward(packet(40, 1000), b"p", 0, 160)
    data = sender.forward(packet(30_040, 1160), b"p", 0, 160)
    assert rtp.sequence(data) == 1


def test_forwarding_resumes_after_own_audio() -> None:
    sender = rtp.RtpSender(ssrc=9)
    sender.forward(packet(40, 1000), b"p", 0, 160)
    sender.packet(b"x" * 160, 0, 160)
    data = sender.forward(packet(41, 1160), b"p", 0, 160)
    assert (rtp.sequence(data), rtp.timestamp(data)) == (2, 320)


# ------------------------------------------------------------------ statistics


def feed(statistics: rtp.ReceptionStatistics, numbers: list[int], *, ssrc: int = 7) -> None:
    for n in numbers:
        statistics.update(packet(n, 160 * n, ssrc=ssrc), 0.02 * n)


def test_an_undisturbed_stream_has_no_loss_and_no_jitter_over_a_wrap() -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, list(range(65_000, 66_500)))
    assert (statistics.received, statistics.lost, statistics.expected) == (1500, 0, 1500)
    assert statistics.jitter_ms < 0.2
    assert statistics.highest == 0x10000 + 66_499 - 65_536
    assert statistics.octets == 1500 * 172


def test_lost_packets_are_counted_over_a_wrap() -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, [n for n in range(65_000, 66_000) if n % 10 or n == 65_000])
    assert statistics.lost == 99
    statistics = rtp.ReceptionStatistics()
    feed(statistics, [65_530, 65_534, 3])  # 65535 and 0 are among the lost
    assert statistics.lost == 7


def test_reordered_packets_are_not_lost_and_doubled_ones_make_up_for_none_below_zero() -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, [1, 2, 4, 3, 5, 5, 5])
    assert statistics.lost == 0
    assert statistics.take_loss().cumulative == -2


def test_the_fraction_counts_since_the_last_report() -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, [1, 2, 4])
    assert statistics.take_loss() == rtp.LossCounts(64, 1)
    feed(statistics, [5, 6])
    assert statistics.take_loss() == rtp.LossCounts(0, 1)
    assert statistics.take_loss() == rtp.LossCounts(0, 1)


def test_a_jump_is_believed_with_its_second_packet_and_loses_nothing() -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, list(range(100)))
    feed(statistics, [30_100])
    assert statistics.highest == 99
    feed(statistics, [30_101, 30_102])
    assert statistics.highest == 30_102
    assert statistics.lost == 0


def test_one_stray_number_changes_nothing() -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, [*range(100), 40_000, *range(100, 200)])
    assert (statistics.lost, statistics.highest) == (0, 199)


def test_a_new_ssrc_starts_a_new_source_and_the_old_loss_stays() -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, [1, 2, 5])
    feed(statistics, [700, 701, 703], ssrc=8)
    assert (statistics.received, statistics.lost, statistics.ssrc) == (6, 3, 8)
    assert statistics.take_loss().cumulative == 1


def test_jitter_is_the_mean_difference_of_transit_times() -> None:
    chance = random.Random(3)
    statistics = rtp.ReceptionStatistics()
    readings = []
    for n in range(4000):
        statistics.update(packet(n, 160 * n), 100 + 0.02 * n + chance.uniform(0, 0.03))
        readings.append(statistics.jitter_ms)
    assert sum(readings[100:]) / len(readings[100:]) == pytest.approx(10, rel=0.05)  # a third of the range
    assert statistics.jitter == pytest.approx(8 * statistics.jitter_ms, abs=1)


def test_sampling_every_eighth_packet_finds_the_same_loss_and_jitter() -> None:
    chance = random.Random(3)
    statistics = rtp.ReceptionStatistics()
    statistics.update(packet(0, 0), 100)
    waiting, octets, lost = 0, 0, 0
    readings = []
    for n in range(1, 20_000):
        if chance.random() < 0.05:
            lost += 1
            continue
        waiting, octets = waiting + 1, octets + len(packet(n, 160 * n))
        if waiting == 8:
            arrival = 100 + 0.02 * n + chance.uniform(0, 0.03)
            statistics.sample(n & 0xFFFF, 160 * n, arrival, waiting, octets)
            waiting = octets = 0
            assert statistics.lost == lost
            readings.append(statistics.jitter_ms)
    assert sum(readings[100:]) / len(readings[100:]) == pytest.approx(10, rel=0.05)
    assert statistics.octets == statistics.received * 172


def test_telephone_events_and_a_new_timestamp_base_are_no_jitter() -> None:
    statistics = rtp.ReceptionStatistics()
    for n in range(50):
        statistics.update(packet(n, 160 * n), 0.02 * n)
    for n in range(50, 60):
        statistics.update(packet(n, 160 * 50, kind=101), 0.02 * n)
    for n in range(60, 100):
        statistics.update(packet(n, 160 * n + 1_000_000_000), 0.02 * n)
    assert statistics.jitter_ms < 0.3
    assert statistics.lost == 0


@given(st.lists(st.tuples(st.binary(max_size=40), st.floats(0, 1e9)), max_size=60))
def test_statistics_survive_every_packet(arrivals: list[tuple[bytes, float]]) -> None:
    statistics = rtp.ReceptionStatistics()
    for data, arrival in arrivals:
        statistics.update(data, arrival)
        loss = statistics.take_loss()
        assert 0 <= loss.fraction <= 255
        assert statistics.lost >= 0
        assert 0 <= statistics.jitter_ms <= 2000


@given(st.lists(st.integers(0, 0xFFFF), max_size=80))
def test_any_order_of_numbers_gives_sane_counts(numbers: list[int]) -> None:
    statistics = rtp.ReceptionStatistics()
    feed(statistics, numbers)
    assert statistics.received == len(numbers)
    assert statistics.lost >= 0
