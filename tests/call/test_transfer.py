"""Transfers by REFER: who stays, who goes, and what everybody is told."""

from __future__ import annotations

import pytest

from cordboard.call.actions import Answer, CallInfo, Sleep
from cordboard.call.call import Call
from cordboard.call.connect import MAX_TRANSFERS
from cordboard.call.effects import ConnectStateChanged, Effect, Join, PlayTo, ReportTransfer, TellCall
from cordboard.call.facts import (
    Bridged,
    LegAnswered,
    ReplaceRequested,
    TransferProgress,
    TransferRequested,
    TransferTo,
)
from cordboard.call.plan import Destination
from cordboard.testing.virtual import (
    Caller,
    FarEnd,
    ListDriver,
    RecordingLegs,
    VirtualShell,
    VirtualTime,
    run_call,
)

from .virtual_calls import (
    BUSY,
    answered,
    b,
    connect,
    dialled,
    ended,
    ending_of,
    leg_of,
    nothing_is_left,
    outcome,
    results,
    when,
    wire,
)

TRANSFERS = FarEnd((1.0, 200), (3.0, "refer b2"))
TRANSFERS_AND_LEAVES = FarEnd((1.0, 200), (3.0, "refer b2"), (3.5, "bye"))
TALKS = FarEnd((0.1, 180), (2.0, 200), (20.0, "bye"))
"""Answers two seconds after its INVITE, and leaves eighteen later."""


def notified(shell: VirtualShell, call_id: str) -> list[str]:
    return [what for what in shell.legs.wire(call_id) if "NOTIFY" in what]


def states(shell: VirtualShell, call_id: str) -> list[tuple[str, str | None]]:
    """(state, peer) of the connect events of one call."""
    return [
        (happening.state, happening.peer_call_id)
        for told in shell.reports
        if told.call_id == call_id and isinstance(happening := told.report.happening, ConnectStateChanged)
    ]


# ------------------------------------------------------------------ the dialled side transfers


def test_the_caller_goes_to_the_new_destination_and_the_transferor_is_hung_up() -> None:
    shell = answered(connect([b("b1")]), Sleep(seconds=1.0), far_ends={"b1": TRANSFERS, "b2": TALKS})
    b1, b2 = leg_of(shell, "b1"), leg_of(shell, "b2")
    assert dialled(shell) == {"b1": 0.0, "b2": 3.0}
    assert notified(shell, b1) == ["> NOTIFY 100", "> NOTIFY 200"]
    assert when(shell, b1, "> BYE") == pytest.approx(5.0)
    assert ending_of(shell, b1) == "transferred"
    assert states(shell, "a") == [
        ("connecting", None), ("connected", b1), ("connected", b2), ("disconnected", b2),
    ]  # fmt: skip
    assert outcome(shell) == (True, None)
    assert when(shell, "a", "> BYE") == pytest.approx(24.0)
    nothing_is_left(shell)


def test_a_transferor_who_leaves_at_once_does_not_end_the_call() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": TRANSFERS_AND_LEAVES, "b2": TALKS})
    assert ended(shell, leg_of(shell, "b1")) == "hangup"
    assert [state for state, _ in states(shell, "a")] == [
        "connecting", "connected", "connected", "disconnected",
    ]  # fmt: skip
    assert outcome(shell) == (True, None)
    nothing_is_left(shell)


def test_whoever_is_left_alone_hears_ringing_until_the_new_destination_answers() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": TRANSFERS_AND_LEAVES, "b2": TALKS})
    rings = [e for call_id, e in shell.effects if call_id == "a" and isinstance(e, PlayTo)]
    assert [(ring.items[0].kind, ring.loop) for ring in rings] == [("ring", 0)]


def test_nobody_is_heard_ringing_while_the_two_still_talk() -> None:
    shell = answered(connect([b("b1")]), far_ends={"b1": TRANSFERS, "b2": TALKS})
    assert [e for call_id, e in shell.effects if isinstance(e, PlayTo)] == []


def test_a_transfer_to_a_busy_destination_leaves_the_bridge_as_it_was() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer b2"), (9.0, "bye")), "b2": BUSY}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    b1 = leg_of(shell, "b1")
    assert notified(shell, b1) == ["> NOTIFY 100", "> NOTIFY 486"]
    assert states(shell, "a") == [("connecting", None), ("connected", b1), ("disconnected", b1)]
    assert when(shell, b1, "< BYE") == 9.0
    assert outcome(shell) == (True, None)
    nothing_is_left(shell)


def test_a_transfer_to_nobody_after_the_transferor_has_left_ends_the_connect() -> None:
    far_ends = {"b1": TRANSFERS_AND_LEAVES, "b2": FarEnd((4.0, 486))}
    shell = answered(connect([b("b1")]), Sleep(seconds=2.0), far_ends=far_ends)
    assert [state for state, _ in states(shell, "a")] == ["connecting", "connected", "disconnected"]
    assert outcome(shell) == (True, None)
    assert when(shell, "a", "> BYE") == pytest.approx(9.0)
    nothing_is_left(shell)


def test_a_transfer_to_an_unknown_host_fails_at_once() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer nowhere"), (9.0, "bye"))}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    assert notified(shell, leg_of(shell, "b1")) == ["> NOTIFY 100", "> NOTIFY 502"]
    nothing_is_left(shell)


def test_a_destination_that_does_not_answer_is_given_up_after_its_ring_time() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer b2"), (30.0, "bye")), "b2": FarEnd((0.1, 180))}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    assert when(shell, leg_of(shell, "b2"), "> CANCEL") == 11.0
    assert notified(shell, leg_of(shell, "b1")) == ["> NOTIFY 100", "> NOTIFY 480"]


def test_the_caller_who_leaves_during_a_transfer_ends_all() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (3.0, "refer b2")), "b2": FarEnd((0.1, 180))},
        caller=Caller(hangs_up_at=5.0),
    )
    assert when(shell, leg_of(shell, "b2"), "> CANCEL") == 5.0
    assert when(shell, leg_of(shell, "b1"), "> BYE") == 5.0
    assert ended(shell, leg_of(shell, "b2")) == "cancel"
    nothing_is_left(shell)


def test_the_caller_who_leaves_after_the_transferor_has_gone_ends_all() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": TRANSFERS_AND_LEAVES, "b2": FarEnd((0.1, 180))},
        caller=Caller(hangs_up_at=5.0),
    )
    assert when(shell, leg_of(shell, "b2"), "> CANCEL") == 5.0
    assert [state for state, _ in states(shell, "a")] == ["connecting", "connected", "disconnected"]
    nothing_is_left(shell)


def test_a_second_transfer_during_the_first_is_refused() -> None:
    far_end = FarEnd((1.0, 200), (3.0, "refer b2"), (3.5, "refer b3"))
    shell = answered(connect([b("b1")]), far_ends={"b1": far_end, "b2": TALKS, "b3": TALKS})
    assert notified(shell, leg_of(shell, "b1")) == ["> NOTIFY 100", "> NOTIFY 491", "> NOTIFY 200"]
    assert "b3" not in dialled(shell)


def test_the_new_peer_may_transfer_in_turn() -> None:
    far_ends = {"b1": TRANSFERS, "b2": FarEnd((1.0, 200), (3.0, "refer b3")), "b3": TALKS}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    assert [state for state, _ in states(shell, "a")] == [
        "connecting", "connected", "connected", "connected", "disconnected",
    ]  # fmt: skip
    nothing_is_left(shell)


def test_a_phone_that_transfers_to_itself_for_ever_is_stopped() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer b1"), (9.0, "bye"))}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    assert len([seen for seen in shell.legs.seen if seen.what == "> INVITE"]) == 1 + MAX_TRANSFERS
    assert notified(shell, shell.legs.dialled["b1"]) == ["> NOTIFY 482"]
    nothing_is_left(shell)


def test_the_longest_duration_counts_from_the_first_bridge() -> None:
    far_ends = {"b1": TRANSFERS, "b2": FarEnd((1.0, 200))}
    shell = answered(connect([b("b1")], max_duration=10.0), far_ends=far_ends)
    assert when(shell, leg_of(shell, "b2"), "> BYE") == pytest.approx(11.0)
    assert outcome(shell) == (True, None)


def test_the_longest_duration_ends_a_transfer_too() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer b2")), "b2": FarEnd((0.1, 180))}
    shell = answered(connect([b("b1")], max_duration=4.0), far_ends=far_ends)
    assert when(shell, leg_of(shell, "b2"), "> CANCEL") == 5.0
    assert when(shell, leg_of(shell, "b1"), "> BYE") == 5.0
    nothing_is_left(shell)


# ------------------------------------------------------------------ the caller transfers


def test_a_caller_may_transfer_the_far_end_and_is_hung_up() -> None:
    shell = answered(
        connect([b("b1")]),
        Sleep(seconds=1.0),
        far_ends={"b1": FarEnd((1.0, 200)), "b2": TALKS},
        caller=Caller(does=((3.0, "refer b2"),)),
    )
    b1, b2 = leg_of(shell, "b1"), leg_of(shell, "b2")
    assert notified(shell, "a") == ["> NOTIFY 100", "> NOTIFY 200"]
    assert when(shell, "a", "> BYE") == pytest.approx(5.0)
    assert ending_of(shell, "a") == "transferred"
    assert states(shell, "a") == [("connecting", None), ("connected", b1), ("disconnected", b1)]
    assert states(shell, b1) == [("connecting", None), ("connected", b2), ("disconnected", b2)]
    assert wire(shell, "b1")[-1] == "> BYE"
    assert ending_of(shell, b1) == "hangup_peer"
    assert [result for result in results(shell) if not result.connected] == []
    nothing_is_left(shell)


def test_a_caller_who_transfers_and_leaves_does_not_end_the_far_end() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (15.0, "bye")), "b2": TALKS},
        caller=Caller(hangs_up_at=3.5, does=((3.0, "refer b2"),)),
    )
    b1, b2 = leg_of(shell, "b1"), leg_of(shell, "b2")
    assert when(shell, b1, "< BYE") == 15.0
    assert when(shell, b2, "> BYE") == 15.0
    assert states(shell, b1) == [("connecting", None), ("connected", b2), ("disconnected", b2)]
    assert ended(shell, b2) == "hangup"
    nothing_is_left(shell)


def test_a_far_end_that_was_transferred_to_nobody_is_hung_up() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200)), "b2": FarEnd((2.0, 486))},
        caller=Caller(hangs_up_at=3.5, does=((3.0, "refer b2"),)),
    )
    b1 = leg_of(shell, "b1")
    assert when(shell, b1, "> BYE") == 5.0
    assert ending_of(shell, b1) == "transfer_failed"
    assert [state for state, _ in states(shell, b1)] == ["connecting", "failed"]
    nothing_is_left(shell)


def test_a_caller_whose_transfer_fails_talks_on() -> None:
    shell = answered(
        connect([b("b1")]),
        Sleep(seconds=1.0),
        far_ends={"b1": FarEnd((1.0, 200), (9.0, "bye")), "b2": BUSY},
        caller=Caller(does=((3.0, "refer b2"),)),
    )
    assert notified(shell, "a") == ["> NOTIFY 100", "> NOTIFY 486"]
    assert outcome(shell) == (True, None)
    assert when(shell, "a", "> BYE") == pytest.approx(10.0)
    nothing_is_left(shell)


def test_a_far_end_that_leaves_while_it_is_transferred_ends_all() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (5.0, "bye")), "b2": FarEnd((0.1, 180))},
        caller=Caller(does=((3.0, "refer b2"),)),
    )
    assert when(shell, leg_of(shell, "b2"), "> CANCEL") == 5.0
    assert notified(shell, "a") == ["> NOTIFY 100", "> NOTIFY 487"]
    assert outcome(shell) == (True, None)
    nothing_is_left(shell)


def test_both_sides_that_transfer_each_other_are_both_refused_or_one_wins() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (3.0, "refer b2"), (30.0, "bye")), "b2": TALKS, "b3": TALKS},
        caller=Caller(does=((3.0, "refer b3"),)),
    )
    nothing_is_left(shell)
    assert shell.most_joins <= 2


def test_a_caller_who_talks_to_nobody_cannot_transfer() -> None:
    shell = run_call([Answer(), Sleep(seconds=5.0)], {}, caller=Caller(does=((1.0, "refer b1"),)))
    assert notified(shell, "a") == ["> NOTIFY 481"]


# ------------------------------------------------------------------ attended: another call is replaced


def two_calls(
    far_ends: dict[str, FarEnd], first: Caller | None = None, second: Caller | None = None
) -> VirtualShell:
    """Call `a` to b1 now, and call `c` to b2 two seconds later."""
    time = VirtualTime()
    shell = VirtualShell(time, RecordingLegs(time, far_ends))
    shell.call_in(ListDriver([Answer(), connect([b("b1")]), Sleep(seconds=1.0)]), first, "a")

    def call_again() -> None:
        driver = ListDriver([Answer(), connect([b("b2")]), Sleep(seconds=1.0)])
        shell.call_in(driver, second, "c")

    time.after(2.0, call_again)
    time.run()
    return shell


LONG = FarEnd((1.0, 200), (30.0, "bye"))


def test_a_caller_is_joined_with_whom_the_transferor_has_called_meanwhile() -> None:
    """b1's phone has called in again as `c`, talks to b2, and transfers the first caller there."""
    first = FarEnd((1.0, 200), (6.0, "refer b2 replacing c"))
    shell = two_calls({"b1": first, "b2": LONG})
    b1, b2 = leg_of(shell, "b1"), leg_of(shell, "b2")
    assert notified(shell, b1) == ["> NOTIFY 200"]
    assert [ending_of(shell, call) for call in (b1, "c")] == ["transferred", "transferred"]
    assert states(shell, "a") == [
        ("connecting", None), ("connected", b1), ("connected", b2), ("disconnected", b2),
    ]  # fmt: skip
    assert states(shell, "c") == [("connecting", None), ("connected", b2), ("disconnected", b2)]
    assert when(shell, "c", "> BYE") == pytest.approx(6.0)
    assert when(shell, b2, "< BYE") == 32.0
    assert when(shell, "a", "> BYE") == pytest.approx(33.0)
    nothing_is_left(shell)


def test_two_dialled_calls_are_joined_when_the_one_who_dialled_both_transfers() -> None:
    """`a` and `c` are the same phone: it has called b1 and b2, and joins the two."""
    shell = two_calls({"b1": LONG, "b2": LONG}, first=Caller(does=((6.0, "refer b2 replacing c"),)))
    b1, b2 = leg_of(shell, "b1"), leg_of(shell, "b2")
    assert [ending_of(shell, call) for call in ("a", "c")] == ["transferred", "transferred"]
    assert states(shell, b1) == [("connecting", None), ("connected", b2), ("disconnected", b2)]
    assert when(shell, b1, "< BYE") == 30.0
    assert when(shell, b2, "> BYE") == 30.0
    nothing_is_left(shell)


def test_a_dialled_call_is_joined_with_a_caller_whose_connect_goes_on() -> None:
    """The phone of `a` has called b1, is called by `c` as b2, and joins the two."""
    shell = two_calls(
        {"b1": FarEnd((1.0, 200)), "b2": FarEnd((1.0, 200))},
        first=Caller(does=((6.0, "refer c replacing b2"),)),
        second=Caller(hangs_up_at=20.0),
    )
    b1, b2 = leg_of(shell, "b1"), leg_of(shell, "b2")
    assert [ending_of(shell, call) for call in ("a", b2)] == ["transferred", "transferred"]
    assert states(shell, "c") == [
        ("connecting", None), ("connected", b2), ("connected", b1), ("disconnected", b1),
    ]  # fmt: skip
    assert when(shell, b1, "> BYE") == pytest.approx(20.0)
    nothing_is_left(shell)


def test_two_callers_are_joined_and_each_goes_on_with_its_script() -> None:
    """One phone is called by `a` as b1 and by `c` as b2, and joins the two."""
    first = FarEnd((1.0, 200), (6.0, "refer c replacing b2"))
    shell = two_calls(
        {"b1": first, "b2": FarEnd((1.0, 200))}, first=Caller(hangs_up_at=20.0), second=Caller()
    )
    b1, b2 = leg_of(shell, "b1"), leg_of(shell, "b2")
    assert states(shell, "a")[1:] == [("connected", b1), ("connected", "c"), ("disconnected", "c")]
    assert states(shell, "c")[1:] == [("connected", b2), ("connected", "a"), ("disconnected", "a")]
    assert when(shell, "c", "> BYE") == pytest.approx(21.0)
    nothing_is_left(shell)


def test_a_call_that_is_not_there_cannot_be_replaced() -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, "refer x replacing gone"), (20.0, "bye"))}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    assert notified(shell, leg_of(shell, "b1")) == ["> NOTIFY 408"]
    assert when(shell, leg_of(shell, "b1"), "> NOTIFY 408") == 8.0
    nothing_is_left(shell)


@pytest.mark.parametrize("replaced", ["a", "b1"])
def test_neither_side_of_the_same_bridge_can_be_replaced(replaced: str) -> None:
    far_ends = {"b1": FarEnd((1.0, 200), (3.0, f"refer x replacing {replaced}"), (20.0, "bye"))}
    shell = answered(connect([b("b1")]), far_ends=far_ends)
    assert notified(shell, leg_of(shell, "b1")) == ["> NOTIFY 482"]
    assert len([e for _, e in shell.effects if isinstance(e, Join)]) == 1
    nothing_is_left(shell)


def test_a_call_that_talks_to_nobody_has_no_peer_to_give() -> None:
    call = bridged_call(peer=None)
    refusal = call.handle(ReplaceRequested(transferor="x", to="y"), 2.0)
    assert refusal == [_progress("x", 481)]


# ------------------------------------------------------------------ what comes from nowhere


def bridged_call(peer: str | None = "a") -> Call:
    info = CallInfo(
        call_id="b", node_id="n", segment_id="s", project_id="p", space_id="s", session_id="s",
        call_state="created", direction="outbound", type="sip", from_="sip:a@h", to="sip:b@h",
    )  # fmt: skip
    call = Call(info=info, driver=None, parent="a", new_id=lambda: "id")
    call.start(0.0)
    call.handle(LegAnswered(), 1.0)
    if peer is not None:
        call.handle(Bridged(call_id=peer), 1.1)
    return call


def _progress(call_id: str, status: int) -> Effect:
    fact = TransferProgress(status=status, reason="Call/Transaction Does Not Exist")
    return TellCall(call_id=call_id, fact=fact)


def test_only_the_peer_may_transfer_a_call() -> None:
    wish = TransferTo(transferor="stranger", destination=Destination(kind="sip", to="sip:c@h"))
    assert bridged_call().handle(wish, 2.0) == [_progress("stranger", 481)]
    assert bridged_call(peer=None).handle(wish, 2.0) == [_progress("stranger", 481)]


def test_progress_that_nobody_asked_for_is_not_reported() -> None:
    assert bridged_call().handle(TransferProgress(status=200), 2.0) == []


def test_a_transfer_that_is_asked_for_twice_is_refused_the_second_time() -> None:
    call = bridged_call()
    wish = TransferRequested(destination=Destination(kind="sip", to="sip:c@h"))
    assert [type(effect) for effect in call.handle(wish, 2.0)] == [TellCall]
    assert call.handle(wish, 2.1) == [ReportTransfer(status=491, reason="Request Pending")]
