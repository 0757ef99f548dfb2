"""Audio through a whole server, measured at phones that speak every codec."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import product

import pytest
import pytest_asyncio

from cordboard.testing.phone import SimulatedPhone

from .cases import Lab, laboratory
from .measured import CODECS, Measured, between, measure, speaks

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDED_S = {True: 0.025, False: 0.045}
"""Delay that the server may add, by whether both legs speak the same codec."""
LONGEST_GAP_MS = 20
_AT_ONCE = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


async def directly(codec: str) -> Measured:
    """From phone to phone, without a server."""
    async with (
        SimulatedPhone(speaks(codec)) as bob,
        SimulatedPhone(speaks(codec), name="alice") as alice,
    ):
        call = await alice.call(bob.uri())
        assert await call.answered()
        there, _ = await measure(call, await bob.next_call())
        return there


def problems(there: Measured, codec: str, other: str, direct: dict[str, float]) -> list[str]:
    """Empty = as it should be."""
    added = there.delay - direct[codec]
    found = []
    if abs(there.level + 16.0) > 1.0:
        found.append(f"level {there.level:.2f}")
    if there.gap_ms > LONGEST_GAP_MS:
        found.append(f"gap {there.gap_ms}")
    if added > ADDED_S[codec == other]:
        found.append(f"added {1000 * added:.1f} ms")
    return [f"{codec} to {other}: {text}" for text in found]


async def test_every_pairing_of_codecs_is_as_loud_without_gaps_and_prompt(lab: Lab) -> None:
    direct = {codec: (await directly(codec)).delay for codec in CODECS}

    async def pair(a: str, b: str) -> list[str]:
        caller, callee = await between(lab.case(), speaks(a), speaks(b))
        there, back = await measure(caller, callee)
        caller.hang_up()
        assert callee.report.audio.encodings == [b]
        assert caller.report.audio.encodings == [a]
        return problems(there, a, b, direct) + problems(back, b, a, direct)

    pairs = [(a, b) for a, b in product(CODECS, CODECS) if a <= b]
    for first in range(0, len(pairs), _AT_ONCE):
        some = pairs[first : first + _AT_ONCE]
        found = await asyncio.gather(*(pair(a, b) for a, b in some))
        # A busy machine may have been late once.
        assert not [again for n, one in enumerate(found) if one and (again := await pair(*some[n]))]
