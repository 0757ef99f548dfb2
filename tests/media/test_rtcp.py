from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.media import rtcp
from cordboard.media.rtp import ReceptionStatistics, RtpSender

U32 = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.builds(
    rtcp.ReportBlock, U32, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), U32, U32, U32, U32
)
SENDERS = st.builds(rtcp.SenderInfo, st.integers(0, 2**64 - 1), U32, U32, U32)


@given(
    U32, st.one_of(st.none(), SENDERS), st.lists(BLOCKS, max_size=31), st.text(max_size=300), st.booleans()
)
def test_what_is_built_is_read_back(
    ssrc: int,
    sender: rtcp.SenderInfo | None,
    blocks: list[rtcp.ReportBlock],
    cname: str,
    goodbye: bool,
) -> None:
    report = rtcp.Report(ssrc, sender, tuple(blocks))
    data = rtcp.build(report, cname, goodbye=goodbye)
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == [report, *([rtcp.Goodbye((ssrc,))] if goodbye else [])]


def test_the_description_carries_the_cname_and_ends_with_a_zero() -> None:
    data = rtcp.build(rtcp.Report(5, None, ()), "abc@x")
    assert data[:8] == struct.pack("!BBHI", 0x80, 201, 1, 5)
    assert data[8:] == struct.pack("!BBHI", 0x81, 202, 3, 5) + b"\x01\x05abc@x\x00"


@given(st.binary(max_size=200))
def test_nonsense_never_raises(data: bytes) -> None:
    rtcp.parse(data)
    rtcp.Reporting(cname="a").handle(data, 1, 2.0)


@given(st.integers(0, 255), st.sampled_from([200, 201, 203, 207]), st.integers(0, 6), st.binary(max_size=32))
def test_counts_and_lengths_that_do_not_fit_are_survived(
    first: int, kind: int, length: int, rest: bytes
) -> None:
    rtcp.parse(bytes((first & 0x3F | 0x80, kind)) + struct.pack("!H", length) + rest)


def test_ten_thousand_packets_in_one_are_not_all_read() -> None:
    assert len(rtcp.parse(struct.pack("!BBHI", 0x80, 201, 1, 5) * 10_000)) == 32


def test_two_parties_learn_round_trip_loss_and_jitter_from_each_other() -> None:
    a_sender, b_sender = RtpSender(ssrc=1), RtpSender(ssrc=2)
    a_heard, b_heard = ReceptionStatistics(), ReceptionStatistics()
    a, b = rtcp.Reporting(cname="a"), rtcp.Reporting(cname="b")
    for n in range(100):
        data = a_sender.packet(bytes(160), 0, 160)
        if n % 4 != 3:
            b_heard.update(data, 0.02 * n + 0.05)
    b.handle(a.report(a_sender, a_heard, 10.0), 2, 5_000.07)  # other clock, 70 ms one way
    report = b.report(b_sender, b_heard, 5_001.07)
    a.handle(report, 1, 11.13)
    assert a.round_trip_ms == pytest.approx(130, abs=0.1)
    assert a.remote_lost == 24  # 99 sent up to the highest heard
    assert a.remote_fraction_lost == pytest.approx(24 / 99, abs=0.01)
    assert a.remote_jitter_ms < 1
    assert b.round_trip_ms is None


def test_a_sender_report_is_sent_only_if_something_was_sent_since_the_last() -> None:
    sender, heard, reporting = RtpSender(ssrc=1), ReceptionStatistics(), rtcp.Reporting(cname="a")
    sender.packet(bytes(160), 0, 160)
    first, second = (rtcp.parse(reporting.report(sender, heard, now))[0] for now in (1.0, 6.0))
    assert first == rtcp.Report(1, rtcp.SenderInfo(1 << 32, 160, 1, 160), ())
    assert second == rtcp.Report(1, None, ())


def test_waits_are_spread_over_half_to_one_and_a_half_of_the_interval() -> None:
    assert [rtcp.wait(draw) for draw in (0.0, 0.5, 1.0)] == [2.5, 5.0, 7.5]
    assert [rtcp.wait(draw, first=True) for draw in (0.0, 1.0)] == [1.25, 3.75]


def test_a_goodbye_is_heard() -> None:
    sender, heard = RtpSender(ssrc=1), ReceptionStatistics()
    there = rtcp.Reporting(cname="b")
    there.handle(rtcp.Reporting(cname="a").report(sender, heard, 1.0, goodbye=True), 2, 1.0)
    assert there.goodbye


def test_blocks_about_others_are_no_news_of_us() -> None:
    reporting = rtcp.Reporting(cname="a")
    block = rtcp.ReportBlock(99, 128, 50, 0, 800, 0, 0)
    reporting.handle(rtcp.build(rtcp.Report(2, None, (block,)), "b"), 1, 1.0)
    assert (reporting.remote_lost, reporting.remote_jitter_ms) == (0, 0.0)


@pytest.mark.parametrize(
    ("last", "delay", "now", "trip"),
    [
        (0, 0, 100.0, None),
        (99 << 16, 0x8000, 100.0, 0.5),
        (100 << 16, 1, 100.0, 0.0),
        (12_345, 0, 100.0, None),
        (0xFFFF << 16, 0, 65_536.5, 1.5),
    ],
)
def test_a_round_trip_that_cannot_be_true_is_none(
    last: int, delay: int, now: float, trip: float | None
) -> None:
    assert rtcp.round_trip(rtcp.ReportBlock(1, 0, 0, 0, 0, last, delay), now) == trip
