"""Whose packets are believed (needs no socket: sources are tuples)."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.latching import DEFAULT_POLICY, Latch, LatchingPolicy, Verdict, is_private

SIGNALLED = ("198.51.100.1", 4000)
SAME_HOST = ("198.51.100.1", 4444)
STRANGER = ("203.0.113.9", 4000)
PCMU_ONLY = {0: "PCMU"}
LONG_AGO = -1.0


def packet(sequence: int, *, ssrc: int = 7, payload_type: int = 0) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, sequence * 160, ssrc) + bytes(160)


class Leg:
    """A latch with a clock and a memory of when its source was heard."""

    def __init__(self, policy: LatchingPolicy = DEFAULT_POLICY, *, follow: bool = True) -> None:
        self.latch = Latch(policy)
        self.now = 100.0
        self.heard_at = LONG_AGO
        self.latch.signal(SIGNALLED, self.now, follow=follow)

    def hear(self, source: tuple[str, int], data: bytes) -> Verdict:
        verdict = self.latch.judge(source, data, PCMU_ONLY, self.now, self.heard_at)
        if verdict in (Verdict.ACCEPTED, Verdict.LATCHED):
            self.heard_at = self.now
        return verdict

    def run(self, source: tuple[str, int], count: int, *, start: int = 0, ssrc: int = 7) -> list[Verdict]:
        return [self.hear(source, packet(start + index, ssrc=ssrc)) for index in range(count)]


def test_the_signalled_address_is_believed_at_once() -> None:
    leg = Leg()
    assert leg.run(SIGNALLED, 2) == [Verdict.LATCHED, Verdict.ACCEPTED]
    assert leg.latch.target == SIGNALLED


def test_before_anything_is_signalled_nobody_is_believed() -> None:
    latch = Latch()
    assert latch.judge(SIGNALLED, packet(1), PCMU_ONLY, 0.0, LONG_AGO) is Verdict.REFUSED
    assert latch.target is None


def test_another_port_of_the_same_host_is_latched_after_a_run() -> None:
    leg = Leg()
    assert leg.run(SAME_HOST, 6) == [Verdict.REFUSED] * 4 + [Verdict.LATCHED, Verdict.ACCEPTED]
    assert leg.latch.target == SAME_HOST
    assert leg.latch.refused == 4


def test_another_host_is_latched_within_the_first_seconds_only() -> None:
    leg = Leg()
    assert leg.run(STRANGER, 5)[-1] is Verdict.LATCHED
    late = Leg()
    late.now += 10.1
    assert set(late.run(STRANGER, 50)) == {Verdict.REFUSED}
    assert late.latch.target == SIGNALLED


def test_another_host_is_never_latched_if_the_policy_says_so() -> None:
    leg = Leg(LatchingPolicy(window=0.0))
    assert set(leg.run(STRANGER, 50)) == {Verdict.REFUSED}


def test_a_private_address_in_the_sdp_lets_a_public_source_in_at_any_time() -> None:
    leg = Leg()
    leg.latch.signal(("10.0.0.5", 4000), leg.now)
    leg.now += 60
    assert leg.run(("8.8.8.8", 9999), 5)[-1] is Verdict.LATCHED
    assert is_private("10.0.0.5")
    assert not is_private("8.8.8.8")


def test_the_signalled_address_takes_the_stream_back_from_whoever_was_faster() -> None:
    leg = Leg()
    leg.run(STRANGER, 5)
    assert leg.hear(SIGNALLED, packet(1)) is Verdict.LATCHED
    assert set(leg.run(STRANGER, 20, start=5)) == {Verdict.REFUSED}
    assert leg.latch.target == SIGNALLED


def test_a_third_address_in_the_middle_is_refused_and_counted() -> None:
    leg = Leg()
    leg.run(SIGNALLED, 10)
    for index in range(100):
        leg.now += 0.02
        assert leg.hear(STRANGER, packet(index, ssrc=9)) is Verdict.REFUSED
        assert leg.hear(SAME_HOST, packet(index, ssrc=8)) is Verdict.REFUSED
        assert leg.hear(SIGNALLED, packet(10 + index)) is Verdict.ACCEPTED
    assert leg.latch.refused == 200


def test_a_nat_that_forgot_its_mapping_is_followed_after_silence() -> None:
    leg = Leg()
    leg.run(SIGNALLED, 10)
    leg.now += 0.9
    assert set(leg.run(SAME_HOST, 20)) == {Verdict.REFUSED}
    leg.now += 0.2
    assert Verdict.LATCHED in leg.run(SAME_HOST, 6, start=20)
    assert leg.latch.target == SAME_HOST


def test_silence_lets_no_other_host_in() -> None:
    leg = Leg()
    leg.run(SIGNALLED, 10)
    leg.now += 60
    assert set(leg.run(STRANGER, 50)) == {Verdict.REFUSED}


def test_a_run_needs_one_ssrc_successive_numbers_and_a_negotiated_type() -> None:
    ssrcs, gaps, types = Leg(), Leg(), Leg()
    assert Verdict.LATCHED not in [ssrcs.hear(SAME_HOST, packet(n, ssrc=n % 2)) for n in range(20)]
    assert Verdict.LATCHED not in [gaps.hear(SAME_HOST, packet(2 * n)) for n in range(20)]
    assert Verdict.LATCHED not in [types.hear(SAME_HOST, packet(n, payload_type=18)) for n in range(20)]


def test_two_candidates_at_once_break_each_others_run() -> None:
    leg = Leg()
    for index in range(20):
        assert leg.hear(STRANGER, packet(index, ssrc=1)) is Verdict.REFUSED
        assert leg.hear(SAME_HOST, packet(index, ssrc=2)) is Verdict.REFUSED


def test_what_is_not_rtp_is_ignored_even_from_the_signalled_address() -> None:
    leg = Leg()
    for data in (
        b"",
        b"\x00",
        b"\r\n\r\n",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
        b"\x80\xc8" + bytes(30),
    ):
        assert leg.hear(SIGNALLED, data) is Verdict.IGNORED
        assert leg.hear(STRANGER, data) is Verdict.IGNORED
    assert leg.latch.latched is None
    assert leg.latch.refused == 0


def test_without_following_only_the_signalled_address_is_believed() -> None:
    leg = Leg(follow=False)
    assert set(leg.run(SAME_HOST, 20)) == {Verdict.REFUSED}
    assert leg.hear(SIGNALLED, packet(0)) is Verdict.LATCHED


def test_the_same_address_signalled_again_keeps_the_latch_and_another_ends_it() -> None:
    leg = Leg()
    leg.run(SAME_HOST, 5)
    leg.latch.signal(SIGNALLED, leg.now)
    assert leg.latch.target == SAME_HOST
    leg.latch.signal(("198.51.100.2", 5000), leg.now)
    assert leg.latch.target == ("198.51.100.2", 5000)


def test_a_reinvite_that_names_the_latched_address_keeps_it() -> None:
    leg = Leg()
    leg.run(SAME_HOST, 5)
    leg.latch.signal(SAME_HOST, leg.now)
    assert leg.latch.latched == SAME_HOST


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from([STRANGER, SAME_HOST]), st.binary(max_size=40)), max_size=40))
def test_rubbish_from_strangers_never_latches_and_never_raises(
    datagrams: list[tuple[tuple[str, int], bytes]],
) -> None:
    leg = Leg(LatchingPolicy(run=50))
    for source, data in datagrams:
        assert leg.hear(source, data) in (Verdict.IGNORED, Verdict.REFUSED)
    assert leg.latch.target == SIGNALLED
