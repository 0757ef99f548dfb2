"""The wire in virtual time does what it says, and the same again for the same seed."""

from __future__ import annotations

import pytest

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Output, SendMessage
from cordboard.testing.wire import Conditions, Wire

HERE = Endpoint("UDP", "192.0.2.1", 5060)
THERE = Endpoint("UDP", "192.0.2.2", 5060)
BAD = Conditions(loss=0.3, duplication=0.3, shortest_delay=0.1, longest_delay=0.9)


class Ear:
    """Notes what it hears, and when; answers nothing."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []

    def receive(self, data: bytes, source: Endpoint, now: float) -> list[Output]:
        self.heard.append((now, data))
        return []

    def next_timeout(self) -> float | None:
        return None

    def handle_timeout(self, now: float) -> list[Output]:
        return []


class Clock(Ear):
    """Wants to be woken each second, for ever."""

    due = 1.0

    def next_timeout(self) -> float | None:
        return self.due

    def handle_timeout(self, now: float) -> list[Output]:
        self.due = now + 1
        return [SendMessage(b"tick", THERE)]


def hear(conditions: Conditions, seed: int, messages: int = 500) -> list[tuple[float, bytes]]:
    wire, ear = Wire(seed=seed, conditions=conditions), Ear()
    wire.attach(ear, THERE)
    for number in range(messages):
        wire.send(HERE, THERE, b"%d" % number)
    wire.run_until_quiet()
    return ear.heard


def test_a_good_wire_delivers_everything_once_in_order_and_at_once() -> None:
    assert hear(Conditions(), 1, 3) == [(0.0, b"0"), (0.0, b"1"), (0.0, b"2")]


def test_a_bad_wire_loses_doubles_delays_and_reorders() -> None:
    heard = hear(BAD, 1)
    numbers = [int(data) for _, data in heard]
    assert 300 < len(set(numbers)) < 400
    assert len(numbers) > len(set(numbers))
    assert numbers != sorted(numbers)
    assert all(0.1 <= when <= 0.9 for when, _ in heard)


def test_the_same_seed_does_the_same_and_another_does_not() -> None:
    assert hear(BAD, 7) == hear(BAD, 7)
    assert hear(BAD, 7) != hear(BAD, 8)


def test_time_passes_from_one_timer_to_the_next() -> None:
    wire, ear = Wire(), Ear()
    wire.attach(Clock(), HERE)
    wire.attach(ear, THERE)
    wire.run(3.5)
    assert ear.heard == [(1.0, b"tick"), (2.0, b"tick"), (3.0, b"tick")]
    assert wire.now == 3.5


def test_a_node_that_never_rests_is_found_out() -> None:
    wire = Wire()
    wire.attach(Clock(), HERE)
    with pytest.raises(RuntimeError, match="rest"):
        wire.run_until_quiet(most_steps=100)


def test_what_is_sent_to_nobody_is_recorded_and_gone() -> None:
    wire = Wire()
    wire.send(HERE, THERE, b"INVITE sip:x SIP/2.0\r\n")
    wire.run_until_quiet()
    assert [(datagram.first_line, datagram.copies) for datagram in wire.sent] == [("INVITE sip:x SIP/2.0", 1)]
