"""Keys by SIP INFO: heard, passed on from the other side of a bridge, and sent for a script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.effects import PassDigit, SendDigitsTo
from cordboard.call.facts import DigitReceived, DigitsSent
from cordboard.legs.dialog_leg import MAX_KEYS_WAITING
from cordboard.legs.info_digits import LONGEST_MS, SHORTEST_MS, KeyPressed, read_info, write_info
from cordboard.legs.info_sender import MAX_WAITING, InfoSender, RowSent
from cordboard.legs.outputs import MediaCommand, Target, Terms
from cordboard.media.protocol import SendDigits
from cordboard.sdp import PCMU, make_offer
from cordboard.sip.events import RequestReceived

from .leg_bench import CALLED, FAR, LegBench, far_offer

RELAY, BARE = "application/dtmf-relay", "application/dtmf"

NO_EVENTS = make_offer(address=FAR.address, port=4000, codecs=(PCMU,), session_id=9, dtmf=False)


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("body", "digit", "duration"),
    [
        (b"Signal=5\r\nDuration=160\r\n", "5", 160),
        (b"Signal= *\r\nDuration= 250\r\n", "*", 250),
        (b"signal=#\nduration=100", "#", 100),
        (b"Signal=10\r\n", "*", 160),
        (b"Signal=11", "#", 160),
        (b"Signal=12", "A", 160),
        (b"Signal=d\r\nDuration=0\r\n", "D", 160),
        (b"Signal=1\r\nDuration=999999\r\n", "1", LONGEST_MS),
        (b"Signal=1\r\nDuration=1\r\n", "1", SHORTEST_MS),
        (b"7", "7", 160),
        (b" 7\r\n", "7", 160),
        (b'"3"', "3", 160),
    ],
)
def test_a_key_is_read_however_it_is_written(body: bytes, digit: str, duration: int) -> None:
    assert read_info(body) == KeyPressed(digit, duration)


@pytest.mark.parametrize(
    "body", [b"", b"Signal=", b"Signal=16", b"Signal=55", b"hf", b"\xff\xfe", b"x" * 9999]
)
def test_what_is_no_key_is_none(body: bytes) -> None:
    assert read_info(body) is None


@given(st.binary(max_size=300))
def test_any_body_can_be_read(body: bytes) -> None:
    key = read_info(body)
    assert key is None or (key.digit in "0123456789*#ABCD" and SHORTEST_MS <= key.duration_ms <= LONGEST_MS)


@given(st.sampled_from("0123456789*#ABCD"), st.integers(SHORTEST_MS, LONGEST_MS))
def test_what_is_written_can_be_read(digit: str, duration: int) -> None:
    assert read_info(write_info(digit, duration)) == KeyPressed(digit, duration)


# ---------------------------------------------------------------- heard


@pytest.mark.parametrize("content", [RELAY, BARE, "Application/DTMF-Relay; x=1"])
def test_a_key_by_info_is_a_fact(content: str) -> None:
    bench = LegBench()
    call_id, session = bench.answered_call_in()
    response = bench.far_requests(session, "INFO", b"Signal=5\r\nDuration=200\r\n", content)
    assert response.status == 200
    assert bench.facts(call_id)[-1] == DigitReceived(digit="5", duration_ms=200, by_info=True)


@pytest.mark.parametrize(
    ("body", "content", "status"),
    [
        (b"", "", 200),
        (b"Signal=hf\r\n", RELAY, 200),
        (b"<xml/>", "application/media_control+xml", 415),
        (b"v=0\r\n", "", 415),
    ],
)
def test_other_infos_are_answered_and_no_fact(body: bytes, content: str, status: int) -> None:
    bench = LegBench()
    call_id, session = bench.answered_call_in()
    before = bench.facts(call_id)
    response = bench.far_requests(session, "INFO", body, content)
    assert response.status == status
    assert (response.headers.get("Accept") == f"{RELAY}, {BARE}") is (status == 415)
    assert bench.facts(call_id) == before


# ---------------------------------------------------------------- the mode


def mode_after(offer: bytes, *, info: bool) -> str:
    bench = LegBench()
    call_id, session = bench.answered_call_in(offer)
    if info:
        bench.far_requests(session, "INFO", b"Signal=5\r\n", RELAY)
    return bench.media_orders(call_id)[-1].command.dtmf_mode


@pytest.mark.parametrize(
    ("offer", "info", "mode"),
    [
        (far_offer(), False, "rfc4733"),
        (far_offer(), True, "rfc4733"),
        (NO_EVENTS, False, "inband"),
        (NO_EVENTS, True, "info"),
    ],
)
def test_keys_go_the_way_that_the_far_end_can_hear(offer: bytes, info: bool, mode: str) -> None:
    assert mode_after(offer, info=info) == mode


@pytest.mark.parametrize("mode", ["rfc4733", "info", "inband"])
def test_a_trunk_may_say_how_keys_go(mode: str) -> None:
    bench = LegBench()
    dialled_in_mode(bench, mode)
    assert bench.media_orders(CALLED)[-1].command.dtmf_mode == mode
    assert bench.legs.dtmf_mode(CALLED) == mode


def dialled_in_mode(bench: LegBench, mode: str) -> None:
    """An answered call through a trunk with this DTMF mode."""
    bench.dial()
    bench.open_media(CALLED)
    bench.route(Target(request_uri="sip:bob@127.0.0.2", endpoint=FAR), terms=Terms(trunk="t", dtmf=mode))
    bench.run()
    bench.far_accepts(bench.invited())


# ---------------------------------------------------------------- passed on


def keys_at_far_end(bench: LegBench) -> list[KeyPressed | None]:
    """By INFO, in order; each is answered with 200."""
    found = []
    for _, where, event in bench.wire.events:
        if where == FAR and isinstance(event, RequestReceived) and event.request.method == "INFO":
            found.append(read_info(event.request.body))
    return found


def answer_infos(bench: LegBench) -> None:
    request = bench.received(RequestReceived)
    bench.put(bench.far.respond(request.transaction, 200, now=bench.now))
    bench.run()


@pytest.mark.parametrize(
    ("mode", "by_info", "by_media", "infos"),
    [
        ("rfc4733", False, 0, 0),
        ("rfc4733", True, 1, 0),
        ("inband", False, 0, 0),
        ("inband", True, 1, 0),
        ("info", False, 0, 1),
        ("info", True, 0, 1),
    ],
)
def test_a_key_of_the_other_side_reaches_the_far_end_once(
    mode: str, by_info: bool, by_media: int, infos: int
) -> None:
    bench = LegBench()
    dialled_in_mode(bench, mode)
    effect = PassDigit(digit="8", duration_ms=120, by_info=by_info)
    bench.do(bench.legs.pass_digit(CALLED, effect, bench.now))
    bench.run()
    orders = [told.command for told in bench.all_told(MediaCommand)]
    assert orders == [SendDigits(endpoint_id=CALLED, digits="8", duration_ms=120)] * by_media
    assert keys_at_far_end(bench) == [KeyPressed("8", 120)] * infos


def test_a_key_for_a_call_that_is_gone_goes_nowhere() -> None:
    bench = LegBench()
    effect = PassDigit(digit="8", duration_ms=120, by_info=True)
    assert bench.legs.pass_digit("gone", effect, 0.0) == []


def pass_all(bench: LegBench, digits: str) -> None:
    """Pressed on the other side of the bridge, all at once."""
    for digit in digits:
        effect = PassDigit(digit=digit, duration_ms=80, by_info=False)
        bench.do(bench.legs.pass_digit(CALLED, effect, bench.now))
    bench.run()


def test_keys_that_come_faster_than_they_are_answered_wait_and_arrive_in_order() -> None:
    bench = LegBench()
    dialled_in_mode(bench, "info")
    digits = "0123456789*#ABCD" * 13
    pass_all(bench, digits)
    assert len(keys_at_far_end(bench)) == 1
    start = bench.now
    for _ in digits:
        answer_infos(bench)
    assert "".join(key.digit for key in keys_at_far_end(bench) if key) == digits
    assert bench.now - start < 1.0
    bench.end(CALLED)
    bench.comes_to_rest()


def test_keys_that_nobody_answers_are_limited_and_end_with_the_call() -> None:
    bench = LegBench()
    dialled_in_mode(bench, "info")
    pass_all(bench, "5" * (MAX_KEYS_WAITING + 100))
    for _ in range(MAX_KEYS_WAITING):
        answer_infos(bench)
        bench.run(0.1)
    assert len(keys_at_far_end(bench)) == MAX_KEYS_WAITING + 1
    pass_all(bench, "123")
    bench.run(40.0)
    assert len(keys_at_far_end(bench)) == MAX_KEYS_WAITING + 1
    assert bench.fact_names(CALLED)[-1] == "LegEnded"
    bench.comes_to_rest()


# ---------------------------------------------------------------- rows of keys


@pytest.mark.parametrize("mode", ["rfc4733", "inband"])
def test_a_row_of_keys_is_sent_by_the_media_where_they_can(mode: str) -> None:
    bench = LegBench()
    dialled_in_mode(bench, mode)
    bench.do(bench.legs.send_digits(CALLED, SendDigitsTo(control_id="c", digits="1W2"), bench.now))
    [order] = [told.command for told in bench.all_told(MediaCommand)]
    assert order == SendDigits(endpoint_id=CALLED, digits="1W2", send_id="c")


def test_a_row_of_keys_by_info_is_paced_and_its_end_is_told() -> None:
    bench = LegBench()
    dialled_in_mode(bench, "info")
    start = bench.now
    bench.do(bench.legs.send_digits(CALLED, SendDigitsTo(control_id="c", digits="1W2w#a"), start))
    when = []
    for n, _ in enumerate("12#A", 1):
        while len(keys_at_far_end(bench)) < n:
            bench.run(0.05)
        when.append(bench.now - start)
        answer_infos(bench)
    assert [key.digit for key in keys_at_far_end(bench) if key] == ["1", "2", "#", "A"]
    assert when == pytest.approx([0.0, 1.25, 2.0, 2.25], abs=0.1)
    assert DigitsSent(control_id="c") not in bench.facts(CALLED)
    bench.run(0.3)
    assert bench.facts(CALLED)[-1] == DigitsSent(control_id="c")
    bench.end(CALLED)
    bench.comes_to_rest()


def test_a_row_that_is_being_sent_ends_with_the_call() -> None:
    bench = LegBench()
    dialled_in_mode(bench, "info")
    bench.do(bench.legs.send_digits(CALLED, SendDigitsTo(control_id="c", digits="123"), bench.now))
    bench.run()
    bench.end(CALLED)
    bench.run(2.0)
    assert len(keys_at_far_end(bench)) == 1
    assert bench.fact_names(CALLED)[-1] == "LegEnded"
    bench.comes_to_rest()


def test_rows_follow_each_other_and_each_end_is_told_once() -> None:
    sender = InfoSender()
    done = [*sender.add("a", "12", 0.0), *sender.add("b", "3", 0.1)]
    while sender.next_timeout() is not None:
        done += sender.handle_timeout(sender.next_timeout() or 0.0)
    assert [getattr(step, "digit", getattr(step, "control_id", "")) for step in done] == [
        "1",
        "2",
        "a",
        "3",
        "b",
    ]


def test_rows_beyond_the_limit_are_told_to_be_over() -> None:
    sender = InfoSender()
    for n in range(MAX_WAITING):
        sender.add(str(n), "1" * 10, 0.0)
    assert sender.add("more", "1", 0.0) == [RowSent("more")]
