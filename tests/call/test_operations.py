"""A client's operations: one answer each, first of all; steered by id and kind; swept when over."""

from __future__ import annotations

import pytest

from cordboard.call.actions import Result
from cordboard.call.commands import (
    PauseOperation,
    ResumeOperation,
    SetVolume,
    StartInputTimers,
    StopOperation,
)
from cordboard.call.effects import CommandAnswered, Effect, PlayStateChanged, Report
from cordboard.call.facts import DigitReceived, Fact, PlayFinished
from cordboard.call.operations import MAX_OPERATIONS, Operations, Steering
from cordboard.call.reasons import Ending, ending
from cordboard.call.running import Operation, Outcome
from cordboard.call.steered import Steered

GONE = ending("hangup_far_end")
KEY = DigitReceived(digit="1", duration_ms=100)
OK = Outcome(message="Fine")


def told(word: str) -> Effect:
    return Report(happening=PlayStateChanged(control_id="fake", state=word))


class Fake(Steered):
    """Says what is done to it; a key gives it its outcome, `PlayFinished` ends it."""

    kind = "play"

    def __init__(
        self,
        control_id: str = "c",
        *,
        outcome: Outcome | None = OK,
        slow: bool = False,
        survives: bool = False,
    ) -> None:
        self.control_id = control_id
        self.outcome = outcome
        self.result: Result | None = None
        self.is_over = False
        self.survives = survives
        self._slow = slow
        """Its end waits for a last word."""

    def start(self, now: float) -> list[Effect]:
        return [told("start")]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        if isinstance(fact, DigitReceived):
            self.outcome = OK
            return [told("begun")]
        self.is_over = isinstance(fact, PlayFinished)
        return [told("finished")]

    def next_timeout(self) -> float | None:
        return 7.0

    def handle_timeout(self, now: float) -> list[Effect]:
        self.is_over = now >= 7.0
        return [told("late")]

    def abandon(self, why: Ending, now: float) -> list[Effect]:
        self.is_over = not self._slow
        return [told("abandoned")]

    def stop(self, now: float) -> list[Effect] | None:
        self.is_over = True
        return [told("stopped")]

    def pause(self, now: float, *, skip: bool) -> list[Effect] | None:
        return [told(f"paused {skip}")]


def begun(*operations: Operation) -> Operations:
    all_of = Operations()
    for number, operation in enumerate(operations):
        all_of.begin(f"t{number}", operation, 0.0)
    return all_of


def words(effects: list[Effect]) -> list[str]:
    """`200 ticket`, or what was reported."""
    said = []
    for effect in effects:
        if isinstance(effect, CommandAnswered):
            said.append(f"{effect.code} {effect.ticket}")
        elif isinstance(effect, Report) and isinstance(effect.happening, PlayStateChanged):
            said.append(effect.happening.state)
    return said


def test_the_answer_comes_before_what_the_operation_does() -> None:
    effects = Operations().begin("t", Fake(), 0.0)
    assert words(effects) == ["200 t", "start"]
    assert effects[0] == CommandAnswered(ticket="t", message="Fine", control_id="c")


def test_an_answer_that_is_not_known_yet_comes_before_the_effects_of_its_moment() -> None:
    operations = begun(Fake("other"))
    assert words(operations.begin("t", Fake(outcome=None), 0.0)) == ["start"]
    assert words(operations.handle(KEY, 1.0)) == ["begun", "200 t", "begun"]
    assert words(operations.handle(KEY, 2.0)) == ["begun", "begun"]


def test_what_is_known_of_a_recording_or_tap_is_in_the_answer() -> None:
    outcome = Outcome(url="http://h/1.wav", source_address="192.0.2.1", source_port=4000)
    (answer, _) = Operations().begin("t", Fake(outcome=outcome), 0.0)
    assert isinstance(answer, CommandAnswered)
    assert (answer.url, answer.source_address, answer.source_port) == ("http://h/1.wav", "192.0.2.1", 4000)


def test_a_refused_one_is_answered_with_its_code_and_forgotten() -> None:
    refused = Fake(outcome=Outcome(code="501", message="Not built in."))
    refused.is_over = True
    operations = Operations()
    assert words(operations.begin("t", refused, 0.0))[0] == "501 t"
    assert operations.is_over


def test_the_same_control_id_twice_is_refused_while_the_first_goes_on() -> None:
    operations = begun(Fake())
    (refused,) = operations.begin("t", Fake(), 0.0)
    assert words([refused]) == ["409 t"]
    operations.handle(PlayFinished(control_id="c"), 1.0)
    assert words(operations.begin("t2", Fake(), 1.0)) == ["200 t2", "start"]


def test_a_kind_without_control_ids_goes_on_once_at_a_time() -> None:
    (refused,) = begun(Fake("")).begin("t", Fake(""), 0.0)
    assert isinstance(refused, CommandAnswered)
    assert refused.message == "A play is already under way on this call."


def test_one_more_than_a_call_may_have_is_refused() -> None:
    operations = begun(*[Fake(f"c{number}") for number in range(MAX_OPERATIONS)])
    assert words(operations.begin("t", Fake("more"), 0.0)) == ["409 t"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (StopOperation(control_id="c", kind="play"), ["200 t", "stopped"]),
        (StopOperation(control_id="c", kind="record"), ["409 t"]),
        (StopOperation(control_id="z", kind="play"), ["404 t"]),
        (PauseOperation(control_id="c", kind="play", skip=True), ["200 t", "paused True"]),
        (ResumeOperation(control_id="c", kind="play"), ["409 t"]),
        (SetVolume(control_id="c", kind="play", volume=2.0), ["409 t"]),
        (StartInputTimers(control_id="c"), ["409 t"]),
    ],
)
def test_a_command_finds_what_it_names_by_id_and_kind(command: Steering, said: list[str]) -> None:
    assert words(begun(Fake()).steer("t", command, 1.0)) == said


def test_a_refusal_says_what_cannot_be_done() -> None:
    operations = begun(Fake())
    (late,) = operations.steer("t", ResumeOperation(control_id="c", kind="play"), 1.0)
    assert isinstance(late, CommandAnswered)
    assert late.message == "This play cannot be resumed now."


def test_one_that_is_over_is_forgotten() -> None:
    operations = begun(Fake())
    operations.steer("t", StopOperation(control_id="c", kind="play"), 1.0)
    assert operations.is_over
    assert words(operations.steer("t2", StopOperation(control_id="c", kind="play"), 1.0)) == ["404 t2"]
    assert operations.next_timeout() is None


def test_all_get_the_time_and_the_first_timeout_is_theirs() -> None:
    operations = begun(Fake("a"), Fake("b"))
    assert operations.next_timeout() == 7.0
    assert words(operations.handle_timeout(7.0)) == ["late", "late"]
    assert operations.is_over


def test_at_the_end_of_the_call_all_are_abandoned_and_what_waits_for_its_last_word_stays() -> None:
    operations = begun(Fake("a"), Fake("b", slow=True))
    assert words(operations.abandon(GONE, 3.0)) == ["abandoned", "abandoned"]
    assert not operations.is_over
    assert words(operations.handle(PlayFinished(control_id="b"), 3.1)) == ["finished"]
    assert operations.is_over


@pytest.mark.parametrize("slow", [False, True])
def test_a_command_that_is_not_answered_yet_is_refused_at_the_end_of_the_call(slow: bool) -> None:
    operations = begun(Fake(outcome=None, slow=slow))
    effects = operations.abandon(GONE, 3.0)
    assert words(effects) == ["409 t0", "abandoned"]
    assert [word for word in words(operations.handle(KEY, 3.1)) if word.startswith("200")] == []


def test_a_script_that_takes_over_ends_the_foreground_and_leaves_the_rest() -> None:
    operations = begun(Fake("play"), Fake("record", survives=True))
    assert words(operations.abandon_foreground(GONE, 3.0)) == ["abandoned"]
    assert not operations.is_over
    assert words(operations.steer("t", StopOperation(control_id="play", kind="play"), 4.0)) == ["404 t"]


def test_a_call_that_nobody_controls_stays_up_for_those_that_say_so() -> None:
    music = Fake()
    operations = begun(music)
    assert operations.keeps_up
    music.keeps_up = False
    assert not operations.keeps_up
