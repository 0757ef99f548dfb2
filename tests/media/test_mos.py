from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.media import mos


def test_an_undisturbed_g711_call_has_4_4() -> None:
    assert mos.estimate(loss=0) == pytest.approx(4.41, abs=0.01)


@pytest.mark.parametrize(
    ("r", "score"), [(-5, 1.0), (0, 1.0), (50, 2.58), (70, 3.60), (90, 4.34), (120, 4.5)]
)
def test_the_scale_is_that_of_annex_b(r: float, score: float) -> None:
    assert mos.mos(r) == pytest.approx(score, abs=0.01)


def test_delay_costs_nothing_up_to_100_ms_and_hurts_from_there() -> None:
    assert mos.delay_impairment(100) == 0
    assert mos.delay_impairment(200) == pytest.approx(3.0, abs=1.5)
    assert mos.delay_impairment(400) == pytest.approx(24, abs=2)


def test_loss_of_as_much_as_its_robustness_costs_half_of_what_a_codec_has() -> None:
    assert mos.loss_impairment(0.251) == pytest.approx(47.5)


@given(st.floats(0, 1), st.floats(0, 2000), st.one_of(st.none(), st.floats(0, 60_000)))
def test_it_is_always_on_the_scale_and_never_better_with_more_loss(
    loss: float, jitter: float, trip: float | None
) -> None:
    score = mos.estimate(loss=loss, jitter_ms=jitter, round_trip_ms=trip)
    assert 1.0 <= score <= 4.5
    assert mos.estimate(loss=min(1.0, loss + 0.1), jitter_ms=jitter, round_trip_ms=trip) <= score
