"""What crosses a bridge beside the audio: keys, and hold with its music."""

from __future__ import annotations

from cordboard.call.actions import Sleep
from cordboard.call.effects import PassDigit, PlayTo, StopPlay
from cordboard.call.facts import DigitReceived, LegHeld, PeerHeld, PeerPressed, PlayFinished
from cordboard.testing.virtual import Caller, FarEnd, VirtualShell

from .test_transfer import bridged_call
from .virtual_calls import answered, b, connect, leg_of, nothing_is_left

TALKS = FarEnd((1.0, 200), (20.0, "bye"))


def music(shell: VirtualShell, call_id: str) -> list[tuple[str, str]]:
    """(play or stop, control id) of what one far end heard of hold music."""
    plays = {
        e.control_id
        for c, e in shell.effects
        if c == call_id and isinstance(e, PlayTo) and e.items[0].kind == "hold"
    }
    return [
        ("play" if isinstance(e, PlayTo) else "stop", e.control_id)
        for c, e in shell.effects
        if c == call_id and isinstance(e, PlayTo | StopPlay) and e.control_id in plays
    ]


def test_keys_cross_the_bridge_in_both_directions() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (3.0, "press 5"), (4.0, "press 5"), (20.0, "bye"))},
        caller=Caller(does=((3.5, "press #"),)),
    )
    assert shell.media.passed == [("a", "5"), (leg_of(shell, "b1"), "#"), ("a", "5")]


def test_keys_that_are_pressed_before_the_bridge_stay_where_they_are() -> None:
    shell = answered(
        connect([b("b1")]), far_ends={"b1": FarEnd((3.0, 200), (9.0, "bye"))},
        caller=Caller(does=((1.0, "press 1"),)),
    )  # fmt: skip
    assert shell.media.passed == []


def test_a_key_says_how_it_came_and_how_long_it_was() -> None:
    call = bridged_call()
    key = PeerPressed(call_id="a", digit="7", duration_ms=90, by_info=True)
    assert call.handle(key, 2.0) == [PassDigit(digit="7", duration_ms=90, by_info=True)]
    assert call.handle(PeerPressed(call_id="z", digit="7", duration_ms=90), 2.0) == []


def test_a_far_end_that_holds_gives_the_other_side_music_until_it_listens_again() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (3.0, "hold"), (5.0, "resume"), (20.0, "bye"))},
    )
    (play, first), (stop, second) = music(shell, "a")
    assert (play, stop, first == second) == ("play", "stop", True)
    nothing_is_left(shell)


def test_both_may_hold_at_the_same_time() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (3.0, "hold"), (7.0, "resume"), (20.0, "bye"))},
        caller=Caller(does=((4.0, "hold"), (6.0, "resume"))),
    )
    assert len(music(shell, "a")) == len(music(shell, leg_of(shell, "b1"))) == 2
    nothing_is_left(shell)


def test_a_hold_that_is_told_twice_plays_once() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": FarEnd((1.0, 200), (3.0, "hold"), (4.0, "hold"), (20.0, "bye"))},
    )
    assert [what for what, _ in music(shell, "a")] == ["play", "stop"]


def test_the_music_stops_when_the_one_who_holds_leaves_and_the_script_goes_on() -> None:
    shell = answered(
        connect([b("b1")]), Sleep(seconds=5.0),
        far_ends={"b1": FarEnd((1.0, 200), (3.0, "hold"), (6.0, "bye"))},
    )  # fmt: skip
    assert [what for what, _ in music(shell, "a")] == ["play", "stop"]
    nothing_is_left(shell)


def test_the_music_stops_when_the_one_who_hears_it_leaves() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": TALKS},
        caller=Caller(does=((3.0, "hold"),)),
    )
    assert [what for what, _ in music(shell, leg_of(shell, "b1"))] == ["play", "stop"]
    nothing_is_left(shell)


def test_a_held_caller_hears_the_music_until_the_transfer_is_done() -> None:
    far_end = FarEnd((1.0, 200), (3.0, "hold"), (4.0, "refer b2"))
    shell = answered(connect([b("b1")]), far_ends={"b1": far_end, "b2": FarEnd((2.0, 200), (9.0, "bye"))})
    stopped = [c for c, e in shell.effects if isinstance(e, StopPlay)]
    assert stopped == ["a"]
    assert [what for what, _ in music(shell, "a")] == ["play", "stop"]
    nothing_is_left(shell)


def test_who_holds_already_when_the_bridge_begins_gives_music_from_then_on() -> None:
    shell = answered(
        connect([b("b1")]),
        far_ends={"b1": TALKS},
        caller=Caller(does=((0.5, "hold"),)),
    )
    assert [what for what, _ in music(shell, leg_of(shell, "b1"))] == ["play", "stop"]


def test_a_server_without_music_is_asked_once_and_not_told_to_stop() -> None:
    call = bridged_call()
    (play,) = call.handle(PeerHeld(call_id="a", held=True), 2.0)
    assert isinstance(play, PlayTo)
    assert call.handle(PlayFinished(control_id=play.control_id), 2.1) == []
    assert call.handle(PeerHeld(call_id="a", held=False), 3.0) == []


def test_a_hold_or_a_key_without_a_bridge_is_nobodys_business() -> None:
    call = bridged_call(peer=None)
    assert call.handle(LegHeld(), 2.0) == []
    assert call.handle(DigitReceived(digit="1", duration_ms=100), 2.0) == []
    assert call.handle(PeerHeld(call_id="a", held=True), 2.0) == []
