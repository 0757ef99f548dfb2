"""REFER of ours: how long it is waited for, and what may cross it."""

from __future__ import annotations

import pytest

from cordboard.call.facts import LegEnded
from cordboard.legs.own_refer import NO_WORD
from cordboard.testing.wire import Conditions, Datagram

from .referring import Referred

ACCEPTED, TRYING, DONE = (202, None, False), (202, 100, False), (202, 200, True)


@pytest.fixture(params=["in", "out"])
def up(request: pytest.FixtureRequest) -> Referred:
    return Referred(request.param)


# ---------------------------------------------------------------- time


def test_nobody_tells_anything_after_the_acceptance(up: Referred) -> None:
    up.refer()
    up.answer()
    up.bench.run(NO_WORD - 0.1)
    assert up.told() == [ACCEPTED]
    up.bench.run(0.2)
    assert up.told() == [ACCEPTED, (202, None, True)]
    assert up.cause() == "refer_untold"
    up.ends_well()


@pytest.mark.parametrize(("expires", "seconds"), [("1", 60), ("120", 120), ("86400", 600)])
def test_nobody_tells_the_end(up: Referred, expires: str, seconds: int) -> None:
    up.refer()
    up.answer()
    up.notify("100 Trying", f"active;expires={expires}")
    up.bench.run(seconds - 1)
    assert up.told()[-1] == TRYING
    up.bench.run(2)
    assert up.told()[-1] == (202, 100, True)


# ---------------------------------------------------------------- races


def test_a_notify_that_overtakes_the_202(up: Referred) -> None:
    up.refer()
    up.notify("100 Trying")
    up.answer()
    up.finished()
    assert up.told() == [(None, 100, False), TRYING, DONE]


def test_the_last_notify_overtakes_the_202(up: Referred) -> None:
    up.refer()
    up.finished()
    assert up.told() == [(None, 200, False)]
    up.answer()
    assert up.told() == [(None, 200, False), DONE]


def test_a_notify_says_that_the_refer_was_accepted_if_the_202_never_comes(up: Referred) -> None:
    """RFC 6665 section 4.1.2.4."""
    up.refer()
    up.finished()
    up.bench.run(33)
    assert up.told() == [(None, 200, False), (None, 200, True)]
    assert up.progress()[-1].ending is None


@pytest.mark.parametrize("stage", ["asked", "accepted", "tried"])
def test_a_far_end_that_hangs_up_has_said_its_last_word(up: Referred, stage: str) -> None:
    up.refer()
    if stage != "asked":
        up.answer()
    if stage == "tried":
        up.notify("100 Trying")
    up.hang_up()
    known = {"asked": (None, None, True), "accepted": (202, None, True), "tried": (202, 100, True)}
    assert up.told()[-1] == known[stage]
    assert isinstance(up.bench.facts(up.call_id)[-1], LegEnded)
    assert sum(final for _, _, final in up.told()) == 1
    up.bench.comes_to_rest()


def test_a_far_end_that_hangs_up_after_the_outcome(up: Referred) -> None:
    up.refer()
    up.answer()
    up.finished()
    up.hang_up()
    assert up.told() == [ACCEPTED, DONE]
    up.bench.comes_to_rest()


def test_a_refer_that_crosses_a_bye(up: Referred) -> None:
    held: list[Datagram] = []

    def keep(datagram: Datagram) -> bool:
        held.append(datagram)
        return True

    up.bench.wire.drop = keep
    up.hang_up()
    up.refer()
    up.bench.wire.drop = lambda datagram: False
    for datagram in held:
        up.bench.wire.send(datagram.source, datagram.destination, datagram.data)
    up.bench.run()
    assert up.told()[-1:] == [(None, None, True)]
    assert up.bench.fact_names(up.call_id)[-1] == "LegEnded"
    up.bench.comes_to_rest()


def test_we_hang_up_during_a_transfer(up: Referred) -> None:
    """The end of the leg is the last that its call hears."""
    up.refer()
    up.answer()
    up.bench.end(up.call_id)
    up.notify("200 OK")
    assert up.told() == [ACCEPTED]
    assert up.bench.fact_names(up.call_id)[-1] == "LegEnded"
    up.bench.comes_to_rest()


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("seed", range(8))
def test_a_wire_that_loses_a_third(direction: str, seed: int) -> None:
    up = Referred(direction)
    up.bench.wire._random.seed(seed)
    up.bench.wire.conditions = Conditions(loss=0.3, duplication=0.1, shortest_delay=0.01, longest_delay=0.05)
    up.refer()
    up.bench.run(33)
    if not up.asked():
        assert up.told() == [(408, None, True)]
        return
    assert len(up.asked()) == 1
    up.answer()
    up.notify("100 Trying")
    up.finished()
    up.bench.run(100)
    assert [final for _, _, final in up.told()] == [False] * (len(up.told()) - 1) + [True]
    up.bench.wire.conditions = Conditions()
    up.ends_well()
