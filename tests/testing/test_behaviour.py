from __future__ import annotations

import pytest

from cordboard.testing.behaviour import (
    Accept,
    Behaviour,
    BehaviourMachine,
    HangUp,
    Press,
    Refuse,
    Ring,
    State,
    Step,
    Tell,
)
from cordboard.testing.phones import NAMES, NUMBERS, behaviour_for


def story(
    behaviour: Behaviour, *states: tuple[float, State], until: float = 100.0
) -> list[tuple[float, Step]]:
    """All steps with their times, in virtual time."""
    machine = BehaviourMachine(behaviour)
    happened: list[tuple[float, Step]] = []
    for (now, state), following in zip(states, [*(when for when, _ in states[1:]), until], strict=True):
        happened += [(now, step) for step in machine.handle(state, now)]
        while (due := machine.next_timeout()) is not None and due < following:
            happened += [(due, step) for step in machine.handle_timeout(due)]
    return happened


def test_a_phone_rings_and_answers_in_its_time() -> None:
    assert story(Behaviour(answer_after=2.0), (10.0, State.INVITED)) == [(10.0, Ring()), (12.0, Accept())]


def test_a_phone_that_answers_at_once_rings_first() -> None:
    assert story(Behaviour(), (0.0, State.INVITED)) == [(0.0, Ring()), (0.0, Accept())]


def test_a_busy_phone_does_not_ring() -> None:
    assert story(Behaviour(refuse=486), (0.0, State.INVITED)) == [(0.0, Refuse(486))]


def test_a_refusal_after_a_while_comes_after_ringing() -> None:
    steps = story(Behaviour(refuse=603, refuse_after=1.5), (0.0, State.INVITED))
    assert steps == [(0.0, Ring()), (1.5, Refuse(603))]


def test_a_phone_that_never_answers_only_rings() -> None:
    assert story(Behaviour(answer_after=None), (0.0, State.INVITED)) == [(0.0, Ring())]


def test_a_silent_phone_does_nothing() -> None:
    assert story(Behaviour(silent=True), (0.0, State.INVITED)) == []


def test_early_media_comes_even_without_ringing() -> None:
    steps = story(Behaviour(early_media=True, ring=False, answer_after=None), (0.0, State.INVITED))
    assert steps == [(0.0, Ring(early_media=True))]


def test_a_phone_that_talks_presses_keys_and_hangs_up() -> None:
    behaviour = Behaviour(digits="12", digits_after=0.5, hang_up_after=3.0, answer_without_sdp=True)
    assert story(behaviour, (0.0, State.INVITED), (0.1, State.TALKING)) == [
        (0.0, Ring()),
        (0.0, Accept(with_sdp=False)),
        (0.6, Press("12")),
        (3.1, HangUp()),
    ]


def test_the_end_of_a_call_forgets_what_was_due() -> None:
    steps = story(Behaviour(answer_after=5.0), (0.0, State.INVITED), (1.0, State.OVER))
    assert steps == [(0.0, Ring())]


def test_a_caller_gives_up_only_before_the_answer() -> None:
    behaviour = Behaviour(give_up_after=2.0)
    assert story(behaviour, (0.0, State.CALLING)) == [(2.0, HangUp())]
    assert story(behaviour, (0.0, State.CALLING), (1.0, State.TALKING)) == []


@pytest.mark.parametrize(
    ("user", "steps"),
    [
        ("+15550100", [(0.0, Ring()), (1.0, Accept())]),
        ("15550100", [(0.0, Ring()), (1.0, Accept())]),
        ("+15550101", [(0.0, Refuse(486))]),
        ("+15550102", [(0.0, Refuse(603))]),
        ("+15550103", [(0.0, Ring())]),
        ("+15550104", []),
        ("+15550105", [(0.0, Ring()), (0.0, Accept())]),
        ("+15550107", [(0.0, Refuse(480))]),
        ("+15550108", [(0.0, Ring(early_media=True)), (2.0, Accept())]),
        ("+15550109", [(0.0, Ring()), (5.0, Accept())]),
        ("carol", [(0.0, Ring()), (3.0, Accept())]),
        ("Busy;phone-context=x", [(0.0, Refuse(486))]),
        ("refuse-503", [(0.0, Refuse(503))]),
        ("refuse-699", [(0.0, Refuse(699))]),
        ("answer-after-7", [(0.0, Ring()), (7.0, Accept())]),
        ("answer-after-0.25", [(0.0, Ring()), (0.25, Accept())]),
        ("refuse-200", [(0.0, Refuse(404))]),
        ("nobody", [(0.0, Refuse(404))]),
        ("", [(0.0, Refuse(404))]),
    ],
)
def test_the_documented_phones_do_what_they_are_documented_to_do(
    user: str, steps: list[tuple[float, Step]]
) -> None:
    assert story(behaviour_for(user), (0.0, State.INVITED)) == steps


def test_the_documented_phones_talk_as_documented() -> None:
    assert story(NUMBERS["+15550105"], (0.0, State.TALKING)) == [(3.0, HangUp())]
    assert story(NUMBERS["+15550106"], (0.0, State.TALKING)) == [(0.5, Press("1234#"))]
    assert (NAMES["alice"].tone_hz, NAMES["bob"].tone_hz, NUMBERS["+15550100"].tone_hz) == (
        523.0,
        659.0,
        440.0,
    )


def test_every_phone_has_a_description_of_one_line() -> None:
    for behaviour in [*NAMES.values(), *NUMBERS.values(), behaviour_for("refuse-500"), behaviour_for("x")]:
        assert behaviour.description
        assert "\n" not in behaviour.description


def test_a_referred_phone_tells_how_it_goes_and_goes_on_with_its_call() -> None:
    machine = BehaviourMachine(Behaviour(refer_told=(100, 180, 486), refer_every=1.0, hang_up_after=1.5))
    machine.handle(State.TALKING, 0.0)
    assert machine.refer(0.0) == [Tell(100, last=False)]
    assert machine.handle_timeout(1.0) == [Tell(180, last=False)]
    assert machine.handle_timeout(5.0) == [HangUp(), Tell(486, last=True)]


@pytest.mark.parametrize(("told", "last"), [((), []), ((100,), [False]), ((200,), [True])])
def test_only_a_final_status_ends_a_subscription(told: tuple[int, ...], last: list[bool]) -> None:
    machine = BehaviourMachine(Behaviour(refer_told=told))
    assert [step.last for step in machine.refer(0.0) if isinstance(step, Tell)] == last
