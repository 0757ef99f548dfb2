"""The jitter buffer in virtual time: a sender, a network that delays, and a tick every 20 ms."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from cordboard.media import rtp
from cordboard.media.jitter import JitterBuffer

Packet = tuple[int, int, bytes]
"""sequence, timestamp, payload"""


def voice(number: int) -> bytes:
    """A frame that says which one it is."""
    return number.to_bytes(4, "big") * 40


def stream(count: int, *, sequence: int = 100, timestamp: int = 4_294_960_000) -> list[Packet]:
    return [((sequence + n) & 0xFFFF, (timestamp + 160 * n) & 0xFFFFFFFF, voice(n)) for n in range(count)]


def run(
    arrivals: Iterable[tuple[float, Packet]], ticks: int, buffer: JitterBuffer | None = None
) -> list[int | None]:
    """What is played on each tick (every 20 ms from 0.01 s on): the frame's number, or None."""
    buffer = buffer or JitterBuffer()
    waiting = sorted(arrivals, key=lambda item: item[0])
    played: list[int | None] = []
    position = 0
    for tick in range(ticks):
        now = 0.01 + 0.02 * tick
        while position < len(waiting) and waiting[position][0] <= now:
            buffer.put(*waiting[position][1])
            position += 1
        frame = buffer.get()
        played.append(None if frame is None else int.from_bytes(frame[:4], "big"))
    return played


def delays(played: Sequence[int | None], first_tick: int = 0) -> list[float]:
    """Milliseconds from the sending of frame n (at n * 20 ms) to its playing."""
    return [10 + 20 * (tick - number) for tick, number in enumerate(played, first_tick) if number is not None]


def through(packets: list[Packet], delay: Callable[[int], float | None]) -> list[tuple[float, Packet]]:
    """(arrival, packet) for those that the network delivers; `delay` in seconds, None = lost."""
    taken = [(n, delay(n)) for n in range(len(packets))]
    return [(0.02 * n + late, packets[n]) for n, late in taken if late is not None]


def test_a_steady_stream_is_played_whole_and_in_order_after_the_first_delay() -> None:
    played = run(through(stream(500), lambda n: 0.0), 510)
    heard = [number for number in played if number is not None]
    assert heard == sorted(heard)
    assert len(heard) >= 498
    assert max(delays(played)) <= 60


def test_packets_that_changed_places_are_played_in_order() -> None:
    packets = stream(100)
    played = run(through(packets, lambda n: 0.03 if n % 2 == 0 else 0.0), 110)
    heard = [number for number in played if number is not None]
    assert heard == sorted(heard)
    assert len(heard) >= 98


def test_a_doubled_packet_is_played_once() -> None:
    packets = through(stream(50), lambda n: 0.0)
    played = run(sorted(packets + packets, key=lambda item: item[0]), 60)
    heard = [number for number in played if number is not None]
    assert heard == list(range(50))


def test_a_lost_packet_is_one_tick_of_concealment() -> None:
    played = run(through(stream(50), lambda n: None if n == 20 else 0.0), 55)
    assert played[played.index(19) + 1] is None
    assert played[played.index(19) + 2] == 21


def test_the_delay_grows_with_the_jitter_and_shrinks_when_it_is_over() -> None:
    chance = random.Random(7)
    played = run(through(stream(2000), lambda n: chance.uniform(0, 0.1) if n < 1000 else 0.0), 2000)
    shaky, calm = played[300:1000], played[1500:]
    assert sum(number is None for number in shaky) < 0.06 * len(shaky)
    assert max(delays(calm, 1500)) <= 60
    assert sum(number is None for number in calm) <= 2


def test_loss_jitter_reorder_and_an_outage_leave_the_delay_below_100_ms() -> None:
    chance = random.Random(44)

    def network(n: int) -> float | None:
        if chance.random() < 0.05:
            return None
        if 1000 <= n < 1050:
            return 1.0 - 0.02 * (n - 1000) + 0.001 * (n - 1000)  # held up, then all at once
        return chance.uniform(0, 0.1)

    buffer = JitterBuffer()
    played = run(through(stream(3000), network), 3000, buffer)
    after = played[1300:]
    assert buffer.delay_ms < 100
    in_buffer = [delay - 50 for delay in delays(after, 1300)]  # less the network's mean delay
    assert max(in_buffer) < 100
    assert sum(number is None for number in after) < 0.11 * len(after)
    assert all(number is None or number > 990 for number in played[1060:])


def test_an_outage_in_which_everything_is_lost_changes_no_delay() -> None:
    played = run(through(stream(400), lambda n: None if 100 <= n < 150 else 0.0), 400)
    assert max(delays(played[160:], 160)) <= 60
    assert sum(number is None for number in played[160:]) <= 2


def test_a_sender_that_paused_its_clock_is_heard_again_within_200_ms() -> None:
    packets = stream(400)
    played = run(through(packets, lambda n: 0.0 if n < 100 else 1.0), 480)
    resumed = played.index(next(n for n in played if n is not None and n >= 100))
    assert resumed <= 150 + 10
    assert max(delays(played[400:], 400)) - 1000 <= 60


def test_a_sequence_jump_of_30000_changes_nothing() -> None:
    packets = [(s if n < 50 else (s + 30_000) & 0xFFFF, t, p) for n, (s, t, p) in enumerate(stream(100))]
    heard = [number for number in run(through(packets, lambda n: 0.0), 110) if number is not None]
    assert heard == list(range(100))


def test_a_timestamp_jump_is_followed_at_once_if_the_sequence_goes_on() -> None:
    packets = [
        (s, t if n < 50 else (t + 1_000_000_000) & 0xFFFFFFFF, p) for n, (s, t, p) in enumerate(stream(100))
    ]
    heard = [number for number in run(through(packets, lambda n: 0.0), 110) if number is not None]
    assert [n for n in heard if n >= 50] == list(range(50, 100))
    assert len(heard) >= 96


def test_a_new_sender_is_followed_from_its_second_packet() -> None:
    packets = stream(50) + [
        (s, t, voice(n + 50)) for n, (s, t, _) in enumerate(stream(50, sequence=9000, timestamp=77_000_000))
    ]
    heard = [number for number in run(through(packets, lambda n: 0.0), 110) if number is not None]
    assert [n for n in heard if n > 50] == list(range(51, 100))


def test_one_stray_packet_is_not_followed() -> None:
    packets = stream(100)
    packets[50] = (4711, 123_456, b"x" * 160)
    heard = [number for number in run(through(packets, lambda n: 0.0), 110) if number is not None]
    assert heard == [n for n in range(100) if n != 50]


def test_after_a_restart_another_stream_is_taken_from_its_first_packet() -> None:
    buffer = JitterBuffer()
    buffer.put(1, 1000, voice(1))
    buffer.restart()
    buffer.put(5000, 99_000_000, voice(2))
    assert [buffer.get() for _ in range(3)] == [None, None, voice(2)]


def test_packets_of_10_30_and_60_ms_become_frames_of_20_ms() -> None:
    audio = bytes(n % 251 for n in range(160 * 60))
    for samples in (80, 240, 480):
        buffer = JitterBuffer()
        out = b""
        sent = 0
        for tick in range(62):
            while sent < len(audio) and sent <= 160 * tick:
                buffer.put(sent // samples, sent, audio[sent : sent + samples])
                sent += samples
            out += buffer.get() or b""
        assert audio in out


def test_silence_fills_what_is_missing_of_a_frame() -> None:
    buffer = JitterBuffer(start_ms=20)
    buffer.put(1, 0, b"a" * 80)
    assert buffer.get() is None
    assert buffer.get() == b"a" * 80 + b"\xff" * 80


def test_a_slow_sender_clock_costs_a_frame_now_and_then_and_no_more() -> None:
    packets = through(stream(5000), lambda n: 0.000_02 * n)  # 1000 ppm slow
    played = run(packets, 5000)
    assert sum(number is None for number in played) < 40


def test_a_fast_sender_clock_does_not_fill_the_buffer() -> None:
    packets = [(0.019_98 * n, packet) for n, packet in enumerate(stream(5000))]  # 1000 ppm fast
    buffer = JitterBuffer()
    run(packets, 4990, buffer)
    assert buffer.delay_ms < 80


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.tuples(
                st.integers(0, 0xFFFF),
                st.integers(0, 0xFFFFFFFF),
                st.integers(1, 1500).map(lambda n: b"z" * n),
            ),
            st.tuples(st.integers(0, 50), st.integers(0, 9000), st.sampled_from([b"z" * 160, b"z" * 7])),
        ),
        max_size=300,
    )
)
def test_nothing_raises_and_frames_are_whole_whatever_comes(steps: list[Packet | None]) -> None:
    buffer = JitterBuffer()
    for step in steps:
        if step is None:
            frame = buffer.get()
            assert frame is None or len(frame) == 160
        else:
            buffer.put(*step)
        assert len(buffer._frames) <= 10 + 11 + 11


def rtp_packet(sequence: int, timestamp: int, payload: bytes, *, first: int = 0x80, kind: int = 0) -> bytes:
    return struct.pack("!BBHII", first, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 7) + payload


HOSTILE = [
    b"\x80",
    b"\x80" * 1500,
    rtp_packet(0, 0, b""),
    rtp_packet(5, 5, b"x" * 20 + b"\xff", first=0xA0),
    rtp_packet(5, 5, b"x" * 20, first=0x8F),
    rtp_packet(40_000, 3_000_000_000, b"x" * 1488),
    rtp_packet(31_000, 77, b"x", kind=127),
    rtp_packet(5, 5, b"\xbe\xde\xff\xff" + b"x" * 50, first=0x90),
]


def test_hostile_packets_between_the_good_ones_do_not_disturb_the_audio() -> None:
    chance = random.Random(38)
    buffer, statistics, sender = JitterBuffer(), rtp.ReceptionStatistics(), rtp.RtpSender(ssrc=1)
    heard = []
    for n in range(1000):
        good = rtp_packet(100 + n, 160_000 + 160 * n, voice(n))
        for data in (good, chance.choice(HOSTILE)) if n % 3 == 0 else (good,):
            statistics.update(data, 0.02 * n)
            payload = rtp.payload(data)
            if payload is not None:
                buffer.put(rtp.sequence(data), rtp.timestamp(data), payload)
                sender.forward(data, payload, 0, 160)
        frame = buffer.get()
        heard.append(None if frame is None else int.from_bytes(frame[:4], "big"))
    played = [number for number in heard if number is not None]
    assert played == sorted(set(played)), "each frame once, in order, and nothing of what is between them"
    assert set(played) <= set(range(1000))
    assert len(played) >= 995
    assert buffer.resyncs == 0
    assert statistics.received >= 1000
