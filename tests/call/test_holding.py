"""A client's `Hold`: music while the far end is held, and one report for each command."""

from __future__ import annotations

from cordboard.call.actions import Hold
from cordboard.call.effects import HoldLeg, PlayTo, StopPlay
from cordboard.call.facts import HoldAnswered, PlayFinished
from cordboard.call.running import Operation
from cordboard.call.workshop import Workshop

from .operating import Bench, workshop

HELD = HoldAnswered(held=True)
BACK = HoldAnswered(held=False)
NOT_HELD = HoldAnswered(held=False, ok=False, sentence="488")
NOT_BACK = HoldAnswered(held=True, ok=False, sentence="488")


def asked(shop: Workshop, *, on: bool) -> Operation:
    return shop.operation(Hold(on=on))


def held(shop: Workshop | None = None) -> Bench:
    return Bench(asked(shop or workshop(), on=True)).at(1.0, HELD)


def music(bench: Bench) -> str:
    (play,) = [effect for _, effect in bench.effects if isinstance(effect, PlayTo)]
    assert (play.items[0].kind, play.loop) == ("hold", 0)
    return play.control_id


def test_the_far_end_hears_music_until_it_is_taken_back() -> None:
    shop = workshop()
    hold = held(shop)
    assert hold.commands() == ["HoldLeg", "PlayTo"]
    unhold = Bench(asked(shop, on=False)).at(2.0, BACK)
    hold.at(2.0, BACK)
    assert [effect for _, effect in hold.effects][-1] == StopPlay(control_id=music(hold))
    assert [e for _, e in unhold.effects if isinstance(e, HoldLeg)] == [HoldLeg(on=False)]
    assert (hold.told(), unhold.told()) == (["hold"], ["unhold"])
    assert hold.machine.is_over
    assert unhold.machine.is_over


def test_a_far_end_that_refuses_is_not_held() -> None:
    hold = Bench(asked(workshop(), on=True)).at(1.0, NOT_HELD)
    assert (hold.told(), hold.commands()) == (["unhold"], ["HoldLeg"])
    assert hold.machine.is_over


def test_a_far_end_that_does_not_come_back_is_still_held_and_can_be_asked_again() -> None:
    shop = workshop()
    hold = held(shop)
    assert Bench(asked(shop, on=False)).at(2.0, NOT_BACK).told() == ["hold"]
    assert not hold.at(2.0, NOT_BACK).machine.is_over
    again = Bench(asked(shop, on=False)).at(3.0, BACK)
    assert again.told() == ["unhold"]
    assert hold.at(3.0, BACK).machine.is_over


def test_one_question_at_a_time() -> None:
    shop = workshop()
    hold = Bench(asked(shop, on=True))
    for on in (True, False):
        refused = asked(shop, on=on).outcome
        assert refused is not None
        assert refused.code == "409"
    hold.at(1.0, HELD)
    assert asked(shop, on=False).outcome is not None
    unhold = asked(shop, on=False)
    assert unhold.outcome is not None
    assert unhold.outcome.code == "200"


def test_where_there_is_no_music_there_is_none_to_stop() -> None:
    hold = held()
    hold.at(1.1, PlayFinished(control_id=music(hold))).at(2.0, BACK)
    assert "StopPlay" not in hold.commands()


def test_the_music_ends_with_the_call() -> None:
    hold = held().abandon(2.0).abandon(2.1)
    assert hold.commands() == ["HoldLeg", "PlayTo", "StopPlay"]
    assert hold.told() == ["hold"]
    assert hold.machine.is_over


def test_an_answer_that_crosses_the_end_of_the_call_does_nothing() -> None:
    shop = workshop()
    hold = Bench(asked(shop, on=True)).abandon(1.0).at(1.1, HELD)
    unhold = Bench(asked(shop, on=False)).abandon(1.0).at(1.1, BACK)
    assert (hold.told(), unhold.told()) == ([], [])
    assert hold.commands() == ["HoldLeg"]


def test_a_call_that_nobody_controls_does_not_stay_up_for_its_music() -> None:
    assert not held().machine.keeps_up
    assert held().machine.survives
