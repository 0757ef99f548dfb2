"""What the caller hears while far ends ring (swml.md 7.11)."""

from __future__ import annotations

from cordboard.call.actions import Answer, Play, PlayItem
from cordboard.call.effects import Join, PlayTo, StopPlay
from cordboard.call.plan import Ringback
from cordboard.testing.virtual import Caller, FarEnd, VirtualShell, run_call

from .virtual_calls import ANSWERS, BUSY, RINGS_FOR_EVER, answered, b, connect, nothing_is_left, outcome, when

FILE = PlayItem(kind="audio", url="http://h/ring.wav")
MISSING = PlayItem(kind="audio", url="http://h/missing.wav")
MUSIC = Ringback(items=(FILE,), volume=-6.0)
US = Ringback(items=(PlayItem(kind="ring", country="us"),))


def heard(shell: VirtualShell) -> list[PlayTo]:
    return [e for call_id, e in shell.effects if call_id == "a" and isinstance(e, PlayTo)]


def stopped(shell: VirtualShell) -> list[str]:
    return [e.control_id for call_id, e in shell.effects if call_id == "a" and isinstance(e, StopPlay)]


def test_an_answered_caller_hears_the_list_from_the_first_ring_to_the_answer() -> None:
    shell = answered(connect([b("b1")], ringback=MUSIC), far_ends={"b1": ANSWERS})
    (play,) = heard(shell)
    assert (play.items, play.volume, play.loop) == ((FILE,), -6.0, 0)
    assert stopped(shell) == [play.control_id]
    nothing_is_left(shell)


def test_it_does_not_begin_before_the_first_ring() -> None:
    shell = answered(connect([b("b1")], ringback=MUSIC), far_ends={"b1": FarEnd((5.0, 486))})
    assert heard(shell) == []


def test_an_unanswered_caller_gets_183_to_hear_it_and_200_at_the_bridge() -> None:
    shell = run_call([connect([b("b1")], ringback=US, answer_on_bridge=True)], {"b1": ANSWERS})
    assert [what for what in shell.legs.wire("a") if what.startswith("> ")] == [
        "> 180", "> 183", "> 200", "> BYE",
    ]  # fmt: skip
    assert when(shell, "a", "> 183") == 0.1
    assert len(heard(shell)) == 1
    nothing_is_left(shell)


def test_it_beats_the_early_media_of_the_far_end() -> None:
    shell = answered(
        connect([b("b1")], ringback=MUSIC), far_ends={"b1": FarEnd((0.1, 183), (2.0, 200), (5.0, "bye"))}
    )
    assert len([e for _, e in shell.effects if isinstance(e, Join)]) == 1
    assert [play.items for play in heard(shell)] == [(FILE,)]


def test_it_goes_on_from_one_attempt_to_the_next() -> None:
    far_ends = {"b1": FarEnd((0.1, 180), (1.0, 486)), "b2": FarEnd((0.5, 180), (3.0, 200), (5.0, "bye"))}
    shell = answered(connect([b("b1")], [b("b2")], ringback=MUSIC), far_ends=far_ends)
    assert len(heard(shell)) == 1
    assert len(stopped(shell)) == 1


def test_it_stops_when_all_have_failed() -> None:
    shell = answered(
        connect([b("b1", timeout=3.0), b("b2")], ringback=MUSIC),
        far_ends={"b1": RINGS_FOR_EVER, "b2": BUSY},
    )
    assert outcome(shell) == (False, "no_answer")
    assert len(heard(shell)) == len(stopped(shell)) == 1
    nothing_is_left(shell)


def test_a_bad_item_in_it_is_skipped() -> None:
    items = (MISSING, US.items[0])
    shell = answered(connect([b("b1")], ringback=Ringback(items=items)), far_ends={"b1": ANSWERS})
    assert [play.items for play in heard(shell)] == [items]


def test_if_nothing_of_it_can_be_played_a_generated_ring_takes_its_place() -> None:
    shell = answered(connect([b("b1")], ringback=Ringback(items=(MISSING,))), far_ends={"b1": ANSWERS})
    first, second = heard(shell)
    assert first.items == (MISSING,)
    assert (second.items[0].kind, second.loop) == ("ring", 0)
    assert stopped(shell) == [second.control_id]
    nothing_is_left(shell)


def test_it_stops_when_the_caller_leaves() -> None:
    shell = answered(
        connect([b("b1")], ringback=MUSIC),
        far_ends={"b1": RINGS_FOR_EVER},
        caller=Caller(hangs_up_at=4.0),
    )
    assert len(stopped(shell)) == 1
    nothing_is_left(shell)


def test_a_caller_who_is_answered_already_gets_nothing_more_on_the_wire() -> None:
    shell = run_call([Answer(), connect([b("b1")], ringback=MUSIC, answer_on_bridge=True)], {"b1": ANSWERS})
    assert [w for w in shell.legs.wire("a") if w.startswith("> ")] == ["> 200", "> BYE"]


def test_a_failed_connect_leaves_the_caller_unanswered_and_a_play_answers() -> None:
    play = Play(items=(FILE,))
    shell = run_call([connect([b("b1")], answer_on_bridge=True), play], {"b1": BUSY})
    assert [w for w in shell.legs.wire("a") if w.startswith("> ")] == ["> 180", "> 200", "> BYE"]


def test_a_caller_is_answered_before_anybody_is_dialled_unless_asked_otherwise() -> None:
    shell = run_call([connect([b("b1")])], {"b1": ANSWERS})
    whats = [(seen.call_id == "a", seen.what) for seen in shell.legs.seen]
    assert whats.index((True, "> 200")) < whats.index((False, "> INVITE"))
